"""What is minimised: losses of the label words' logits, with or without labels, and rewards of answers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from harness.core import UserError


@dataclass(frozen=True)
class Objective:
    """A loss of class logits, or of answers.

    Args:
        name: as registered.
        function: ``(logits [n, R, C] float64, labels [n, R] int64) -> losses [n] float64``; None where only
            answers have this loss.
        differentiable: whether a first-order reference may follow its gradient.
        unlabelled: the labels are not read: the rows that are searched on need none.
        templates: rows are read under the data's template and each of its alternatives, and logits come as
            ``[n, T, R, C]``.
        answers: whether it is defined for data that are answered in the model's own words.

    >>> cross_entropy(torch.zeros(1, 3, 2), torch.tensor([[0, 1, 1]]))
    tensor([0.6931], dtype=torch.float64)
    >>> accuracy(torch.tensor([[[1.0, 0.0], [1.0, 0.0]]]), torch.tensor([[0, 1]]))
    tensor([0.5000], dtype=torch.float64)
    """

    name: str
    function: Callable[[Tensor, Tensor], Tensor] | None
    differentiable: bool
    unlabelled: bool = False
    templates: bool = False
    answers: bool = False

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Losses float64 ``[n]`` of logits ``[n, R, C]`` and labels ``[n, R]``; lower is better.

        Raises:
            UserError: where only answers have this loss.
        """
        if self.function is None:
            raise UserError(
                f"objective {self.name!r} judges generated answers; for label words choose accuracy"
            )
        return self.function(logits.double(), labels)


def _cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    right = logits.log_softmax(-1).gather(-1, labels[..., None])
    return -right.squeeze(-1).mean(-1)


def _hinge(logits: Tensor, labels: Tensor, margin: float = 2.0) -> Tensor:
    right = logits.gather(-1, labels[..., None])
    other = logits.scatter(-1, labels[..., None], float("-inf")).amax(-1)
    return (margin + other - right.squeeze(-1)).clamp_min(0).mean(-1)


def _hits(logits: Tensor, labels: Tensor) -> Tensor:
    hits = (logits.argmax(-1) == labels).double()
    return hits.masked_fill(logits.isnan().any(-1), float("nan"))  # a broken candidate is failed, not right


def _error_rate(logits: Tensor, labels: Tensor) -> Tensor:
    return 1.0 - _hits(logits, labels).mean(-1)


def _one_minus_macro_f1(logits: Tensor, labels: Tensor) -> Tensor:
    classes = torch.arange(logits.shape[-1], device=logits.device)
    given = labels[..., None] == classes
    found = logits.argmax(-1)[..., None] == classes
    both = (given & found).sum(-2).double()
    total = given.sum(-2) + found.sum(-2)
    f1 = torch.where(total > 0, 2 * both / total.clamp_min(1), 0.0)
    present = total > 0
    score = (f1 * present).sum(-1) / present.sum(-1)
    return 1.0 - score.masked_fill(logits.isnan().any(-1).any(-1), float("nan"))


def _uncertainty(log: Tensor) -> Tensor:
    """Entropy in nats of log-probabilities ``[..., C]``."""
    return -(log.exp() * log).sum(-1)


def _mixture(log: Tensor, dim: int) -> Tensor:
    """Log-probabilities of the mean distribution over one dimension."""
    return log.logsumexp(dim) - math.log(log.shape[dim])


def _entropy(logits: Tensor, labels: Tensor) -> Tensor:
    return _uncertainty(logits.log_softmax(-1)).mean(-1)


def _information(logits: Tensor, labels: Tensor) -> Tensor:
    log = logits.log_softmax(-1)
    return _uncertainty(log).mean(-1) - _uncertainty(_mixture(log, -2))


def _disagreement(logits: Tensor, labels: Tensor) -> Tensor:
    log = logits.log_softmax(-1)
    return (_uncertainty(_mixture(log, 1)) - _uncertainty(log).mean(1)).mean(-1)


cross_entropy = Objective("cross-entropy", _cross_entropy, differentiable=True, answers=True)
"""Mean negative log-likelihood of the right label word among the label words; of answers, per token of the
first right one."""
hinge = Objective("hinge", _hinge, differentiable=True)
"""Mean of ``max(0, 2 + best other logit - right logit)``, the margin of Black-Box Tuning."""
accuracy = Objective("accuracy", _error_rate, differentiable=False)
"""Share of wrong answers: the metric itself, without a gradient."""
macro_f1 = Objective("macro-f1", _one_minus_macro_f1, differentiable=False)
"""One minus the mean F1 over the classes that occur in labels or answers."""
reward = Objective("reward", None, differentiable=False, answers=True)
"""One minus the mean reward of generated answers, or of the choice among a row's own."""
entropy = Objective("entropy", _entropy, differentiable=True, unlabelled=True)
"""Mean entropy of the class distributions, in nats. Least where every row gets one class for sure, be it the
same for all. Source: Grandvalet & Bengio, Semi-supervised Learning by Entropy Minimization, 2004."""
information = Objective("information", _information, differentiable=True, unlabelled=True)
"""Mean entropy of the class distributions less the entropy of their mean, in nats: certain of each row, and
balanced over all. Source: Bridle, Heading & MacKay, Unsupervised Classifiers, Mutual Information and Phantom
Targets, 1991."""
agreement = Objective("agreement", _disagreement, differentiable=True, unlabelled=True, templates=True)
"""Mean over rows of the Jensen-Shannon divergence, in nats, between the class distributions under several
templates. Least where they agree, be it on one class for all. Source: Zhou et al., Prompt Consistency for
Zero-Shot Task Generalization, 2022, with another divergence."""


def f1_of_last(logits: Tensor, labels: Tensor) -> float:
    """F1 of the last class, as published for paraphrases: logits ``[R, C]``, labels ``[R]``.

    Nan where a logit is nan; 0 where the class occurs neither in labels nor in answers.

    >>> logits = torch.tensor([[0.0, 1.0], [0.0, 1.0], [1.0, 0.0]])
    >>> f1_of_last(logits, torch.tensor([1, 0, 0]))  # precision 1/2, recall 1
    0.6666666666666666
    """
    if bool(logits.isnan().any()):
        return float("nan")
    last = logits.shape[-1] - 1
    given, found = labels == last, logits.argmax(-1) == last
    return 2 * int((given & found).sum()) / max(1, int(given.sum() + found.sum()))


def metrics(logits: Tensor, labels: Tensor, also: str = "accuracy") -> dict[str, float]:
    """Accuracy, macro-F1 and cross-entropy of one candidate: logits ``[R, C]``, labels ``[R]``.

    Args:
        also: ``f1`` for the F1 of the last class beside them.

    >>> metrics(torch.tensor([[2.0, 0.0], [0.0, 2.0]]), torch.tensor([0, 1]))["accuracy"]
    1.0
    """
    beside = {"f1": f1_of_last(logits, labels)} if also == "f1" else {}
    logits, labels = logits[None], labels[None]
    return beside | {
        "accuracy": 1.0 - float(accuracy(logits, labels)),
        "macro_f1": 1.0 - float(macro_f1(logits, labels)),
        "loss": float(cross_entropy(logits, labels)),
    }

"""What is minimised, from the logits of the label words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Objective:
    """A loss of class logits.

    Args:
        name: as registered.
        function: ``(logits [n, R, C] float64, labels [n, R] int64) -> losses [n] float64``.
        differentiable: whether a first-order reference may follow its gradient.

    >>> cross_entropy(torch.zeros(1, 3, 2), torch.tensor([[0, 1, 1]]))
    tensor([0.6931], dtype=torch.float64)
    >>> accuracy(torch.tensor([[[1.0, 0.0], [1.0, 0.0]]]), torch.tensor([[0, 1]]))
    tensor([0.5000], dtype=torch.float64)
    """

    name: str
    function: Callable[[Tensor, Tensor], Tensor]
    differentiable: bool

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Losses float64 ``[n]`` of logits ``[n, R, C]`` and labels ``[n, R]``; lower is better."""
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


cross_entropy = Objective("cross-entropy", _cross_entropy, differentiable=True)
"""Mean negative log-likelihood of the right label word among the label words."""
hinge = Objective("hinge", _hinge, differentiable=True)
"""Mean of ``max(0, 2 + best other logit - right logit)``, the margin of Black-Box Tuning."""
accuracy = Objective("accuracy", _error_rate, differentiable=False)
"""Share of wrong answers: the metric itself, without a gradient."""
macro_f1 = Objective("macro-f1", _one_minus_macro_f1, differentiable=False)
"""One minus the mean F1 over the classes that occur in labels or answers."""


def metrics(logits: Tensor, labels: Tensor) -> dict[str, float]:
    """Accuracy, macro-F1 and cross-entropy of one candidate: logits ``[R, C]``, labels ``[R]``.

    >>> metrics(torch.tensor([[2.0, 0.0], [0.0, 2.0]]), torch.tensor([0, 1]))["accuracy"]
    1.0
    """
    logits, labels = logits[None], labels[None]
    return {
        "accuracy": 1.0 - float(accuracy(logits, labels)),
        "macro_f1": 1.0 - float(macro_f1(logits, labels)),
        "loss": float(cross_entropy(logits, labels)),
    }

"""What a task is: a space, losses for populations of its candidates, and a score at the end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from harness.core.population import Population
from harness.core.space import Space

Split = Literal["train", "dev", "test"]


@dataclass(frozen=True)
class Protocol:
    """How data are split and measured; the same for every algorithm of a sweep.

    Args:
        per_class: rows per class to train on, and as many to choose on.
        minibatch: rows on which one generation's candidates are evaluated.
        dev_points: fixed points of the budget at which the reported candidate is scored on dev.
        test_rows: at most so many rows of the test split, spread over the classes.
        seed: of the splits, the same for every algorithm; the algorithm's seed is separate.
        timeout: seconds after which a cell is stopped.

    >>> Protocol(per_class=64).minibatch
    16
    """

    per_class: int = 16
    minibatch: int = 16
    dev_points: int = 10
    test_rows: int = 256
    seed: int = 0
    timeout: float = 600.0

    def __post_init__(self) -> None:
        for name in ("per_class", "minibatch", "dev_points", "test_rows", "timeout"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}: must be positive, got {getattr(self, name)}")


@dataclass(frozen=True, eq=False)
class Request:
    """Evaluate a population on the minibatch of (repetition, generation), the same for all algorithms.

    The runner counts generations for this: asks of one algorithm that go on with a generation share one.

    >>> import torch
    >>> from harness.core.population import Points
    >>> Request(Points(torch.zeros(2, 3)), repetition=0, generation=4).generation
    4
    """

    population: Population
    repetition: int
    generation: int


@dataclass(frozen=True)
class Cost:
    """What was computed: sequences, tokens (without padding), floating-point operations.

    >>> Cost(1, 20, 4e6) + Cost(1, 10, 2e6)
    Cost(sequences=2, tokens=30, flops=6000000.0)
    """

    sequences: int = 0
    tokens: int = 0
    flops: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.sequences + other.sequences, self.tokens + other.tokens, self.flops + other.flops)


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The answer to one request: losses float64 ``[n]``; gradients ``[n, d]`` where asked for; its cost.

    >>> import torch
    >>> Evaluation(torch.zeros(2, dtype=torch.float64), None, Cost(2, 40)).losses.shape
    torch.Size([2])
    """

    losses: Tensor
    gradients: Tensor | None
    cost: Cost


@dataclass(frozen=True)
class Signature:
    """What must agree before results are merged or resumed.

    Args:
        digest: hash of data, model, templates and schema.
        losses: at fixed points, compared within ``TOLERANCE`` (machines differ in last bits).

    >>> Signature("ab", (1.0,)).agrees(Signature("ab", (1.0004,)))
    True
    """

    digest: str
    losses: tuple[float, ...]

    TOLERANCE = 1e-3

    def agrees(self, other: Signature) -> bool:
        """Whether two results may stand in one table."""
        return (
            self.digest == other.digest
            and len(self.losses) == len(other.losses)
            and all(abs(a - b) <= self.TOLERANCE for a, b in zip(self.losses, other.losses, strict=True))
        )


class Task(ABC):
    """Something to minimise, for one or many repetitions of its data split.

    >>> from harness.core.space import Block
    >>> class Sphere(Task):
    ...     '''|z|^2 in two dimensions.'''
    ...     space = Space([Block("x", (2,), "vector")])
    ...     metric = "loss"
    ...     def evaluate(self, requests):
    ...         squares = [(r.population.values.double() ** 2).sum(1) for r in requests]
    ...         return [Evaluation(losses, None, Cost()) for losses in squares]
    ...     def score(self, candidates, split):
    ...         return [{"loss": float((p.values ** 2).sum())} for p, _ in candidates]
    ...     def signature(self):
    ...         return Signature("sphere", ())
    >>> import torch
    >>> from harness.core.population import Points
    >>> Sphere().evaluate([Request(Points(torch.ones(1, 2)), 0, 0)])[0].losses
    tensor([2.], dtype=torch.float64)
    """

    space: Space
    metric: str = "accuracy"
    """The entry of ``score`` by which algorithms are compared."""
    metric_direction: Literal["max", "min"] = "max"
    has_gradients: bool = False
    """Whether Gradients may be asked for."""
    shares_forward: bool = True
    """Whether requests of several cells go through one forward; else each is best timed alone."""
    forward_seconds: float | None = None
    """Seconds this task has spent in its model's forwards so far, synchronised with the device; None where it
    does not tell: then all of evaluate counts as forward."""
    company: Hashable | None = None
    """Tasks of equal company advance together; None for a task that advances alone."""

    @property
    def dimension(self) -> int:
        """d of the space; cheap, so that a plan can be made before anything is loaded."""
        return self.space.size

    @abstractmethod
    def evaluate(self, requests: Sequence[Request]) -> list[Evaluation]:
        """Losses of many populations, packed together as the task sees fit; an answer for each request."""

    @abstractmethod
    def score(
        self, candidates: Sequence[tuple[Population | None, int]], split: Split
    ) -> list[dict[str, float]]:
        """Metrics of (candidate, repetition) pairs on a split; a candidate is a population of one.

        None as a candidate is the untouched model.
        """

    def score_cost(self, split: Split, repetition: int) -> Cost:
        """What scoring one candidate on a split costs; nothing, where a task does not count it."""
        return Cost()

    @abstractmethod
    def signature(self) -> Signature:
        """Equal where results are comparable."""

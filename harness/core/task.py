"""What a task is: a space, losses for populations of its candidates, and a score at the end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from harness.core.errors import UserError
from harness.core.population import Population
from harness.core.space import Space
from harness.core.untuned import Candidate, Untuned

Split = Literal["train", "dev", "test"]


@dataclass(frozen=True)
class Protocol:
    """How data are split and measured; the same for every algorithm of a sweep.

    Args:
        per_class: rows per class to train on, and as many to choose on.
        minibatch: rows on which one generation's candidates are evaluated.
        dev_points: fixed points of the budget at which the reported candidate is scored on dev.
        test_rows: at most so many rows of the test split, spread over the classes unless rows are drawn
            without regard to them.
        seed: of the splits, the same for every algorithm; the algorithm's seed is separate.
        timeout: seconds after which a cell is stopped.
        train_rows: rows to train on, drawn without regard to class; None for ``per_class``.
        dev_rows: rows to choose on, likewise.

    >>> Protocol(per_class=64).minibatch
    16
    >>> Protocol(train_rows=1000, dev_rows=500, test_rows=1000).dev_rows
    500
    """

    per_class: int = 16
    minibatch: int = 16
    dev_points: int = 10
    test_rows: int = 256
    seed: int = 0
    timeout: float = 600.0
    train_rows: int | None = None
    dev_rows: int | None = None

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if each.name != "seed" and value is not None and not value > 0:
                raise ValueError(f"{each.name}: must be positive, got {value}")

    def __repr__(self) -> str:
        # Without what is None: the signatures of results that were stored before there were sizes hold.
        values = ((each.name, getattr(self, each.name)) for each in fields(self))
        return f"Protocol({', '.join(f'{name}={value!r}' for name, value in values if value is not None)})"


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


@dataclass(frozen=True)
class Estimate:
    """What a task is going to cost, as far as it can be told before weights or data are loaded.

    Args:
        evaluation: one candidate on one minibatch, on average.
        scores: one candidate on all rows of a split, on average.
        weights: bytes of the model.
        activations: bytes that live at once in the smallest forward.
        point: bytes of one point of the search space as a search keeps it.

    >>> Estimate(Cost(16, 640, 1e9), {"dev": Cost(32, 1280, 2e9)}, 4_000_000, 65_536, 1024).point
    1024
    """

    evaluation: Cost
    scores: Mapping[Split, Cost]
    weights: int
    activations: int
    point: int


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

    repetitions: int | None = None
    """How many splits of its data there are, where they are given; None where any number can be drawn."""

    @property
    def dimension(self) -> int:
        """d of the space; cheap, so that a plan can be made before anything is loaded."""
        return self.space.size

    @abstractmethod
    def evaluate(self, requests: Sequence[Request]) -> list[Evaluation]:
        """Losses of many populations, packed together as the task sees fit; an answer for each request."""

    def misfit(self, untuned: Untuned) -> str | None:
        """Why it cannot be answered in that way without tuning, in one sentence; None if it can.

        Cheap, as ``dimension`` is.
        """
        return "it is no task of texts with labels"

    @abstractmethod
    def score(self, candidates: Sequence[tuple[Candidate, int]], split: Split) -> list[dict[str, float]]:
        """Metrics of (candidate, repetition) pairs on a split; a candidate is a population of one.

        None as a candidate is the untouched model. A way of answering without tuning is a candidate only
        where ``misfit`` finds nothing against it.
        """

    def score_cost(self, split: Split, repetition: int) -> Cost:
        """What scoring one candidate on a split costs; nothing, where a task does not count it."""
        return Cost()

    def untuned_cost(self, untuned: Untuned, split: Split, repetition: int) -> Cost:
        """The same of a way of answering without tuning; what it is fitted on counts to dev, scored first."""
        return Cost()

    def estimate(self) -> Estimate | None:
        """What it is going to cost, for a plan; None, where a task does not tell."""
        return None

    def untuned_estimate(self, untuned: Untuned) -> Mapping[Split, Cost]:
        """What scoring each split in a way of answering without tuning is going to cost, on average."""
        return {}

    def export(self, candidate: Population, folder: Path) -> dict[str, Any]:
        """Write a population of one for others to use; returns its ``kind`` and what its user has to know.

        Raises:
            UserError: where there is nothing that others could use.
        """
        raise UserError("what this task tunes has no format in which others could use it")

    @abstractmethod
    def signature(self) -> Signature:
        """Equal where results are comparable."""

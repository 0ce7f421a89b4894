"""Driving an algorithm by hand: a space, a loss, and a runner of a few lines."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from harness.core.algorithm import Algorithm
from harness.core.budget import Budget
from harness.core.population import Gradients, Points
from harness.core.space import Block, Space
from harness.core.untuned import Candidate, Untuned
from harness.plugins.conformance.report import NotApplicableError, seed_globally

Loss = Callable[[Tensor], Tensor]
MOST = 2000
"""Evaluations that are tried where fewer do not suffice."""
Spoil = Callable[[int, Tensor], Tensor]


def space_of(dimension: int) -> Space:
    """Two matrices of one shape and a vector, of unequal scales, away from zero; below 4 only the vector.

    >>> [block.size for block in space_of(10).blocks]
    [4, 4, 2]
    """
    side = (dimension - 2) // 2
    blocks = [Block("bias", (dimension - 2 * max(side, 0),), "vector", 1.0)]
    if side > 0:
        matrices = [Block("first", (side, 1), "matrix", 0.5), Block("second", (side, 1), "matrix", 2.0)]
        blocks = matrices + blocks
    return Space(blocks, {block.name: torch.full(block.shape, 0.25) for block in blocks})


def sphere(points: Tensor) -> Tensor:
    """``|z - 1|^2 / 2d``: of order one, as the losses of language models are.

    >>> sphere(torch.zeros(1, 5))
    tensor([0.5000])
    """
    return 0.5 * (points - 1.0).square().mean(1)


def random_search(loss: Loss, dimension: int, budget: int, seed: int) -> float:
    """The least loss among the start and standard normal points.

    >>> 0.0 < random_search(sphere, 10, 300, seed=0) < random_search(sphere, 500, 300, seed=0) == 0.5
    True
    """
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(budget, dimension, generator=generator)
    points[0] = 0.0
    return float(loss(points.double()).min())


def coordinates(population: Candidate, space: Space) -> Tensor:
    """Coordinates ``[n, d]`` float64 of any population; of the start for None and where nothing is tuned."""
    if population is None or isinstance(population, Untuned):
        return torch.zeros(1, space.size, dtype=torch.float64)
    values = population.values if isinstance(population, Points) else population.coordinates()
    return values.detach().double()


@dataclass
class Trace:
    """What happened in one run.

    Args:
        algorithm: as it is at the end.
        points: coordinates ``[n, d]`` of each population, float64.
        losses: as they were told, float64 ``[n]`` for each population.
        reported: coordinates ``[1, d]`` of ``best()`` after each tell.
        kept: the populations that ``best()`` returned.
        spent: evaluations.
    """

    algorithm: Algorithm
    points: list[Tensor] = field(default_factory=list)
    losses: list[Tensor] = field(default_factory=list)
    reported: list[Tensor] = field(default_factory=list)
    kept: list[Candidate] = field(default_factory=list)
    spent: int = 0

    def all_points(self) -> Tensor:
        """``[evaluations, d]``."""
        return torch.cat([torch.zeros(0, self.algorithm.space.size, dtype=torch.float64), *self.points])

    def differs_from(self, other: Trace) -> int | None:
        """The first generation whose points are not the same bits; None where all are."""
        for at, (mine, theirs) in enumerate(itertools.zip_longest(self.points, other.points)):
            if mine is None or theirs is None or not torch.equal(mine, theirs):
                return at
        return None


def drive(
    algorithm: Algorithm,
    budget: int,
    loss: Loss = sphere,
    spoil: Spoil | None = None,
    after_tell: Callable[[int], None] = lambda generation: None,
) -> Trace:
    """Run to the end of the budget, or to an ask that does not fit into it.

    Args:
        algorithm: freshly made.
        budget: evaluations.
        loss: of coordinates ``[n, d]``.
        spoil: changes the losses of a generation before they are told.
        after_tell: called with the number of generations told.
    """
    trace = Trace(algorithm)
    while (population := algorithm.ask(budget - trace.spent)) is not None and len(population):
        price = Budget.price(population)
        if trace.spent + price > budget:
            break  # the check named budget is there for this
        trace.spent += price
        points = coordinates(population, algorithm.space)
        losses, gradients = loss(points).double(), None
        if isinstance(population, Gradients):
            (gradients,) = torch.autograd.grad(loss(points.requires_grad_()).sum(), points)
            points = points.detach()
        if spoil:
            losses = spoil(len(trace.points), losses.clone())
        trace.points.append(points)
        trace.losses.append(losses.clone())
        algorithm.tell(population, losses, gradients)
        best = algorithm.best()
        trace.kept.append(best)
        trace.reported.append(coordinates(best, algorithm.space))
        after_tell(len(trace.points))
    return trace


@dataclass(frozen=True)
class Subject:
    """An algorithm under check: its class and options."""

    kind: type[Algorithm]
    options: dict[str, Any]

    @property
    def dimension(self) -> int:
        """10, or fewer where fewer is the limit."""
        return min(10, self.kind.largest_dimension or 10)

    def budget(self, wanted: int, dimension: int | None = None) -> int:
        """As many evaluations as wanted, or the fewest with which it declares that it can run."""
        dimension = dimension or self.dimension
        total = max(wanted, self.kind.smallest_budget, 1)
        for more in range(total, MOST):
            if self.kind.misfit(dimension, more, **self.options) is None:
                return more
        return total

    def require_search(self) -> None:
        """NotApplicableError for one that asks nothing."""
        if self.kind.smallest_budget == 0:
            raise NotApplicableError("it asks for nothing")

    def make(self, budget: int, seed: int = 0, space: Space | None = None) -> Algorithm:
        """A fresh one; NotApplicableError where it says that it does not fit."""
        space = space or space_of(self.dimension)
        if (misfit := self.kind.misfit(space.size, budget, **self.options)) is not None:
            raise NotApplicableError(misfit)
        return self.kind(space, Budget(budget), seed, **self.options)

    def run(
        self,
        budget: int = 60,
        seed: int = 0,
        loss: Loss = sphere,
        spoil: Spoil | None = None,
        *,
        dimension: int | None = None,
        global_seed: int = 0,
        after_tell: Callable[[int], None] = lambda generation: None,
    ) -> Trace:
        """A whole run of a fresh one, from a global random state of one's choice."""
        self.require_search()
        budget = self.budget(budget, dimension)
        seed_globally(global_seed)
        algorithm = self.make(budget, seed, space_of(dimension or self.dimension))
        return drive(algorithm, budget, loss, spoil, after_tell)

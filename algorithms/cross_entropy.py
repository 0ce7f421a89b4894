"""The cross-entropy method, flat: the control for CEMCTS."""

from __future__ import annotations

import torch
from torch import Tensor

from algorithms.options import (
    Count,
    NonNegative,
    Pairs,
    Positive,
    Share,
    UnitInterval,
    default_population,
    generation_size,
)
from algorithms.sampling import Distribution, Incumbent, Update, elite_count
from algorithms.shaping import informative, ranks
from harness.core import Algorithm, Budget, Points, Population, Space


class CrossEntropy(Algorithm):
    """Sample a normal distribution, move it to the best ``rho`` of the samples, evaluate its mean.

    With the defaults this is the same update as CEMCTS without its tree, the control beside it; see
    ``Distribution`` for the equations. ``update=textbook, mirrored=false`` is the method as Rubinstein
    gave it: equal weights and the second moment about the new mean.

    Args:
        population: lambda, samples before each update; None for the lesser of 4 (4 + floor(3 ln d)) and a
            tenth of the budget (8 at least). The last update takes half as many more or less.
        sigma: initial standard deviation, in units of scale.
        rho: share of the samples that are elite, two at least.
        eta_mean: rate of the mean.
        eta_std: rate of the variance.
        floor: least standard deviation.
        update: ``log-rank`` or ``textbook``.
        mirrored: draw z, -z, z', -z', ...
        patience: restart around the incumbent after so many means that improve nothing; None for never.
        collapse: restart when no coordinate's standard deviation is above this.

    ``best()`` is the incumbent: the best of the means, each evaluated once (counted). A single sample's
    least loss would be biased.

    Source: Rubinstein, The Cross-Entropy Method for Combinatorial and Continuous Optimization, 1999.

    >>> from harness.core import Block
    >>> search = CrossEntropy(Space([Block("x", (3,), "vector")]), Budget(40), seed=0, population=8)
    >>> asked = search.ask(remaining=40)
    >>> search.tell(asked, (asked.values.double() ** 2).sum(1))
    >>> len(asked), len(search.ask(remaining=32))
    (8, 1)
    """

    family = "cross-entropy"
    source = "Rubinstein 1999"
    largest_dimension = 10_000_000
    smallest_budget = 3

    def __init__(
        self,
        space: Space,
        budget: Budget,
        seed: int,
        *,
        population: Pairs | None = None,
        sigma: Positive = 1.0,
        rho: Share = 0.25,
        eta_mean: UnitInterval = 1.0,
        eta_std: UnitInterval = 0.5,
        floor: NonNegative = 1e-6,
        update: Update = "log-rank",
        mirrored: bool = True,
        patience: Count | None = 20,
        collapse: NonNegative = 1e-4,
    ) -> None:
        super().__init__(space, budget, seed)
        self.population = population or leaves_per_tree(space.size, budget.total)
        self.rho, self.mirrored = rho, mirrored
        self.distribution = Distribution(space.size, sigma, eta_mean, eta_std, floor, update)
        self.incumbent = Incumbent(space.size, patience, collapse)
        self._sampling = False
        self._sampled = False

    @property
    def same_minibatch(self) -> bool:
        """Whether the next ask belongs to the last one's generation, to be evaluated on its minibatch."""
        return self._sampled

    def ask(self, remaining: int) -> Points | None:
        if remaining < 1:
            return None
        self._sampling = not self._sampled and remaining > 1
        if not self._sampling:
            return Points(self.distribution.mean.to(self.space.device, copy=True)[None])
        count = generation_size(self.population + 1, remaining) - 1
        draws: list[Tensor] = []
        for i in range(count):
            if self.mirrored and i % 2:
                draws.append(-draws[-1])
            else:
                draws.append(torch.randn(self.space.size, generator=self.generator))
        mean, std = self.distribution.mean, self.distribution.std
        return Points(torch.stack([mean + std * z for z in draws]).to(self.space.device))

    def tell(self, population: Population, losses: Tensor, gradients: Tensor | None = None) -> None:
        assert isinstance(population, Points)
        distribution = self.distribution
        self._sampled = self._sampling
        if self._sampling:
            if informative(losses):
                elites = ranks(losses).argsort(stable=True)[: elite_count(self.rho, len(losses))]
                distribution.update(slice(None), population.values.cpu()[elites])
        elif self.incumbent.meet(distribution.mean, distribution.std, float(losses[0])):
            distribution.restart(self.incumbent.mean)

    def best(self) -> Points:
        return Points(self.incumbent.mean.to(self.space.device, copy=True)[None])


def leaves_per_tree(dimension: int, budget: int) -> int:
    """``4 (4 + floor(3 ln d))``, but at most a tenth of the budget, where that is 8 or more.

    >>> leaves_per_tree(320, 200), leaves_per_tree(320, 8000)
    (20, 84)
    """
    return min(4 * default_population(dimension), max(8, budget // 10))

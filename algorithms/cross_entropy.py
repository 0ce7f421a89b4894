"""The cross-entropy method, flat: the control for CEMCTS."""

from __future__ import annotations

import torch
from torch import Tensor

from algorithms.options import Count, NonNegative, Pairs, Positive, Share, UnitInterval, generation_size
from algorithms.sampling import Distribution, Draws, Incumbent, Update, elite_count, leaves_per_tree
from algorithms.shaping import informative, ranks
from harness.core import Algorithm, Budget, Points, Population, Space, ranges


class CrossEntropy(Algorithm):
    """Sample a normal distribution, move it to the best ``rho`` of the samples, evaluate its mean.

    With the defaults this is the same update as CEMCTS without its tree, the control beside it; see
    ``Distribution`` for the equations and ``Incumbent`` for the choice of the best mean.
    ``update=textbook, mirrored=false, eta_path=0, recheck=false`` is the method as Rubinstein gave it: equal
    weights and the second moment about the new mean.

    Args:
        population: lambda, samples before each update; None for the lesser of 2 (4 + floor(3 ln d)) and a
            tenth of the budget (8 at least). The last update takes half as many more or less.
        sigma: initial standard deviation, in units of scale.
        rho: share of the samples that are elite, two at least.
        eta_mean: rate of the mean.
        eta_std: rate of the variance; with 0 the standard deviations never move.
        eta_path: rate of the common step size.
        floor: least standard deviation.
        update: ``log-rank`` or ``textbook``.
        mirrored: draw z, -z, z', -z', ...
        recheck: evaluate the incumbent again beside each new mean, where losses are noisy.
        patience: restart around the incumbent after so many means that improve nothing; None for never.
        collapse: restart when no coordinate's standard deviation is above this.

    ``best()`` is the incumbent: the best of the means, which are evaluated (counted). A single sample's
    least loss would be biased.

    Source: Rubinstein, The Cross-Entropy Method for Combinatorial and Continuous Optimization, 1999; the
    path is Hansen's (The CMA Evolution Strategy: A Tutorial, 2016).

    >>> from harness.core import Block
    >>> search = CrossEntropy(Space([Block("x", (3,), "vector")]), Budget(40), seed=0, population=8)
    >>> asked = search.ask(remaining=40)
    >>> search.tell(asked, (asked.values.double() ** 2).sum(1))
    >>> len(asked), len(search.ask(remaining=32))
    (8, 1)
    """

    family = "cross-entropy"
    source = "Rubinstein 1999"
    search = ranges(sigma=(0.1, 10.0))
    largest_dimension = 10_000_000
    smallest_budget = 3

    draws: Draws

    def __init__(
        self,
        space: Space,
        budget: Budget,
        seed: int,
        *,
        population: Pairs | None = None,
        sigma: Positive = 1.0,
        rho: Share = 0.5,
        eta_mean: UnitInterval = 1.0,
        eta_std: UnitInterval = 0.5,
        eta_path: NonNegative = 1.0,
        floor: NonNegative = 1e-6,
        update: Update = "log-rank",
        mirrored: bool = True,
        recheck: bool = True,
        patience: Count | None = 20,
        collapse: NonNegative = 1e-4,
    ) -> None:
        super().__init__(space, budget, seed)
        self.population = population or leaves_per_tree(space.size, budget.total)
        self.rho, self.mirrored = rho, mirrored
        self.distribution = Distribution(
            space, sigma, eta_mean=eta_mean, eta_std=eta_std, eta_path=eta_path, floor=floor, update=update
        )
        self.incumbent = Incumbent(space, recheck=recheck, patience=patience, collapse=collapse)
        self._generation = 0
        self._sampling = False
        self._sampled = False

    @property
    def same_minibatch(self) -> bool:
        """Whether the next ask belongs to the last one's generation, to be evaluated on its minibatch."""
        return self._sampled

    def ask(self, remaining: int) -> Points | None:
        if remaining < 1:
            return None
        price = self.incumbent.price
        self._sampling = not self._sampled and remaining > price
        if not self._sampling:
            return Points(self.incumbent.contenders(self.distribution)[:remaining])
        count = generation_size(self.population + price, remaining) - price
        self.draws = Draws([self.space.size], self.seed, self._generation, self.space.device)
        values = torch.empty(count, self.space.size, device=self.space.device)
        for i, row in enumerate(values):
            self.draws.write(row, 0, *self._numbered(i))
        return Points(self.distribution.points(values))

    def tell(self, population: Population, losses: Tensor, gradients: Tensor | None = None) -> None:
        self._sampled = self._sampling
        if self._sampling:
            self._move_distribution(losses)
        elif self.incumbent.meet(self.distribution, losses):
            self.distribution.restart(self.incumbent.mean)

    def best(self) -> Points:
        return Points(self.incumbent.mean.clone()[None])

    def _move_distribution(self, losses: Tensor) -> None:
        self._generation += 1
        if not informative(losses):
            return
        elites = ranks(losses).argsort(stable=True)[: elite_count(self.rho, len(losses))].tolist()
        draws = (self.draws(0, *self._numbered(i)) for i in elites)
        self.distribution.update(slice(None), draws, len(elites), len(losses), mirrored=self.mirrored)
        self.distribution.end_generation(len(elites))

    def _numbered(self, i: int) -> tuple[int, int]:
        """Number and sign of the draw of the i-th sample."""
        return (i // 2, -1 if i % 2 else 1) if self.mirrored else (i, 1)

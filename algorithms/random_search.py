"""Random search around the start."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from algorithms.options import Count, Positive
from harness.core import Algorithm, Budget, Points, Population, Space, ranges


class RandomSearch(Algorithm):
    """Independent points ``z ~ N(0, sigma^2 I)``, the very first of them the start itself.

    Args:
        sigma: standard deviation, in units of scale.
        population: points evaluated together.

    ``best()`` is the point of least loss; as each is evaluated once, that loss is biased under noise.

    Source: Rastrigin, The Convergence of the Random Search Method in the Extremal Control of a
    Many-Parameter System, 1963.

    >>> from harness.core import Block
    >>> search = RandomSearch(Space([Block("x", (2,), "vector")]), Budget(20), seed=0, population=4)
    >>> asked = search.ask(remaining=20)
    >>> search.tell(asked, (asked.values.double() ** 2).sum(1))
    >>> search.best().values
    tensor([[0., 0.]])
    """

    family = "baselines"
    source = "Rastrigin 1963"
    search = ranges(sigma=(0.1, 10.0))
    largest_dimension = 10_000_000
    expected_failures = dict.fromkeys(
        ("better-than-random-at-10", "better-than-random-at-500"), "it is random search"
    )

    def __init__(
        self,
        space: Space,
        budget: Budget,
        seed: int,
        *,
        sigma: Positive = 1.0,
        population: Count = 20,
    ) -> None:
        super().__init__(space, budget, seed)
        self.sigma, self.population = sigma, population
        self.found = torch.zeros(1, space.size, device=space.device)
        self.loss = math.inf
        self._begun = False

    def ask(self, remaining: int) -> Points | None:
        count = min(self.population, remaining)
        if count < 1:
            return None
        values = self.sigma * torch.randn(count, self.space.size, generator=self.generator)
        if not self._begun:
            values[0] = 0.0
        return Points(values.to(self.space.device))

    def tell(self, population: Population, losses: Tensor, gradients: Tensor | None = None) -> None:
        assert isinstance(population, Points)
        self._begun = True
        least = int(losses.nan_to_num(nan=math.inf, posinf=math.inf, neginf=-math.inf).argmin())
        if float(losses[least]) < self.loss:
            self.found, self.loss = population.values[least : least + 1].clone(), float(losses[least])

    def best(self) -> Points:
        return Points(self.found)

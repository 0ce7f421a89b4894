"""Separable natural evolution strategy."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from algorithms.evolution_strategies.natural import LARGEST, SMALLEST, utilities
from algorithms.options import NonNegative, Pairs, Positive, default_population, generation_size
from algorithms.shaping import informative
from harness.core import Algorithm, Budget, Points, Population, Space, ranges


class SNES(Algorithm):
    """Natural gradient on the mean and the step size of every coordinate, from utilities of ranks.

    Points are ``z_i = mean + sigma s_i`` with s_i normal. With the utilities u of the ranks (sum 0):
    ``mean <- mean + eta_mean sigma sum u_i s_i`` and
    ``sigma <- sigma exp(eta_sigma/2 sum u_i (s_i^2 - 1))``, coordinate by coordinate.

    The last generation takes up to half a population more or less, so that the budget is spent.

    Args:
        sigma: initial step size of every coordinate, in units of scale.
        population: None for 4 + floor(3 ln d).
        eta_mean: rate of the mean.
        eta_sigma: rate of the step sizes; None for (3 + ln d)/(5 sqrt d).

    ``best()`` is the mean.

    Source: Wierstra, Schaul, Glasmachers, Sun, Peters & Schmidhuber, Natural Evolution Strategies, 2014.

    >>> from harness.core import Block
    >>> es = SNES(Space([Block("x", (4,), "vector")]), Budget(100), seed=0)
    >>> asked = es.ask(remaining=100)
    >>> es.tell(asked, (asked.values.double() ** 2).sum(1))
    >>> len(asked), es.sigma.shape
    (8, torch.Size([4]))
    """

    family = "evolution strategies"
    source = "Wierstra et al. 2014"
    search = ranges(sigma=(0.1, 10.0))
    largest_dimension = 10_000_000
    smallest_budget = 2

    def __init__(
        self,
        space: Space,
        budget: Budget,
        seed: int,
        *,
        sigma: Positive = 1.0,
        population: Pairs | None = None,
        eta_mean: Positive = 1.0,
        eta_sigma: NonNegative | None = None,
    ) -> None:
        super().__init__(space, budget, seed)
        d, device = space.size, space.device
        self.generator = torch.Generator(device).manual_seed(seed)
        self.population = population or default_population(d)
        self.eta_mean = eta_mean
        self.eta_sigma = (3 + math.log(d)) / (5 * math.sqrt(d)) if eta_sigma is None else eta_sigma
        self.mean = torch.zeros(d, dtype=torch.float64, device=device)
        self.sigma = torch.full((d,), float(sigma), dtype=torch.float64, device=device)
        self._draws = torch.zeros(0, d, device=device)

    def ask(self, remaining: int) -> Points | None:
        size = generation_size(self.population, remaining)
        if size < 1:
            return None
        device = self.mean.device
        self._draws = torch.randn(size, self.space.size, generator=self.generator, device=device)
        return Points(torch.addcmul(self.mean.float(), self.sigma.float(), self._draws))

    def tell(self, population: Population, losses: Tensor, gradients: Tensor | None = None) -> None:
        if not informative(losses):
            return
        weights = utilities(losses).float().to(self.mean.device)
        # As the utilities sum to zero, the 1 of s^2 - 1 drops out.
        spread = (weights @ self._draws.square()).double()
        self.mean += self.eta_mean * self.sigma * (weights @ self._draws)
        self.sigma = (self.sigma * (self.eta_sigma / 2 * spread).exp()).clamp(SMALLEST, LARGEST)

    def best(self) -> Points:
        return Points(self.mean.float()[None])

    def state(self) -> dict[str, Any]:
        return {
            "mean": self.mean.clone(),
            "sigma": self.sigma.clone(),
            "generator": self.generator.get_state(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        self.mean, self.sigma = state["mean"].clone(), state["sigma"].clone()
        self.generator.set_state(state["generator"])

"""Exponential natural evolution strategy."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from algorithms.evolution_strategies.natural import LARGEST, SMALLEST, utilities
from algorithms.options import NonNegative, Pairs, Positive, default_population, generation_size
from algorithms.shaping import informative
from harness.core import Algorithm, Budget, Points, Population, Space, ranges


class XNES(Algorithm):
    """Natural gradient on the mean and the full covariance, in exponential coordinates.

    Points are ``z_i = mean + sigma B s_i`` with s_i normal and det B = 1. With the utilities u of the ranks
    (sum 0), ``G = sum u_i (s_i s_i' - I)`` and ``g = tr(G)/d``:
    ``mean <- mean + eta_mean sigma B sum u_i s_i``, ``sigma <- sigma exp(eta_sigma/2 g)``,
    ``B <- B exp(eta_shape/2 (G - g I))``, where exp is the matrix exponential.

    G has the rank of the population at most, so that its exponential costs O(n d^2) and O(d^2) memory.
    The last generation takes up to half a population more or less, so that the budget is spent.

    Args:
        sigma: initial step size of every coordinate, in units of scale.
        population: None for 4 + floor(3 ln d).
        eta_mean: rate of the mean.
        eta_sigma: rate of the step size; None for .6 (3 + ln d)/(d sqrt d).
        eta_shape: rate of the shape B; None for the same.

    ``best()`` is the mean.

    Source: Glasmachers, Schaul, Sun, Wierstra & Schmidhuber, Exponential Natural Evolution Strategies,
    2010; defaults: Wierstra et al., Natural Evolution Strategies, 2014.

    >>> from harness.core import Block
    >>> es = XNES(Space([Block("x", (4,), "vector")]), Budget(100), seed=0)
    >>> asked = es.ask(remaining=100)
    >>> es.tell(asked, (asked.values.double() ** 2).sum(1))
    >>> round(float(torch.linalg.det(es.shape)), 6)
    1.0
    """

    family = "evolution strategies"
    source = "Glasmachers et al. 2010"
    search = ranges(sigma=(0.1, 10.0))
    largest_dimension = 500
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
        eta_shape: NonNegative | None = None,
    ) -> None:
        super().__init__(space, budget, seed)
        d, device = space.size, space.device
        self.generator = torch.Generator(device).manual_seed(seed)
        self.population = population or default_population(d)
        published = 0.6 * (3 + math.log(d)) / (d * math.sqrt(d))
        self.eta_mean = eta_mean
        self.eta_sigma = published if eta_sigma is None else eta_sigma
        self.eta_shape = published if eta_shape is None else eta_shape
        self.sigma = float(sigma)
        self.mean = torch.zeros(d, dtype=torch.float64, device=device)
        self.shape = torch.eye(d, dtype=torch.float64, device=device)
        self._draws = torch.zeros(0, d, dtype=torch.float64, device=device)

    def ask(self, remaining: int) -> Points | None:
        size = generation_size(self.population, remaining)
        if size < 1:
            return None
        self._draws = torch.randn(
            size, self.space.size, generator=self.generator, dtype=torch.float64, device=self.mean.device
        )
        return Points((self.mean + self.sigma * (self._draws @ self.shape.T)).float())

    def tell(self, population: Population, losses: Tensor, gradients: Tensor | None = None) -> None:
        if not informative(losses):
            return
        weights, d = utilities(losses).to(self.mean.device), self.space.size
        self.mean += self.eta_mean * self.sigma * (self.shape @ (weights @ self._draws))
        # As the utilities sum to zero, G = S' diag(u) S: its eigenvectors off zero lie in the draws' span.
        span, inner = torch.linalg.qr(self._draws.T)
        values, vectors = torch.linalg.eigh((inner * weights) @ inner.T)
        axes = span @ vectors
        trace = float(values.sum()) / d
        self.sigma = min(max(self.sigma * math.exp(self.eta_sigma / 2 * trace), SMALLEST), LARGEST)
        rate = self.eta_shape / 2
        shrink = math.exp(-rate * trace)
        widened = (self.shape @ axes) * (rate * values).expm1()
        stretched = torch.addmm(self.shape, widened, axes.T, beta=shrink, alpha=shrink)
        if float(torch.linalg.vector_norm(stretched, math.inf)) <= LARGEST:
            self.shape = stretched

    def best(self) -> Points:
        return Points(self.mean.float()[None])

    def state(self) -> dict[str, Any]:
        return {
            "mean": self.mean.clone(),
            "sigma": self.sigma,
            "shape": self.shape.clone(),
            "generator": self.generator.get_state(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        self.sigma = state["sigma"]
        self.mean, self.shape = state["mean"].clone(), state["shape"].clone()
        self.generator.set_state(state["generator"])

"""Matrix adaptation with a limited memory: a few direction vectors in place of a matrix."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from algorithms.evolution_strategies.constants import member_weights
from algorithms.evolution_strategies.normal_search import NormalSearch
from algorithms.options import Count, Pairs, Positive, default_population
from algorithms.shaping import log_rank_weights
from harness.core import Budget, Space, ranges

_LEAST_DIMENSION = 4


class LMMAES(NormalSearch):
    """LM-MA-ES: samples ``mean + sigma A z`` with A a product of rank-one maps; O(m d) time and memory.

    ``A z``: from z on, for i = 0..m-1 in turn, ``z <- (1 - c_d,i) z + c_d,i m_i (m_i' z)``, only as many
    of them as there were generations. With z_w the best half's draws, recombined by weights proportional
    to ln(mu + 1/2) - ln(rank):

    - ``mean <- mean + sigma A z_w``
    - ``p <- (1 - c_s) p + sqrt(mu_w c_s (2 - c_s)) z_w``, ``sigma <- sigma exp(c_s/2 (|p|^2/d - 1))``
    - ``m_i <- (1 - c_c,i) m_i + sqrt(mu_w c_c,i (2 - c_c,i)) z_w``

    with c_s = 2 lambda/d, c_d,i = 1.5^-i/d and c_c,i = lambda/(4^i d), c_s and c_c at most 1. It is made for
    many coordinates: under 4 of them the vectors m_i grow without bound, and it declines. A search that
    diverges starts again from its mean with the first sigma.

    Args:
        sigma: the first step size, in units of scale.
        population: candidates in a generation, lambda; None for 4 + floor(3 ln d).
        vectors: how many direction vectors, m; None for 4 + floor(3 ln d).

    ``best()`` is the mean.

    Source: Loshchilov, Glasmachers & Beyer, Limited-Memory Matrix Adaptation for Large Scale Black-box
    Optimization, arXiv 1705.06693, 2017.

    >>> from harness.core import Block
    >>> search = LMMAES(Space([Block("x", (4,), "vector")]), Budget(100), seed=0)
    >>> asked = search.ask(remaining=100)
    >>> search.tell(asked, (asked.values.double() ** 2).sum(1))
    >>> search.directions.shape
    torch.Size([8, 4])
    """

    source = "Loshchilov 2017"
    search = ranges(sigma=(0.1, 10.0))
    largest_dimension = 1_000_000
    kept = ("directions", "_count", "_path")

    def __init__(
        self,
        space: Space,
        budget: Budget,
        seed: int,
        *,
        sigma: Positive = 1.0,
        population: Pairs | None = None,
        vectors: Count | None = None,
    ) -> None:
        self.vectors = vectors or default_population(space.size)
        super().__init__(space, budget, seed, sigma=sigma, population=population)

    @classmethod
    def misfit(cls, dimension: int, budget: int, **options: Any) -> str | None:
        if dimension < _LEAST_DIMENSION:
            return f"{dimension} coordinates are under the {_LEAST_DIMENSION} that its rates are stable for"
        return super().misfit(dimension, budget, **options)

    def _begin(self) -> None:
        self.directions = self._zeros(self.vectors, self.space.size)
        self._path = self._zeros(self.space.size)
        self._count = 0

    def _transformed(self, draws: Tensor) -> Tensor:
        # The scalars s_i = m_i' z of all steps solve one triangular system, so that the product of maps
        # costs two matrix products, not m passes. With a_i = c_i/(1 - c_i) and P the product of all 1 - c_i,
        # A z = P (z + sum_i a_i u_i m_i), where u_i = m_i' z + sum_{j<i} a_j (m_i' m_j) u_j.
        used = self.directions[: self._count]
        if not len(used):
            return draws
        index = torch.arange(len(used), dtype=torch.float64, device=draws.device)
        rates = (1.5**-index / self.space.size).clamp(max=0.5)
        odds = rates / (1 - rates)
        system = torch.eye(len(used), dtype=torch.float64, device=draws.device)
        system = system - (used @ used.T * odds).tril(-1)
        inner = torch.linalg.solve_triangular(system, used @ draws.T, upper=False, unitriangular=True)
        return (1 - rates).prod() * torch.addmm(draws, (odds[:, None] * inner).T, used)

    def _update(self, draws: Tensor, losses: Tensor) -> None:
        n, d = draws.shape
        best = log_rank_weights(n // 2).double()
        mu_w = 1 / float(best.square().sum())
        weights = member_weights(losses, torch.cat([best, best.new_zeros(n - n // 2)]))
        z = weights.to(draws.device) @ draws
        self.mean = self.mean + self.sigma * self._transformed(z[None])[0]
        c_s = min(1.0, 2 * n / d)
        self._path = (1 - c_s) * self._path + math.sqrt(mu_w * c_s * (2 - c_s)) * z
        index = torch.arange(self.vectors, dtype=torch.float64, device=draws.device)[:, None]
        c_c = (n / (4**index * d)).clamp(max=1)
        self.directions.mul_(1 - c_c).addcmul_((mu_w * c_c * (2 - c_c)).sqrt(), z)
        self.sigma *= math.exp(c_s / 2 * (float(self._path.square().sum()) / d - 1))
        self._count += 1

    def _spread(self) -> float:
        # |A z| <= |z| prod (1 + c_d,i |m_i|^2), and the vectors are bounded like sums of normal draws.
        return self.sigma

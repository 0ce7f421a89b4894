"""Covariance matrix adaptation with a diagonal covariance matrix."""

from __future__ import annotations

import math

from torch import Tensor

from algorithms.evolution_strategies.constants import CONDITION_LIMIT, cma_constants, member_weights
from algorithms.evolution_strategies.normal_search import NormalSearch
from algorithms.options import Pairs, Positive
from harness.core import Budget, Space, ranges


class SepCMAES(NormalSearch):
    """Separable CMA-ES: as ``cma-es`` without negative weights, with C diagonal; O(d) time and memory.

    Paths, mean and sigma move as in ``cma-es``; with the variances c in place of C,

    ``c <- (1 - c_1 - c_mu + (1 - h) c_1 c_c (2 - c_c)) c + c_1 p_c^2 + c_mu sum w_i y_i^2``

    where c_1 and c_mu are (d + 2)/3 times those of the full matrix, and c_mu is at most 1 - c_1. Variances
    are held above 1e-14 of the largest. A search that diverges starts again from its mean with the first
    sigma.

    Args:
        sigma: the first step size, in units of scale.
        population: candidates in a generation; None for 4 + floor(3 ln d).

    ``best()`` is the mean.

    Source: Ros & Hansen, A Simple Modification in CMA-ES Achieving Linear Time and Space Complexity, 2008.

    >>> from harness.core import Block
    >>> search = SepCMAES(Space([Block("x", (4,), "vector")]), Budget(100), seed=0)
    >>> asked = search.ask(remaining=100)
    >>> search.tell(asked, (asked.values.double() ** 2).sum(1))
    >>> search.variances.shape
    torch.Size([4])
    """

    source = "Ros & Hansen 2008"
    search = ranges(sigma=(0.1, 10.0))
    largest_dimension = 1_000_000
    kept = ("variances", "_count", "_path_sigma", "_path_c")

    def __init__(
        self,
        space: Space,
        budget: Budget,
        seed: int,
        *,
        sigma: Positive = 1.0,
        population: Pairs | None = None,
    ) -> None:
        super().__init__(space, budget, seed, sigma=sigma, population=population)

    def _begin(self) -> None:
        d = self.space.size
        self.variances = self._zeros(d) + 1
        self._count = 0
        self._path_sigma, self._path_c = self._zeros(d), self._zeros(d)

    def _transformed(self, draws: Tensor) -> Tensor:
        return draws * self.variances.sqrt()

    def _update(self, draws: Tensor, losses: Tensor) -> None:
        n, d = draws.shape
        k = cma_constants(d, n)
        c_1 = k.c_1 * (d + 2) / 3
        c_mu = min(1 - c_1, k.c_mu * (d + 2) / 3)
        weights = member_weights(losses, k.positive).to(draws.device)
        z = weights @ draws
        y = z * self.variances.sqrt()
        self.mean = self.mean + self.sigma * y
        self._count += 1
        self._path_sigma = (1 - k.c_sigma) * self._path_sigma + math.sqrt(
            k.c_sigma * (2 - k.c_sigma) * k.mu_eff
        ) * z
        length = float(self._path_sigma.norm()) / k.chi
        settled = length < (1.4 + 2 / (d + 1)) * math.sqrt(1 - (1 - k.c_sigma) ** (2 * self._count))
        self._path_c = (1 - k.c_c) * self._path_c
        if settled:
            self._path_c += math.sqrt(k.c_c * (2 - k.c_c) * k.mu_eff) * y
        keep = 1 - c_1 - c_mu + (0.0 if settled else c_1 * k.c_c * (2 - k.c_c))
        # sum w_i y_i^2 = c sum w_i z_i^2
        growth = keep + c_mu * (weights @ draws.square())
        variances = self.variances * growth + c_1 * self._path_c.square()
        self.variances = variances.clamp(min=float(variances.max()) / CONDITION_LIMIT)
        self.sigma *= math.exp(k.c_sigma / k.d_sigma * (length - 1))

    def _spread(self) -> float:
        return self.sigma * math.sqrt(float(self.variances.max()))

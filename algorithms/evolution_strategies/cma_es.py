"""Covariance matrix adaptation with a full covariance matrix."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from algorithms.evolution_strategies.constants import CONDITION_LIMIT, cma_constants, member_weights
from algorithms.evolution_strategies.normal_search import NormalSearch
from algorithms.options import Pairs, Positive
from harness.core import Budget, Space, ranges


class CMAES(NormalSearch):
    """CMA-ES: samples ``mean + sigma y``, ``y = C^(1/2) z``, ``z ~ N(0, I)``, and adapts mean, sigma and C.

    With weights w of the ranked members, of which the positive ones sum to 1 and make z_w, y_w:

    - ``mean <- mean + sigma y_w``
    - ``p_s <- (1 - c_s) p_s + sqrt(c_s (2 - c_s) mu_eff) z_w``
    - ``sigma <- sigma exp(c_s/d_s (|p_s|/chi - 1))``
    - ``p_c <- (1 - c_c) p_c + h sqrt(c_c (2 - c_c) mu_eff) y_w``, where h is 0 while p_s is long, else 1
    - ``C <- (1 - c_1 - c_mu sum w + (1 - h) c_1 c_c (2 - c_c)) C + c_1 p_c p_c' + c_mu sum w_i y_i y_i'``,
      in which a negative w_i is multiplied by ``d / |z_i|^2``.

    The root of C is the symmetric one, so that the signs and the order of eigenvectors do not matter. it is
    taken anew after max(1, floor(1 / (10 d (c_1 + c_mu)))) generations, and eigenvalues are then raised to
    1e-14 of the largest. A search that diverges, or whose C cannot be decomposed, starts again from its mean
    with the first sigma.

    Args:
        sigma: the first step size, in units of scale.
        population: candidates in a generation; None for 4 + floor(3 ln d).
        active: whether the worse half gets negative weights.

    ``best()`` is the mean.

    Source: Hansen, The CMA Evolution Strategy: A Tutorial, 2016.

    >>> from harness.core import Block
    >>> search = CMAES(Space([Block("x", (4,), "vector")]), Budget(100), seed=0)
    >>> asked = search.ask(remaining=100)
    >>> search.tell(asked, (asked.values.double() ** 2).sum(1))
    >>> search.covariance.shape
    torch.Size([4, 4])
    """

    source = "Hansen 2016"
    search = ranges(sigma=(0.1, 10.0))
    largest_dimension = 2000
    kept = ("covariance", "_axes", "_lengths", "_steps", "_age", "_count", "_path_sigma", "_path_c")

    def __init__(
        self,
        space: Space,
        budget: Budget,
        seed: int,
        *,
        sigma: Positive = 1.0,
        population: Pairs | None = None,
        active: bool = True,
    ) -> None:
        self.active = active
        super().__init__(space, budget, seed, sigma=sigma, population=population)

    def _begin(self) -> None:
        d = self.space.size
        self.covariance = torch.eye(d, dtype=torch.float64, device=self.space.device)
        # The root is V diag(lengths) V', which is not formed: two thin products are cheaper than a full one.
        self._axes, self._lengths = self.covariance.clone(), self._zeros(d) + 1
        self._steps = self._zeros(0, d)
        self._age = self._count = 0
        self._path_sigma, self._path_c = self._zeros(d), self._zeros(d)

    def _draw(self, size: int) -> Tensor:
        constants = cma_constants(self.space.size, self.population)
        interval = max(1, math.floor(1 / (10 * self.space.size * (constants.c_1 + constants.c_mu))))
        if self._age >= interval:
            self._decompose()
        return super()._draw(size)

    def _transformed(self, draws: Tensor) -> Tensor:
        return ((draws @ self._axes) * self._lengths) @ self._axes.T

    def _keep(self, steps: Tensor) -> None:
        self._steps = steps

    def _update(self, draws: Tensor, losses: Tensor) -> None:
        n, d = draws.shape
        k = cma_constants(d, n)
        recombine = member_weights(losses, k.positive).to(draws.device)
        z = recombine @ draws
        y = recombine @ self._steps
        self.mean = self.mean + self.sigma * y
        self._count += 1
        self._age += 1
        self._path_sigma = (1 - k.c_sigma) * self._path_sigma + math.sqrt(
            k.c_sigma * (2 - k.c_sigma) * k.mu_eff
        ) * z
        length = float(self._path_sigma.norm()) / k.chi
        settled = length < (1.4 + 2 / (d + 1)) * math.sqrt(1 - (1 - k.c_sigma) ** (2 * self._count))
        self._path_c = (1 - k.c_c) * self._path_c
        if settled:
            self._path_c += math.sqrt(k.c_c * (2 - k.c_c) * k.mu_eff) * y

        weights = recombine
        if self.active:
            weights = member_weights(losses, k.signed).to(draws.device)
            scaled = weights * d / draws.square().sum(1).clamp(min=1e-300)
            weights = torch.where(weights < 0, scaled, weights)
        total = float(k.signed.sum()) if self.active else 1.0
        keep = 1 - k.c_1 - k.c_mu * total + (0.0 if settled else k.c_1 * k.c_c * (2 - k.c_c))
        rows = torch.cat([self._steps, self._path_c[None]])
        rates = torch.cat([k.c_mu * weights, weights.new_full((1,), k.c_1)])
        self.covariance.addmm_((rows * rates[:, None]).T, rows, beta=keep)
        self.sigma *= math.exp(k.c_sigma / k.d_sigma * (length - 1))

    def _decompose(self) -> None:
        self._age = 0
        try:
            values, vectors = _eigh(self.covariance)
        except (np.linalg.LinAlgError, torch.linalg.LinAlgError):
            values, vectors = self.covariance.new_full((1,), torch.nan), self.covariance
        least, largest = float(values[0]), float(values[-1])
        if not (math.isfinite(least) and math.isfinite(largest) and largest > 0):
            self.sigma = self.first_sigma
            self._begin()
            return
        if least < largest / CONDITION_LIMIT:
            values = values.clamp(min=largest / CONDITION_LIMIT)
            self.covariance = (vectors * values) @ vectors.T
        self._axes, self._lengths = vectors, values.sqrt()

    def _spread(self) -> float:
        return self.sigma * math.sqrt(max(0.0, float(self.covariance.diagonal().max())))


def _eigh(matrix: Tensor) -> tuple[Tensor, Tensor]:
    if matrix.device.type != "cpu":
        values, vectors = torch.linalg.eigh(matrix)
        return values, vectors
    # A sixth faster than torch's on one thread (d = 500), and nearly all of this algorithm's time.
    pair = np.linalg.eigh(matrix.numpy())
    return torch.from_numpy(pair.eigenvalues), torch.from_numpy(pair.eigenvectors)

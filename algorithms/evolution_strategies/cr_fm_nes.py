"""A fast moving natural evolution strategy with a covariance of one direction and a diagonal."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from algorithms.evolution_strategies.constants import member_weights
from algorithms.evolution_strategies.normal_search import NormalSearch
from algorithms.options import Pairs, Positive
from algorithms.shaping import ranks
from harness.core import Budget, Space, ranges


class CRFMNES(NormalSearch):
    """CR-FM-NES: samples ``mean + sigma D y``, ``cov(y) = I + v v'``, and follows the natural gradient.

    Draws come in pairs z, -z, and ``y = z + (sqrt(1 + |v|^2) - 1) v (v'z)/|v|^2``. Ranked members have the
    weights ``max(0, ln(lambda/2 + 1) - ln(rank))``, normalised, less 1/lambda. The path p_s of the recombined
    draws tells where the search is:

    - *moving* (|p_s| >= chi = E|N(0, I)|): a member's weight is multiplied by exp(alpha |z|) before it is
      normalised, so that far ones pull more, and the rate of sigma is 1;
    - *stagnating* (|p_s| >= 0.1 chi), or *converging* (below): the rank weights and a rate of their own.

    Then ``mean <- mean + sum w_i (x_i - mean)``, ``sigma <- sigma exp(rate/2 sum w_i (|z_i|^2/d - 1))``, and
    v and D take the step of the natural gradient, in which p_c, the path of the mean, counts as one member
    more. It goes along v and D at once, with the coupling between them damped where their Fisher matrix
    would not be positive definite. D is scaled so that the determinant of the covariance of D y is 1.

    Failed members are ranked after all others, by |z|, and fewer successful ones lower the rates. For d <= 5
    p_c has no weight. Time and memory are O(d). A search that diverges, or whose D does not stay positive,
    starts again from its mean with the first sigma.

    Args:
        sigma: the first step size, in units of scale.
        population: candidates in a generation, raised to an even number; None for 4 + floor(3 ln d).

    ``best()`` is the mean.

    Source: Nomura & Ono, Fast Moving Natural Evolution Strategy for High-Dimensional Problems, 2022; the
    gradient: Akimoto, Auger & Hansen, Comparison-Based Natural Gradient Optimization in High Dimension, 2014.

    >>> from harness.core import Block
    >>> search = CRFMNES(Space([Block("x", (4,), "vector")]), Budget(100), seed=0)
    >>> asked = search.ask(remaining=100)
    >>> search.tell(asked, (asked.values.double() ** 2).sum(1))
    >>> search.direction.shape, search.diagonal.shape
    (torch.Size([4]), torch.Size([4]))
    """

    source = "Nomura & Ono 2022"
    search = ranges(sigma=(0.1, 10.0))
    largest_dimension = 1_000_000
    multiple = 2
    kept = ("direction", "diagonal", "_path_sigma", "_path_c")

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
        self.direction, self.diagonal = self._zeros(d), self._zeros(d) + 1
        self._path_sigma, self._path_c = self._zeros(d), self._zeros(d)

    def _draw(self, size: int) -> Tensor:
        if not bool(self.direction.any()):  # where v has no natural gradient: v ~ N(0, I/d) to begin with
            self.direction = super()._draw(1)[0] / math.sqrt(self.space.size)
        half = super()._draw(size // 2)
        return torch.cat([half, -half])

    def _transformed(self, draws: Tensor) -> Tensor:
        return self._rotated(draws) * self.diagonal

    def _rotated(self, draws: Tensor) -> Tensor:
        """The members y ``[n, d]``, before they are scaled by D."""
        square = self.direction.square().sum()
        share = ((1 + square).sqrt() - 1) / square * (draws @ self.direction)
        return torch.addcmul(draws, share[:, None], self.direction)

    def _update(self, draws: Tensor, losses: Tensor) -> None:
        n, d = draws.shape
        k = _constants(d, n)
        far = draws.square().sum(1)
        failed = losses.isnan() | (losses == torch.inf)
        count = n - int(failed.sum())
        places = torch.where(failed, n + far.cpu(), ranks(losses))
        positive = member_weights(places, k.positive).to(draws.device)
        self._path_sigma = (1 - k.c_sigma) * self._path_sigma + math.sqrt(
            k.c_sigma * (2 - k.c_sigma) * k.mu_eff
        ) * (positive @ draws)
        length = float(self._path_sigma.norm()) / k.chi
        if length >= 1:
            alpha = k.h_inverse * min(1.0, math.sqrt(n / d)) * math.sqrt(count / n)
            distances = far.sqrt()
            positive = positive * (alpha * (distances - distances.max())).exp()
            positive = positive / positive.sum()
        weights = positive - 1 / n
        y = self._rotated(draws)
        shift = self.diagonal * (weights @ y)
        self.mean = self.mean + self.sigma * shift
        self._path_c = (1 - k.c_c) * self._path_c + math.sqrt(k.c_c * (2 - k.c_c) * k.mu_eff) * shift
        rows = torch.cat([y, (self._path_c / self.diagonal)[None]])
        rate_one = k.c_1 * count / n
        rates = torch.cat([k.eta_b(count) * weights, weights.new_full((1,), rate_one)])
        along, scaling = natural_gradient(self.direction, rows, rates)
        self.direction = self.direction + along
        self.diagonal = self.diagonal * (1 + scaling)
        root = (self.diagonal.log().sum() + 0.5 * self.direction.square().sum().log1p()) / d
        self.diagonal = self.diagonal / root.exp()
        self.sigma *= math.exp(k.eta_sigma(length, count) / 2 * (float(weights @ far) / d))

    def _spread(self) -> float:
        # The sum is nan as soon as one entry of D was negative, and its logarithm nan.
        return self.sigma * float(self.diagonal.max() * self.direction.square().sum().add(1).sqrt())


def natural_gradient(v: Tensor, rows: Tensor, rates: Tensor) -> tuple[Tensor, Tensor]:
    """The step of v, and of D relative to D, for members ``[n, d]`` in units of D and their rates ``[n]``.

    The sum of ``rates[i]`` times the natural gradient of the log-density of ``N(0, D (I + v v') D)`` at
    member i. It is linear in the members' moments, so that everything but those is of size d.

    >>> along, scaling = natural_gradient(torch.ones(2), torch.tensor([[1.0, 1.0]]), torch.ones(1))
    >>> along.shape, scaling.shape
    (torch.Size([2]), torch.Size([2]))
    """
    square = float(v.square().sum())
    norm, gamma = math.sqrt(square), 1 + square
    unit = v / norm
    units = unit.square()
    inner = rows @ unit
    mass = float(rates.sum())
    crossed = (rates * inner) @ rows
    # 1 is the exact Fisher matrix of (v, D); less keeps it invertible when v leans on few coordinates.
    room = math.sqrt(square**2 + (2 * gamma - math.sqrt(gamma)) / float(units.max())) / (2 + square)
    alpha = min(1.0, room)
    b = 2 * alpha**2 - (1 - alpha**2) * square**2 / gamma
    inverse = 1 / (2 - (b + 2 * alpha**2) * units)

    t = crossed - unit * ((float(rates @ inner.square()) + gamma * mass) / 2)
    s = rates @ rows.square() - (square / gamma) * unit * crossed - mass
    s = s - (alpha / gamma) * ((2 + square) * unit * t - square * units * float(unit @ t))
    lean = inverse * units
    s = inverse * s - (b / (1 + b * float(units @ lean)) * float(lean @ s)) * lean
    t = t - alpha * ((2 + square) * unit * s - unit * float(units @ s))
    return t / norm, s


@dataclass(frozen=True)
class _Constants:
    dimension: int
    population: int
    positive: Tensor
    mu_eff: float
    c_sigma: float
    c_c: float
    c_1: float
    chi: float
    h_inverse: float

    def eta_b(self, successful: int) -> float:
        """Rate of v and D."""
        most = min(0.02 * successful, 3 * math.log(self.dimension))
        return math.tanh((most + 5) / (0.23 * self.dimension + 25))

    def eta_sigma(self, length: float, successful: int) -> float:
        """Rate of sigma, given |p_s| / chi."""
        d = self.dimension
        if length >= 1:
            return 1.0
        if length >= 0.1:
            return math.tanh((0.024 * successful + 0.7 * d + 20) / (d + 12))
        return 2 * math.tanh((0.025 * successful + 0.75 * d + 10) / (d + 4))


@lru_cache(maxsize=16)
def _constants(d: int, population: int) -> _Constants:
    raw = (math.log(population / 2 + 1) - torch.arange(1, population + 1).double().log()).clamp(min=0)
    positive = raw / raw.sum()
    mu_eff = 1 / float(positive.square().sum())
    # The root of (1 + h^2) exp(h^2 / 2) = 0.24 (d + 10), by Newton's method from above.
    h = math.sqrt(2 * math.log(0.24 * (d + 10)))
    for _ in range(50):
        growth = math.exp(h * h / 2)
        h -= ((1 + h * h) * growth - 0.24 * (d + 10)) / (h * growth * (3 + h * h))
    return _Constants(
        dimension=d,
        population=population,
        positive=positive,
        mu_eff=mu_eff,
        c_sigma=(mu_eff + 2) / (d + mu_eff + 5),
        c_c=(4 + mu_eff / d) / (d + 4 + 2 * mu_eff / d),
        c_1=2 / ((d + 1.3) ** 2 + mu_eff) * max(0, d - 5) / 6,
        chi=math.sqrt(d) * (1 - 1 / (4 * d) + 1 / (21 * d**2)),
        h_inverse=h,
    )

"""The constants of CMA-ES, and how losses become the weights of a generation's members."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from algorithms.shaping import worst_last

CONDITION_LIMIT = 1e14
"""Largest ratio of two variances of one distribution: beyond it eigenvalues are lost in rounding."""


@dataclass(frozen=True)
class Constants:
    """Learning rates and recombination weights for one dimension and population.

    Args:
        mu_eff: effective number of parents, ``1 / sum w_i^2`` over the positive weights.
        c_sigma: rate of the path of the step size.
        d_sigma: damping of the step size.
        c_c: rate of the path of the covariance.
        c_1: rate of the rank-one update.
        c_mu: rate of the rank-mu update.
        chi: ``E|N(0, I)|``, approximately.
        positive: float64 ``[population]`` by rank, the weights that recombine: they sum to 1, zero from
            rank floor(population / 2) on.
        signed: the same with the negative weights of the lower ranks.
    """

    mu_eff: float
    c_sigma: float
    d_sigma: float
    c_c: float
    c_1: float
    c_mu: float
    chi: float
    positive: Tensor
    signed: Tensor


@lru_cache(maxsize=16)
def cma_constants(dimension: int, population: int) -> Constants:
    """The defaults of Hansen, The CMA Evolution Strategy: A Tutorial, 2016 (revised 2023), table 1.

    >>> constants = cma_constants(10, 10)
    >>> round(constants.mu_eff, 4), round(constants.c_1, 5), round(float(constants.positive[0]), 4)
    (3.1673, 0.01528, 0.4563)
    """
    d = dimension
    raw = math.log((population + 1) / 2) - torch.arange(1, population + 1).double().log()
    plus, minus = raw.clamp(min=0), raw.clamp(max=0)
    mu_eff = float(plus.sum() ** 2 / plus.square().sum())
    mu_eff_minus = float(minus.sum() ** 2 / minus.square().sum())
    c_1 = 2 / ((d + 1.3) ** 2 + mu_eff)
    c_mu = min(1 - c_1, 2 * (0.25 + mu_eff + 1 / mu_eff - 2) / ((d + 2) ** 2 + mu_eff))
    c_sigma = (mu_eff + 2) / (d + mu_eff + 5)
    # The negative weights may cancel the decay of C, and may not take its positive definiteness.
    negative = min(1 + c_1 / c_mu, 1 + 2 * mu_eff_minus / (mu_eff + 2), (1 - c_1 - c_mu) / (d * c_mu))
    return Constants(
        mu_eff=mu_eff,
        c_sigma=c_sigma,
        d_sigma=1 + 2 * max(0.0, math.sqrt((mu_eff - 1) / (d + 1)) - 1) + c_sigma,
        c_c=(4 + mu_eff / d) / (d + 4 + 2 * mu_eff / d),
        c_1=c_1,
        c_mu=c_mu,
        chi=math.sqrt(d) * (1 - 1 / (4 * d) + 1 / (21 * d**2)),
        positive=plus / plus.sum(),
        signed=plus / plus.sum() - negative * minus / minus.sum(),
    )


def member_weights(losses: Tensor, by_rank: Tensor) -> Tensor:
    """Weights by rank ``[n]``, the best first, to those of the members: failed (nan) ones rank last.

    Tied members share the mean of their ranks' weights, so that their order does not matter.

    >>> member_weights(torch.tensor([5.0, 1.0, 5.0]), torch.tensor([0.75, 0.25, 0.0])).tolist()
    [0.125, 0.75, 0.125]
    """
    ordered, order = worst_last(losses).sort(stable=True)
    if bool((ordered[1:] == ordered[:-1]).any()):
        first = torch.searchsorted(ordered, ordered)
        after = torch.searchsorted(ordered, ordered, right=True)
        sums = torch.cat([by_rank.new_zeros(1), by_rank.cumsum(0)])
        by_rank = (sums[after] - sums[first]) / (after - first)
    return torch.empty_like(by_rank).scatter_(0, order, by_rank)

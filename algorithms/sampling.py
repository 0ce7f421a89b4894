"""What the cross-entropy method and CEMCTS share: the sampling distribution and its restarts."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from algorithms.shaping import log_rank_weights

Update = Literal["log-rank", "textbook"]


class Distribution:
    """A normal distribution with independent coordinates, and its cross-entropy update from elite values.

    With weights v that sum to 1, ``mean' = sum v x`` and ``s2 = sum v (x - old mean)^2``:
    ``mean <- mean + eta_m (mean' - mean)``, ``var <- max((1 - eta_s) var + eta_s s2, floor^2)``. The
    ``textbook`` update has equal weights, and its second moment is about mean'.

    Args:
        dimension: d.
        sigma: initial standard deviation of every coordinate.
        eta_mean: rate of the mean.
        eta_std: rate of the variance.
        floor: least standard deviation.
        update: ``log-rank`` or ``textbook``.

    Source: Rubinstein, The Cross-Entropy Method for Combinatorial and Continuous Optimization, 1999.

    >>> normal = Distribution(1, 1.0, 1.0, 1.0, 0.0, "textbook")
    >>> normal.update(slice(None), torch.tensor([[1.0], [3.0]]))
    >>> normal.mean.tolist(), normal.std.tolist()
    ([2.0], [1.0])
    """

    def __init__(
        self, dimension: int, sigma: float, eta_mean: float, eta_std: float, floor: float, update: Update
    ) -> None:
        self.sigma, self.eta_mean, self.eta_std = sigma, eta_mean, eta_std
        self.floor, self.textbook = floor, update == "textbook"
        self.mean = torch.zeros(dimension)
        self.var = torch.full((dimension,), float(sigma) ** 2)

    @property
    def std(self) -> Tensor:
        """Standard deviation ``[d]``."""
        return self.var.sqrt()

    def update(self, coordinates: Tensor | slice, elites: Tensor) -> None:
        """Move some coordinates towards elite values ``[n, coordinates]``, the best first."""
        count = len(elites)
        weights = torch.full((count,), 1.0 / count) if self.textbook else log_rank_weights(count)
        old = self.mean[coordinates]
        new = weights @ elites
        spread = weights @ (elites - (new if self.textbook else old)).square()
        var = (1 - self.eta_std) * self.var[coordinates] + self.eta_std * spread
        self.mean[coordinates] = old + self.eta_mean * (new - old)
        # With a rate of 0 nothing moves, not even to the floor.
        self.var[coordinates] = var.clamp(min=self.floor**2) if self.eta_std else self.var[coordinates]

    def restart(self, mean: Tensor) -> None:
        """Around a point, with the initial standard deviation."""
        self.mean = mean.clone()
        self.var = torch.full_like(self.var, float(self.sigma) ** 2)


class Incumbent:
    """The best of the distribution's means, and when to restart from it.

    Args:
        dimension: d; the start is the incumbent until a mean is evaluated.
        patience: restart after so many means in a row that improve nothing; None for never.
        collapse: restart when the largest standard deviation is below this.

    >>> incumbent = Incumbent(2, patience=2, collapse=0.0)
    >>> [incumbent.meet(torch.zeros(2), torch.ones(2), loss) for loss in (1.0, 2.0, float("nan"))]
    [False, False, True]
    """

    def __init__(self, dimension: int, patience: int | None, collapse: float) -> None:
        self.patience, self.collapse = patience, collapse
        self.mean = torch.zeros(dimension)
        self.loss = math.inf
        self._stale = 0

    def meet(self, mean: Tensor, std: Tensor, loss: float) -> bool:
        """Take in the loss of a mean (a failed one, nan, improves nothing); True if it is time to restart."""
        self._stale += 1
        if loss < self.loss:
            self.mean, self.loss, self._stale = mean.clone(), loss, 0
        if self.patience is None or (self._stale < self.patience and float(std.max()) >= self.collapse):
            return False
        self._stale = 0
        return True


def elite_count(share: float, count: int) -> int:
    """``ceil(share * count)``, two at least where there are two.

    >>> elite_count(0.25, 20), elite_count(0.1, 5), elite_count(0.5, 1)
    (5, 2, 1)
    """
    return min(count, max(2, math.ceil(share * count)))

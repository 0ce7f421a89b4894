"""What a failed evaluation counts as, and how losses become weights."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor

Shaping = Literal["raw", "z-score", "centred-rank"]


def informative(losses: Tensor) -> bool:
    """Whether anything can be learnt: two losses differ, a failed one (nan) counting as infinite.

    >>> informative(torch.tensor([1.0, float("nan")])), informative(torch.full((2,), float("nan")))
    (True, False)
    """
    return len({math.inf if math.isnan(loss) else loss for loss in losses.tolist()}) > 1


def worst_last(losses: Tensor) -> Tensor:
    """Losses float64 that can be sorted: a failed evaluation (nan) counts as infinite.

    >>> worst_last(torch.tensor([1.0, float("nan")])).tolist()
    [1.0, inf]
    """
    return losses.double().nan_to_num(nan=torch.inf, posinf=torch.inf, neginf=-torch.inf)


def finite(losses: Tensor) -> Tensor:
    """Losses float64 that can be subtracted: nan and inf count as the worst finite loss of the generation.

    -inf counts as the best finite one; where none is finite all are zero.

    >>> finite(torch.tensor([1.0, float("nan"), 3.0])).tolist()
    [1.0, 3.0, 3.0]
    """
    losses = losses.double()
    if all(map(math.isfinite, losses.tolist())):  # of a few numbers sooner than torch
        return losses
    good = losses[losses.isfinite()]
    if not len(good):
        return torch.zeros_like(losses)
    worst, best = float(good.max()), float(good.min())
    return losses.nan_to_num(nan=worst, posinf=worst, neginf=best)


class WorstSoFar:
    """Replaces failed (nan) and infinite losses by one that is worse than all finite ones of the run so far.

    For optimizers that compare losses of different generations. It is worse by their range, so that it
    ties with none; -inf counts as the best so far.

    >>> worst = WorstSoFar()
    >>> worst.replace(torch.tensor([2.0, 1.0])).tolist(), worst.replace(torch.tensor([torch.nan])).tolist()
    ([2.0, 1.0], [3.0])
    """

    def __init__(self) -> None:
        self.worst = -math.inf
        self.least = math.inf

    @property
    def known(self) -> bool:
        """Whether any finite loss was met."""
        return math.isfinite(self.worst)

    def replace(self, losses: Tensor, unknown: float = 1e20) -> Tensor:
        """Losses float64, all finite; ``unknown`` stands for a failed one while no finite loss is known."""
        losses = losses.double()
        good = losses[losses.isfinite()]
        if len(good):
            self.worst = max(self.worst, float(good.max()))
            self.least = min(self.least, float(good.min()))
        if not self.known:
            return losses.nan_to_num(nan=unknown, posinf=unknown, neginf=-unknown)
        failed = self.worst + max(self.worst - self.least, 1e-6 * max(1.0, abs(self.worst)))
        return losses.nan_to_num(nan=failed, posinf=failed, neginf=self.least)


def ranks(losses: Tensor) -> Tensor:
    """Ranks 0..n-1 from the least loss, float64; ties share their mean rank, nan ranks with inf, last.

    >>> ranks(torch.tensor([5.0, 1.0, 5.0, float("nan")])).tolist()
    [1.5, 0.0, 1.5, 3.0]
    """
    losses = worst_last(losses)
    ordered = losses.sort().values
    below = torch.searchsorted(ordered, losses)
    upto = torch.searchsorted(ordered, losses, right=True)
    return (below + upto - 1).double() / 2


def shape(losses: Tensor, how: Shaping) -> Tensor:
    """Losses ``[n]`` to weights float64 ``[n]``, still lower is better; equal losses weigh nothing.

    ``raw`` leaves finite losses as they are; ``z-score`` gives mean 0 and (population) standard deviation
    1; ``centred-rank`` spreads the ranks evenly over [-1/2, 1/2].

    >>> shape(torch.tensor([10.0, 30.0, 20.0]), "centred-rank").tolist()
    [-0.5, 0.5, 0.0]
    """
    if how == "centred-rank":
        return ranks(losses) / max(1, len(losses) - 1) - 0.5 if len(losses) > 1 else torch.zeros(1).double()
    clean = finite(losses)
    if how == "raw":
        return clean
    centred = clean - clean.mean()
    deviation = float(centred.square().mean().sqrt())
    return centred / deviation if deviation > 0 else torch.zeros_like(clean)


@lru_cache(maxsize=64)
def log_rank_weights(count: int) -> Tensor:
    """``ln(count + 1/2) - ln(rank)`` for rank 1..count, divided by their sum (Hansen, 2016).

    Not to be written to.

    >>> [round(weight, 3) for weight in log_rank_weights(3).tolist()]
    [0.637, 0.285, 0.078]
    """
    weights = math.log(count + 0.5) - torch.arange(1, count + 1).double().log()
    return (weights / weights.sum()).float()

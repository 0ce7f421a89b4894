"""What the natural evolution strategies share: utilities of ranks, and the limits of a step size."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from algorithms.shaping import worst_last

SMALLEST, LARGEST = 1e-30, 1e15
"""A step size stays between these, so that points remain finite float32 numbers that can differ."""


def utilities(losses: Tensor) -> Tensor:
    """``max(0, ln(n/2 + 1) - ln(rank))`` for ranks 1..n, divided by their sum, minus 1/n; float64, sum 0.

    The least loss has rank 1 and the largest utility; ties share their mean utility, nan ranks with inf.

    >>> [round(utility, 3) for utility in utilities(torch.tensor([3.0, 1.0, float("nan"), 2.0])).tolist()]
    [-0.25, 0.48, -0.25, 0.02]
    """
    count = len(losses)
    of_rank = (math.log(count / 2 + 1) - torch.arange(1, count + 1).double().log()).clamp(min=0)
    of_rank = of_rank / of_rank.sum() - 1 / count
    losses = worst_last(losses)
    ordered = losses.sort().values
    below = torch.searchsorted(ordered, losses)
    upto = torch.searchsorted(ordered, losses, right=True)
    total = torch.cat([torch.zeros(1).double(), of_rank.cumsum(0)])
    return (total[upto] - total[below]) / (upto - below)

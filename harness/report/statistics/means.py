"""Means with confidence intervals, and ranks with ties."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy import stats


class Interval(NamedTuple):
    """A mean, its confidence interval (nan with fewer than two values), and how many values it is of."""

    mean: float
    low: float
    high: float
    n: int


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """Mean and two-sided Student t interval of independent values; those that are nan do not count.

    The interval is of the mean over repetitions (data splits and seeds). It is not clipped to the range of
    a metric.

    >>> mean_interval([1.0, 2.0, 3.0])[0::3]
    (2.0, 3)
    >>> round(mean_interval([1.0, 2.0, 3.0]).low, 4)  # 2 - 4.3027 / sqrt(3)
    -0.4841
    >>> mean_interval([0.5])
    Interval(mean=0.5, low=nan, high=nan, n=1)
    """
    known = np.asarray([value for value in values if not math.isnan(value)], dtype=np.float64)
    n = len(known)
    if n == 0:
        return Interval(math.nan, math.nan, math.nan, 0)
    mean = float(known.mean())
    if n == 1:
        return Interval(mean, math.nan, math.nan, 1)
    half = float(_quantile((1 + confidence) / 2, n - 1) * known.std(ddof=1) / math.sqrt(n))
    return Interval(mean, mean - half, mean + half, n)


@lru_cache
def _quantile(share: float, freedom: int) -> float:
    """Of Student's t; a leaderboard asks for the same one a thousand times."""
    return float(stats.t.ppf(share, freedom))


def average_ranks(values: Sequence[float], direction: str) -> list[float]:
    """Ranks from 1 for the best; equal values share the mean of their places; nan has no rank.

    Args:
        values: one for each contestant.
        direction: ``max`` or ``min``: which values are better.

    >>> average_ranks([0.5, 0.9, 0.5, float("nan")], "max")
    [2.5, 1.0, 2.5, nan]
    """
    signed = np.asarray(values, dtype=np.float64) * (-1.0 if direction == "max" else 1.0)
    ranks = np.full(len(signed), math.nan)
    known = ~np.isnan(signed)
    ranks[known] = stats.rankdata(signed[known], method="average")
    return [float(rank) for rank in ranks]

"""Over several tasks of unlike size and noise: means, the spread within them, and shares of runs."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from harness.report.statistics.means import Interval

Groups = Sequence[Sequence[float] | NDArray[np.float64]]


def stratified_mean(groups: Groups, confidence: float = 0.95) -> Interval:
    """Mean over tasks of the mean over their repetitions, with a t interval about other repetitions.

    The variance is that of independent means, its degrees of freedom are Welch's and Satterthwaite's; of one
    task it is Student's interval. Without an interval where a task has one value.

    Args:
        groups: the values of each task; none missing.

    Source: Welch, The generalization of "Student's" problem when several different population variances
    are involved, 1947.

    >>> stratified_mean([[1.0, 3.0], [10.0]])
    Interval(mean=6.0, low=nan, high=nan, n=3)
    >>> round(stratified_mean([[1.0, 2.0, 3.0]]).low, 4)  # 2 - 4.3027 / sqrt(3), as of one task alone
    -0.4841
    """
    arrays = [np.asarray(group, dtype=np.float64) for group in groups]
    n = sum(len(group) for group in arrays)
    if not arrays or not all(len(group) for group in arrays):
        return Interval(math.nan, math.nan, math.nan, 0)
    mean = float(np.mean([group.mean() for group in arrays]))
    if any(len(group) < 2 for group in arrays):
        return Interval(mean, math.nan, math.nan, n)
    parts = np.asarray([group.var(ddof=1) / len(group) for group in arrays])
    if not parts.any():
        return Interval(mean, mean, mean, n)
    with np.errstate(over="ignore", invalid="ignore"):  # of what has diverged: no interval
        freedom = parts.sum() ** 2 / np.sum(parts**2 / [len(group) - 1 for group in arrays])
    half = float(stats.t.ppf((1 + confidence) / 2, freedom) * math.sqrt(parts.sum()) / len(arrays))
    return Interval(mean, mean - half, mean + half, n)


def pooled_deviation(groups: Groups, confidence: float = 0.95) -> Interval:
    """Standard deviation within tasks, pooled over them, with the chi-squared interval of normal values.

    Args:
        groups: the values of each task; none missing.

    >>> pooled_deviation([[1.0, 3.0], [10.0, 10.0]]).mean  # sqrt((2 + 0) / 2)
    1.0
    >>> pooled_deviation([[1.0], [2.0]]).n
    0
    """
    arrays = [np.asarray(group, dtype=np.float64) for group in groups]
    freedom = sum(len(group) - 1 for group in arrays if len(group))
    if freedom < 1:
        return Interval(math.nan, math.nan, math.nan, 0)
    squares = sum(float(((group - group.mean()) ** 2).sum()) for group in arrays if len(group))
    ends = stats.chi2.ppf([(1 + confidence) / 2, (1 - confidence) / 2], freedom)
    low, high = (math.sqrt(squares / end) for end in ends)
    return Interval(math.sqrt(squares / freedom), low, high, sum(map(len, arrays)))


def share(count: int, n: int, confidence: float = 0.95) -> Interval:
    """A share of runs with Wilson's interval, which holds where the count is 0 or n too.

    Source: Wilson, Probable inference, the law of succession, and statistical inference, 1927.

    >>> share(0, 3)[:2], round(share(0, 3).high, 4)  # z^2 / (n + z^2)
    ((0.0, 0.0), 0.5615)
    """
    if not n:
        return Interval(math.nan, math.nan, math.nan, 0)
    z = float(stats.norm.ppf((1 + confidence) / 2))
    value, scale = count / n, 1 + z * z / n
    middle = (value + z * z / (2 * n)) / scale
    half = z / scale * math.sqrt(value * (1 - value) / n + z * z / (4 * n * n))
    return Interval(value, max(0.0, middle - half), min(1.0, middle + half), n)

"""Paired tests between contestants over blocks, corrected for their number."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

MINIMUM_BLOCKS = 6
"""With fewer the two-sided signed-rank test cannot get under .05: with five its smallest p is 2 / 2^5."""
MOST_FLIPPED = 13
"""Up to so many blocks p is made of all sign flips, as scipy makes it where there are ties."""
AT_ONCE = 512
"""Pairs whose sign flips are held at once."""


class Comparisons(NamedTuple):
    """Every pair of contestants.

    Args:
        p: float64 ``[contestants, contestants]``, two-sided, Holm-corrected over all pairs; nan on the
            diagonal, and everywhere where there is not enough data.
        note: ``not enough data`` with the number of blocks, or empty.
    """

    p: NDArray[np.float64]
    note: str


def holm(p: Sequence[float]) -> list[float]:
    """Holm's step-down correction: the probability of any false finding stays under the level.

    Source: Holm, A simple sequentially rejective multiple test procedure, 1979.

    >>> [round(value, 6) for value in holm([0.01, 0.04, 0.03])]  # 3 x .01; 2 x .03; max(2 x .03, .04)
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p, kind="stable")
    scaled = np.asarray(p, dtype=np.float64)[order] * np.arange(len(p), 0, -1)
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(np.maximum.accumulate(scaled), 1.0) if len(p) else scaled
    return [float(value) for value in corrected]


def paired_tests(scores: ArrayLike) -> Comparisons:
    """Wilcoxon's signed-rank test for each pair, over blocks; equal scores are ranked and dropped (Pratt).

    Args:
        scores: ``[blocks, contestants]``, none missing.

    >>> import numpy as np
    >>> better = np.arange(1.0, 9.0)
    >>> round(float(paired_tests(np.stack([better, 0 * better], axis=1)).p[0, 1], ), 6)  # 2 / 2^8
    0.007812
    >>> paired_tests(np.zeros((5, 2))).note
    'not enough data: 5 blocks, 6 are needed'
    """
    table = np.asarray(scores, dtype=np.float64)
    blocks, contestants = table.shape
    p = np.full((contestants, contestants), math.nan)
    if blocks < MINIMUM_BLOCKS:
        return Comparisons(p, f"not enough data: {blocks} blocks, {MINIMUM_BLOCKS} are needed")
    first, second = np.triu_indices(contestants, 1)
    # Rounding noise of equal scores is no difference, and must not break ties.
    raw = _signed_rank(np.round(table[:, first] - table[:, second], 12))
    p[first, second] = p[second, first] = holm(raw.tolist())
    return Comparisons(p, "")


def _signed_rank(differences: NDArray[np.float64]) -> NDArray[np.float64]:
    """Two-sided p of each column, as ``scipy.stats.wilcoxon`` gives it of one by itself.

    That decides for all columns at once whether there are ties, so those with and without go by themselves.
    """
    p = np.ones(differences.shape[1])
    differing = differences.any(axis=0)
    if len(differences) <= MOST_FLIPPED:
        p[differing] = _flipped(differences[:, differing])
        return p
    sizes = np.sort(np.abs(differences), axis=0)
    tied = (sizes[0] == 0) | (np.diff(sizes, axis=0) == 0).any(axis=0)
    for chosen in (differing & tied, differing & ~tied):
        if chosen.any():
            p[chosen] = stats.wilcoxon(differences[:, chosen], zero_method="pratt").pvalue
    return p


def _flipped(differences: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same from all sign flips of few blocks, which is exact with ties and zeros too."""
    ranks = stats.rankdata(np.abs(differences), axis=0) * (differences != 0)
    observed = (ranks * (differences > 0)).sum(axis=0)
    blocks = len(differences)
    flips = (np.arange(2**blocks)[:, None] >> np.arange(blocks)) & 1
    p = np.empty(differences.shape[1])
    for begin in range(0, len(p), AT_ONCE):
        part = slice(begin, begin + AT_ONCE)
        sums = flips @ ranks[:, part]  # halves of whole numbers, so exact
        tails = (sums >= observed[part]).mean(axis=0), (sums <= observed[part]).mean(axis=0)
        p[part] = np.minimum(1.0, 2 * np.minimum(*tails))
    return p

"""Paired tests between contestants over blocks, corrected for their number."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

MINIMUM_BLOCKS = 6
"""With fewer the two-sided signed-rank test cannot get under .05: with five its smallest p is 2 / 2^5."""


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
    pairs = list(combinations(range(contestants), 2))
    raw = [_signed_rank(table[:, a] - table[:, b]) for a, b in pairs]
    for (a, b), value in zip(pairs, holm(raw), strict=True):
        p[a, b] = p[b, a] = value
    return Comparisons(p, "")


def _signed_rank(differences: NDArray[np.float64]) -> float:
    if not differences.any():
        return 1.0
    # Rounding noise of equal scores is no difference, and must not break ties.
    return float(stats.wilcoxon(np.round(differences, 12), zero_method="pratt").pvalue)

"""Average ranks over blocks: Friedman's test and Nemenyi's critical difference.

Source: Demsar, Statistical Comparisons of Classifiers over Multiple Data Sets, 2006.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from harness.report.statistics.comparisons import MINIMUM_BLOCKS


class RankTest(NamedTuple):
    """Average ranks of contestants and whether they differ.

    Args:
        ranks: of each contestant, 1 is best.
        p: of Friedman's test that all are equal; nan where it cannot be made.
        difference: two average ranks that are nearer than this cannot be told apart; nan as above.
        blocks: over how many.
        note: why there is no test; empty if there is one.
    """

    ranks: list[float]
    p: float
    difference: float
    blocks: int
    note: str


def critical_difference(contestants: int, blocks: int, level: float = 0.05) -> float:
    """Nemenyi's critical difference of average ranks: q sqrt(k (k + 1) / (6 N)).

    Here q is the quantile of the studentised range of k samples with infinite degrees of freedom, over the
    square root of two.

    >>> round(critical_difference(4, 14), 2)  # Demsar, 2006, section 3.2.2: q = 2.569
    1.25
    """
    quantile = stats.studentized_range.ppf(1 - level, contestants, math.inf) / math.sqrt(2)
    return float(quantile * math.sqrt(contestants * (contestants + 1) / (6 * blocks)))


def friedman(scores: ArrayLike) -> RankTest:
    """Average ranks over blocks, Friedman's test (corrected for ties), and the critical difference.

    Args:
        scores: ``[blocks, contestants]``, higher is better, none missing.

    >>> friedman([[0.9, 0.5, 0.1]] * 6).ranks
    [1.0, 2.0, 3.0]
    >>> friedman([[0.9, 0.5, 0.1]]).note
    'not enough data: 1 blocks, 6 are needed'
    """
    table = np.asarray(scores, dtype=np.float64)
    blocks, contestants = table.shape
    placed = stats.rankdata(-np.round(table, 12), axis=1)
    ranks = [float(rank) for rank in placed.mean(axis=0)] if blocks else [math.nan] * contestants
    if blocks < MINIMUM_BLOCKS:
        note = f"not enough data: {blocks} blocks, {MINIMUM_BLOCKS} are needed"
        return RankTest(ranks, math.nan, math.nan, blocks, note)
    if contestants < 3:
        note = "Friedman's test needs three contestants"
        return RankTest(ranks, math.nan, math.nan, blocks, note)
    equal = bool((placed == placed[:, :1]).all())
    p = 1.0 if equal else float(stats.friedmanchisquare(*placed.T).pvalue)
    return RankTest(ranks, p, critical_difference(contestants, blocks), blocks, "")


def cliques(ranks: Sequence[float], difference: float) -> list[list[int]]:
    """The largest groups of contestants, two or more, whose average ranks cannot be told apart.

    These are the bars of a critical-difference diagram; a contestant may be in several.

    Args:
        ranks: average ranks.
        difference: the critical one.

    Returns:
        Places in ``ranks``, from the best rank on.

    >>> cliques([3.0, 1.0, 1.5, 2.2], 1.0)
    [[1, 2], [2, 3], [3, 0]]
    """
    order = sorted(range(len(ranks)), key=lambda place: ranks[place])
    groups: list[list[int]] = []
    last = 0
    for first in range(len(order)):
        end = first
        while end < len(order) and ranks[order[end]] - ranks[order[first]] < difference:
            end += 1
        if end - first > 1 and end > last:
            groups.append(order[first:end])
            last = end
    return groups

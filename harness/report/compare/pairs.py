"""An entry's cells on two sides, paired by task and repetition: differences, tests and ratios of cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.report.statistics import MINIMUM_BLOCKS, Interval, holm, mean_interval, paired_tests
from harness.report.study import LEVEL

COSTS = ("tokens", "seconds")
NO_DIFFERENCE, NOT_ENOUGH, APART = "no difference shown", "not enough data", "not compared"


@dataclass(frozen=True)
class Paired:
    """Two sides' cells of one entry on their common blocks.

    Args:
        tasks: of each block.
        scores: float64 ``[blocks, 2]``, higher is better: of the first side, and of the other.
        costs: float64 ``[blocks, 2]`` for each cost.
        sign: -1 where the metric is better when lower, so that ``scores * sign`` is the metric.
    """

    tasks: list[str]
    scores: NDArray[np.float64]
    costs: dict[str, NDArray[np.float64]]
    sign: float

    @property
    def gains(self) -> NDArray[np.float64]:
        """By how much the other side's score is better, block by block."""
        gains: NDArray[np.float64] = self.scores[:, 1] - self.scores[:, 0]
        return gains

    def difference(self) -> Interval:
        """Mean over blocks of the other's metric minus the first's, with its 95 % t interval."""
        return mean_interval((self.sign * self.gains).tolist())

    def ratio(self, cost: str) -> Interval:
        """Geometric mean over blocks of the other's cost over the first's, with its 95 % interval.

        >>> costs = {"tokens": np.array([[1.0, 2.0], [1.0, 8.0]])}
        >>> Paired(["t", "t"], np.zeros((2, 2)), costs, 1.0).ratio("tokens").mean  # (2 x 8) ** (1 / 2)
        4.0
        """
        known = self.costs[cost][(self.costs[cost] > 0).all(axis=1)]
        mean, low, high, n = mean_interval(np.log2(known[:, 1] / known[:, 0]).tolist())
        with np.errstate(over="ignore"):
            middle, least, most = (float(np.exp2(value)) for value in (mean, low, high))
        return Interval(middle, least, most, n)

    def counts(self) -> tuple[int, int]:
        """Blocks on which the other is better, and on which it is worse."""
        return int((self.gains > 0).sum()), int((self.gains < 0).sum())

    def p(self) -> float:
        """Of the paired signed-rank test, not corrected; nan for too few blocks, or if all are equal."""
        return float(paired_tests(self.scores).p[0, 1]) if self.gains.any() else math.nan


def pair(first: pd.DataFrame, other: pd.DataFrame) -> Paired:
    """The blocks on which both sides have a score, of the same repetition on the same split of the data.

    Args:
        first: cells of one entry as ``entries`` gives them, of one task or several.
        other: those of the other side.
    """
    keys = ["task", "repetition", "data_seed"]
    columns = [*keys, "score", *COSTS]
    sides = [cells.loc[cells["score"].notna(), columns].fillna({"data_seed": -1}) for cells in (first, other)]
    both = sides[0].merge(sides[1], on=keys, suffixes=("_0", "_1"))

    def columns_of(name: str) -> NDArray[np.float64]:
        return both[[f"{name}_0", f"{name}_1"]].to_numpy(dtype=np.float64, na_value=np.nan)

    directions = set(first["metric_direction"].dropna()) | set(other["metric_direction"].dropna())
    return Paired(
        [str(task) for task in both["task"]],
        columns_of("score"),
        {cost: columns_of(cost) for cost in COSTS},
        -1.0 if "min" in directions else 1.0,
    )


def verdicts(pairs: Sequence[Paired | None]) -> list[tuple[float, str]]:
    """Of each pair p, corrected by Holm over all that are tested, and in words whether the other is better.

    Those that are equal on every block, as whatever a change does not touch is, are not tested: they could
    only be found equal, and are no chance of a false finding.

    Args:
        pairs: None for one that may not be compared.

    >>> better = Paired(["t"] * 7, np.stack([np.zeros(7), np.arange(1.0, 8.0)], axis=1), {}, 1.0)
    >>> verdicts([better, None])  # 2 / 2^7
    [(0.015625, 'better'), (nan, 'not compared')]
    """
    raw = [math.nan if each is None else each.p() for each in pairs]
    tested = [place for place, p in enumerate(raw) if not math.isnan(p)]
    corrected = dict(zip(tested, holm([raw[place] for place in tested]), strict=True))
    found = []
    for place, each in enumerate(pairs):
        p = corrected.get(place, math.nan)
        found.append((p, APART if each is None else _said(each, p)))
    return found


def _said(each: Paired, p: float) -> str:
    if len(each.gains) and not each.gains.any():
        return "equal"
    if len(each.gains) < MINIMUM_BLOCKS:
        return NOT_ENOUGH
    better, worse = each.counts()
    if not p < LEVEL or better == worse:
        return NO_DIFFERENCE
    return "better" if better > worse else "worse"


def ended(name: str, interval: Sequence[Any]) -> dict[str, Any]:
    """An interval as four columns."""
    return {f"{name}{end}": value for end, value in zip(("", "_low", "_high", "_n"), interval, strict=True)}

"""From runs to verdicts: medians, tests of significance, and the summary."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from reference_comparison.pairs import Pair
from reference_comparison.trial import TARGETS

HITS = [f"to {target:g}" for target in TARGETS]
"""Columns of evaluations to each target, nan where a run did not reach it."""

COMPARED = [
    *("algorithm", "peer", "dimension", "function", "budget"),
    *(f"{column}, {who}" for column in HITS for who in ("ours", "peer")),
    *(f"{what}, {who}" for what in ("runs", "solved", "final") for who in ("ours", "peer")),
    *("target", "ratio", "place", "p", "p corrected", "verdict"),
]

LEVEL = 0.05
LEAST = 100


def places(runs: pd.DataFrame) -> np.ndarray:
    """The order of runs, smaller is better: those that reached the last target by evaluations, then the
    others by final value.

    >>> runs = pd.DataFrame({"best": [5.0, 1e-4, 0.2, 1e-5], HITS[-1]: [math.nan, 90.0, math.nan, 70.0]})
    >>> places(runs).tolist()
    [3, 1, 2, 0]
    """
    solved = runs[HITS[-1]].notna()
    keys = list(zip(~solved, runs[HITS[-1]].where(solved, runs["best"].fillna(math.inf)), strict=True))
    order = {key: place for place, key in enumerate(sorted(set(keys)))}
    return np.array([order[key] for key in keys])


def holm(values: Sequence[float]) -> list[float]:
    """Holm's step-down correction of p-values.

    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(values)
    scaled = np.array(values)[order] * np.arange(len(values), 0, -1)
    corrected = np.empty(len(values))
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(scaled))
    return [float(p) for p in corrected]


def median(values: pd.Series) -> float:
    """With nan for a run that took longer than it had: infinite if half of the runs did."""
    return float(values.fillna(math.inf).median())


def ratio_of(ours: pd.DataFrame, theirs: pd.DataFrame) -> tuple[float, float]:
    """The hardest target that more than half of the runs of both reached, and the ratio of the medians.

    nan where that took a peer's median run fewer evaluations than ``LEAST``, which chance decides.
    """
    for target, column in reversed(list(zip(TARGETS, HITS, strict=True))):
        mine, other = median(ours[column]), median(theirs[column])
        if math.isfinite(mine) and math.isfinite(other):
            return (target, mine / other) if other >= LEAST else (math.nan, math.nan)
    return math.nan, math.nan


def compare(pair: Pair, runs: pd.DataFrame, share: float = 1.0) -> pd.DataFrame:
    """A row for each function and dimension in which both have runs with the pair's population and budget."""
    rows = []
    here = runs[runs.contestant.isin([pair.ours.name, pair.peer.name])]
    for dimension, group in here.groupby("dimension"):
        if dimension not in pair.schedules:
            continue
        budget, population = pair.budget(int(dimension), share), pair.population(int(dimension))
        group = group[(group.population == population) & (group.budget == budget)]
        tested = []
        for function, both in group.groupby("function"):
            ours = both[both.contestant == pair.ours.name]
            theirs = both[both.contestant == pair.peer.name]
            if len(ours) and len(theirs):
                tested.append(_row(pair, int(dimension), str(function), ours, theirs))
        corrected = holm([row["p"] for row in tested])
        for row, p in zip(tested, corrected, strict=True):
            row["p corrected"] = p
            row["verdict"] = "equal" if p >= LEVEL else "better" if row["place"] < 0 else "worse"
        rows += tested
    return pd.DataFrame(rows, columns=COMPARED)


def _row(pair: Pair, dimension: int, function: str, ours: pd.DataFrame, theirs: pd.DataFrame) -> dict:
    order = places(pd.concat([ours, theirs]))
    mine, other = order[: len(ours)], order[len(ours) :]
    test = stats.mannwhitneyu(mine, other)
    target, ratio = ratio_of(ours, theirs)
    return {
        "algorithm": pair.ours.name,
        "peer": pair.peer.name,
        "dimension": dimension,
        "function": function,
        "budget": int(ours.budget.max()),
        **{f"{column}, {who}": median(side[column]) for column in HITS for who, side in _sides(ours, theirs)},
        **{f"runs, {who}": len(side) for who, side in _sides(ours, theirs)},
        **{f"solved, {who}": int(side[HITS[-1]].notna().sum()) for who, side in _sides(ours, theirs)},
        **{f"final, {who}": float(side.best.median()) for who, side in _sides(ours, theirs)},
        "target": target,
        "ratio": ratio,
        "place": float(test.statistic - len(mine) * len(other) / 2),
        "p": float(test.pvalue),
    }


def _sides(ours: pd.DataFrame, theirs: pd.DataFrame) -> Iterable[tuple[str, pd.DataFrame]]:
    return (("ours", ours), ("peer", theirs))


def summarise(functions: pd.DataFrame) -> pd.DataFrame:
    """A row for each pair and dimension.

    ``p all`` is of Wilcoxon's signed-rank test that the ratios scatter about 1 from function to function.
    """
    rows = []
    keys = ["algorithm", "peer", "dimension"]
    if functions.empty:
        return pd.DataFrame(columns=[*keys, "functions"])
    for key, group in functions.groupby(keys, sort=False):
        ratios = group.ratio.dropna()
        different = ratios[ratios != 1]
        rows.append(
            dict(zip(keys, key, strict=True))
            | {"functions": len(group), "runs": f"{group['runs, ours'].min()}:{group['runs, peer'].min()}"}
            | {verdict: int((group.verdict == verdict).sum()) for verdict in ("better", "equal", "worse")}
            | {
                "with ratio": len(ratios),
                "median ratio": float(ratios.median()) if len(ratios) else math.nan,
                "p all": float(stats.wilcoxon(np.log(different)).pvalue) if len(different) > 5 else math.nan,
                "note": "",
            }
        )
    return pd.DataFrame(rows)


def markdown(table: pd.DataFrame) -> str:
    """A table in Markdown, numbers with three significant digits."""
    lines = ["| " + " | ".join(table.columns) + " |", "|" + "---|" * len(table.columns)]
    for row in table.itertuples(index=False):
        lines.append("| " + " | ".join(_cell(value) for value in row) + " |")
    return "\n".join(lines)


def fill(readme: Path, sections: Mapping[str, str]) -> None:
    """Puts texts between the markers ``<!-- name -->`` and ``<!-- end of name -->`` of a file that exists."""
    if not readme.exists():
        return
    text = readme.read_text(encoding="utf-8")
    for name, section in sections.items():
        between = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end of {name} -->)", re.DOTALL)
        text = between.sub(lambda found, section=section: f"{found[1]}{section}\n{found[2]}", text)
    readme.write_text(text, encoding="utf-8")


def _cell(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, float):
        return f"{value:.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.3g}"
    return str(value)

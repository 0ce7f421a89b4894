"""Two or more results beside each other, block by block."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from harness.report.compare.naming import Pair, named
from harness.report.compare.pairs import COSTS, Paired, ended, pair, verdicts
from harness.report.compare.sides import Difference, Side, changes, differences, sides, why_apart
from harness.report.statistics import interquartile_mean, mean_interval
from harness.running.results import Results

_COST_COLUMNS = [f"{cost}_ratio{end}" for cost in COSTS for end in ("", "_low", "_high", "_n")]
_DIFFERENCE = [f"difference{end}" for end in ("", "_low", "_high", "_n")]
_SIDES = [f"{side}{end}" for side in ("first", "other") for end in ("", "_low", "_high", "_n")]

ROWS = ["task", "entry", "side", "reference", "metric", "direction", *_SIDES, *_DIFFERENCE]
ROWS += ["better", "worse", "p", "verdict", *_COST_COLUMNS, "changed", "lost", "why_not"]
OVERALL = ["entry", "side", "reference", "tasks", *_DIFFERENCE]
OVERALL += ["metric", "better", "worse", "p", "verdict", *_COST_COLUMNS]


@dataclass(frozen=True)
class Comparison:
    """What ``compare`` found; every table is plain pandas.

    Args:
        sides: the results, under letters; the first is what the others are compared with.
        rows: a row for each task, entry and other side (its letter in ``side``) that both have.
            ``first`` and ``other`` are mean test metrics over all of a side's repetitions (with ``_low``,
            ``_high``, ``_n``); ``difference`` is other - first over common blocks; ``better`` and ``worse``
            count the blocks; ``p`` is of the paired signed-rank test, Holm-corrected over the table;
            ``verdict`` is better, worse, equal (to the last bit), no difference shown, not enough data or
            not compared (then ``why_not`` says why). ``tokens_ratio`` and ``seconds_ratio`` are geometric
            means over common blocks. ``changed``: versions, settings and budget; ``lost``: repetitions
            without a clean result.
        overall: the same over the blocks of all tasks that may be compared; ``difference`` is an
            interquartile mean, where all of them have one metric.
        only: what one side has alone: ``task``, ``entry``, ``sides`` that have it.
        differences: of schema, protocol, dtype, machines and the like.
        pairs: entries that were paired by hand; in the tables each is one entry under both names.
    """

    sides: tuple[Side, ...]
    rows: pd.DataFrame
    overall: pd.DataFrame
    only: pd.DataFrame
    differences: tuple[Difference, ...]
    pairs: tuple[Pair, ...] = ()


def compare(*results: Results | Path | str, pairs: Sequence[tuple[str, str]] = ()) -> Comparison:
    """Set results beside each other: a method before and after a change.

    Cells are paired within blocks: the same task, repetition and split of the data. Cells of a task whose
    signatures are unequal are not compared.

    Args:
        results: two or more, or their folders; the first is what the others are compared with.
        pairs: of two folders, names in the first and what they have become in the second, where that is
            another name. All else is paired by name.

    Raises:
        UserError: for fewer than two, where one cannot be read, or for pairs that are none.

    >>> from harness.report.example import example
    >>> found = compare(example().results, example().results)
    >>> found.rows[["task", "entry", "difference", "verdict"]].values.tolist()[1]
    ['sentiment', 'mezo', 0.0, 'equal']
    >>> found = compare(example().results, example().results, pairs=[("random", "mezo")])
    >>> found.rows[["entry", "verdict"]].values.tolist()[0], found.only["entry"].unique().tolist()
    (['random → mezo', 'not enough data'], ['mezo', 'random'])
    """
    compared, paired_by_hand = named(sides(results), [Pair(*names) for names in pairs])
    first, others = compared[0], compared[1:]
    rows, tested, only = [], [], []
    for other in others:
        for row, paired in _rows(first, other):
            rows.append(row)
            tested.append(paired)
    for row, (p, verdict) in zip(rows, verdicts(tested), strict=True):
        row |= {"p": p, "verdict": verdict}
    summary, summed = [], []
    for other in others:
        for row, paired in _overall(first, other):
            summary.append(row)
            summed.append(paired)
    for row, (p, verdict) in zip(summary, verdicts(summed), strict=True):
        row |= {"p": p, "verdict": verdict}
    places = [set(zip(side.study.runs["task"], side.study.runs["entry"], strict=True)) for side in compared]
    for task, entry in dict.fromkeys(
        key
        for side in compared
        for key in zip(side.study.runs["task"], side.study.runs["entry"], strict=True)
    ):
        having = [side.letter for side, known in zip(compared, places, strict=True) if (task, entry) in known]
        if len(having) < len(compared):
            only.append({"task": task, "entry": entry, "sides": ", ".join(having)})
    return Comparison(
        tuple(compared),
        pd.DataFrame(rows, columns=ROWS),
        pd.DataFrame(summary, columns=OVERALL),
        pd.DataFrame(only, columns=["task", "entry", "sides"]),
        tuple(differences(compared)),
        paired_by_hand,
    )


def _rows(first: Side, other: Side) -> Iterator[tuple[dict[str, Any], Paired | None]]:
    theirs = dict(list(other.study.runs.groupby(["task", "entry"], sort=False)))
    for key, mine in first.study.runs.groupby(["task", "entry"], sort=False):
        if key not in theirs:
            continue
        cells = [mine, theirs[key]]
        task, entry = key
        paired = pair(*cells)
        why = why_apart(first, other, str(task)) or _unpaired(cells, paired)
        known = None if why else paired
        metrics = dict.fromkeys(metric for each in cells for metric in each["metric"].dropna())
        row = {
            "task": task,
            "entry": entry,
            "side": other.letter,
            "reference": bool(mine["reference"].iloc[0]),
            "metric": " | ".join(metrics),
            "direction": "min" if paired.sign < 0 else "max",
            "changed": changes(*(each.to_dict("records") for each in cells)),
            "lost": "; ".join(filter(None, map(_lost, (first, other), cells))),
            "why_not": why,
            **_measured(known),
        }
        for name, each in zip(("first", "other"), cells, strict=True):
            values = each.loc[each["score"].notna(), "test_metric"].astype("float64").tolist()
            row |= ended(name, mean_interval(values))
        row |= ended("difference", known.difference() if known else (math.nan, math.nan, math.nan, 0))
        yield row, known


def _overall(first: Side, other: Side) -> Iterator[tuple[dict[str, Any], Paired | None]]:
    """By entry, over tasks that may be compared."""
    theirs = dict(list(other.study.runs.groupby("entry", sort=False)))
    apart = [task for task in first.study.tasks if why_apart(first, other, task)]
    for entry, mine in first.study.runs.groupby("entry", sort=False):
        if entry not in theirs:
            continue
        cells = [each[~each["task"].isin(apart)] for each in (mine, theirs[entry])]
        paired = pair(*cells)
        if not len(paired.gains):
            continue
        common = list(dict.fromkeys(paired.tasks))
        kept = pd.concat(cells)
        kept = kept[kept["task"].isin(common)]
        kinds = set(zip(kept["metric"].dropna(), kept["metric_direction"].dropna(), strict=False))
        by_task = pd.Series(paired.sign * paired.gains).groupby(paired.tasks, sort=False)
        one = len(kinds) == 1
        estimate = interquartile_mean([values.tolist() for _, values in by_task]) if one else None
        yield (
            {
                "entry": entry,
                "side": other.letter,
                "reference": bool(mine["reference"].iloc[0]),
                "tasks": len(common),
                "metric": next(iter(kinds))[0] if one else "",
                **_measured(paired),
                **ended("difference", estimate or (math.nan, math.nan, math.nan, len(paired.gains))),
            },
            paired,
        )


def _unpaired(cells: list[pd.DataFrame], paired: Paired) -> str:
    """Why there is nothing to pair; empty where there is."""
    if len(paired.gains):
        return ""
    scored = [each[each["score"].notna()] for each in cells]
    if not all(map(len, scored)):
        return "one of them has no result"
    if set(scored[0]["repetition"]) & set(scored[1]["repetition"]):
        return "the splits of the data were drawn with other seeds"
    return "they have no repetition in common"


def _measured(paired: Paired | None) -> dict[str, Any]:
    if paired is None:
        return {"better": 0, "worse": 0} | dict.fromkeys(_COST_COLUMNS, math.nan)
    better, worse = paired.counts()
    found: dict[str, Any] = {"better": better, "worse": worse}
    for cost in COSTS:
        found |= ended(f"{cost}_ratio", paired.ratio(cost))
    return found


def _lost(side: Side, cells: pd.DataFrame) -> str:
    gone = cells[cells["status"] != "finished"]
    if not len(gone):
        return ""
    counts = ", ".join(f"{count} {status}" for status, count in gone["status"].value_counts().items())
    reasons = "; ".join(dict.fromkeys(gone["reason"].dropna()))
    return f"{side.letter}: {counts}" + (f" ({reasons})" if reasons else "")

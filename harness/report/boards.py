"""Leaderboards to be pasted: every number with its interval and n, ties marked, who ran with what."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from harness.core.errors import UserError
from harness.report.entries import SCORED, entries, family
from harness.report.statistics import mean_interval, paired_tests
from harness.report.study import LEVEL, Study
from harness.report.tables import leaderboard
from harness.running.results import Results

BY = ("task", "tuning", "family")
"""What a leaderboard has a table for each of."""

_HEAD = ["group", "algorithm", "kind", "reference", "rank", "tie", "metric", "planned"]
_TAIL = ["options", "provider", "reason"]
_ENDS = ("", "_low", "_high", "_n")


class Board(NamedTuple):
    """A leaderboard in groups.

    Args:
        by: what a group is: a task, the tasks of a tuning, or the algorithms of a family.
        measures: the measured quantities; each has the columns ``m``, ``m_low``, ``m_high``, ``m_n``: a mean
            with its 95% interval and how many values it is of.
        rows: beside them ``group``, ``algorithm``, ``kind``, ``reference``, ``rank``, ``tie``, ``metric``,
            ``planned`` (cells), ``options``, ``provider``, ``reason``; the best first in each group.
        notes: what a group is over, and what was left out of it, by group.
    """

    by: str
    measures: tuple[str, ...]
    rows: pd.DataFrame
    notes: dict[str, str]


def board(results: Results, by: str = "task") -> Board:
    """The leaderboard of a sweep.

    By task, the measures are means over repetitions with Student t intervals: ``test`` and ``dev`` metric,
    ``tokens`` and ``seconds``. By tuning or family they are interquartile means over tasks with bootstrap
    intervals: ``gain`` (0 is zero-shot, 1 the better first-order reference) and ``level`` (the metric, where
    all tasks have the same one); ``rank`` is the average over blocks of task and repetition.

    ``tie`` says of each row whether paired tests tell it from the best: best, tied, worse, not enough data.

    Args:
        results: of a sweep, finished or not.
        by: ``task``, ``tuning`` or ``family``.

    Raises:
        UserError: for a word that is none of those.

    >>> from harness.report.example import example
    >>> made = board(example().results)
    >>> made.rows[["algorithm", "rank", "tie", "test_n"]].values.tolist()[:2]
    [['mezo', 1.0, 'best', 3], ['random', 2.0, 'not enough data', 3]]
    >>> board(example().results, "family").rows[["group", "algorithm", "rank", "gain_n"]].values.tolist()[0]
    ['gradient estimators', 'mezo', 1.0, 6]
    """
    if by not in BY:
        raise UserError(f"--by: {by!r} is none of {', '.join(BY)}")
    if by == "task":
        return _by_task(results)
    return _by_tuning(results) if by == "tuning" else _by_family(results)


def _by_task(results: Results) -> Board:
    measures = ("test", "dev", "tokens", "seconds")
    cells = entries(results.runs)
    scored = cells[cells["status"].isin(SCORED) & cells["test_metric"].notna()]
    sources = {"test": "test_metric", "dev": "dev_metric", "tokens": "tokens", "seconds": "seconds"}
    values = {
        key: {name: group[source].astype("float64").tolist() for name, source in sources.items()}
        for key, group in scored.groupby(["task", "entry"], sort=False)
    }
    about = _about(cells, ["task", "entry"])
    rows = []
    for task, lines in leaderboard(results).groupby("task", sort=False):
        ties = _ties(lines, scored[scored["task"] == task])
        for line in lines.to_dict("records"):
            key = (task, line["algorithm"])
            row = {name: line[name] for name in ("algorithm", "reference", "rank", "metric", "planned")}
            row |= {"group": task, "tie": ties[line["algorithm"]], **about[key]}
            for name in measures:
                row |= _ended(name, mean_interval(values[key][name] if key in values else []))
            rows.append(row)
    return Board("task", measures, _frame(rows, measures), {})


def _ties(lines: pd.DataFrame, scored: pd.DataFrame) -> dict[str, str]:
    """Whether a task's contestants can be told from its best, over their common repetitions."""
    said = {
        line["algorithm"]: "reference" if line["reference"] else "not ranked"
        for line in lines.to_dict("records")
    }
    ranked = lines[lines["rank"].notna()]
    names = ranked["algorithm"].tolist()
    if not names:
        return said
    wide = scored[scored["entry"].isin(names)].assign(repetition=scored["repetition"].fillna(0))
    table = wide.pivot(index="repetition", columns="entry", values="score")[names].dropna()
    p = paired_tests(table.to_numpy(dtype=np.float64)).p
    best = float(ranked["rank"].min())
    for place, (name, rank) in enumerate(zip(names, ranked["rank"], strict=True)):
        said[name] = "best" if rank == best else _said(float(p[0, place]))
    return said


def _said(p: float) -> str:
    return "not enough data" if math.isnan(p) else "worse" if p < LEVEL else "tied"


def _by_tuning(results: Results) -> Board:
    tunings = results.runs["tuning"].fillna("no model").tolist()
    table, rows, notes = results.tables["runs"], [], {}
    for tuning in dict.fromkeys(tunings):
        part = table.take([place for place, each in enumerate(tunings) if each == tuning])
        study = Study(Results(results.path, {**results.tables, "runs": part}))
        rows += _standing(study, dict.fromkeys(study.entries, str(tuning)))
        notes[str(tuning)] = _note(study)
    measures = ("gain", "level")
    return Board("tuning", measures, _frame(rows, measures), notes)


def _by_family(results: Results) -> Board:
    study, measures = Study(results), ("gain", "level")
    named = zip(study.runs["entry"], study.runs["algorithm"], strict=True)
    rows = _standing(study, {entry: family(algorithm) for entry, algorithm in named})
    groups = dict.fromkeys(row["group"] for row in rows)
    rows.sort(key=lambda row: list(groups).index(row["group"]))
    note = f"ranked among all families; {_note(study)}"
    return Board("family", measures, _frame(rows, measures), dict.fromkeys(groups, note))


def _standing(study: Study, group: Mapping[str, str]) -> list[dict[str, Any]]:
    about = _about(study.runs, ["entry"])
    planned = study.runs["entry"].value_counts()
    ranks = dict(zip(study.blocks.contestants, study.ranks.ranks, strict=True))
    rows = []
    for entry in study.entries:
        row = {
            "group": group[entry],
            "algorithm": entry,
            "reference": entry in study.references,
            "rank": float(ranks.get(entry, math.nan)),
            "tie": study.tie(entry),
            "metric": study.common_metric or "",
            "planned": int(planned[entry]),
            **about[(entry,)],
        }
        rows.append(row | _ended("gain", study.gain(entry)) | _ended("level", study.level(entry)))
    return rows


def _note(study: Study) -> str:
    blocks = len(study.blocks.scores)
    tasks = f"{len(study.tasks)} task{'s' * (len(study.tasks) != 1)}"
    parts = [f"{tasks}, ranks over {blocks} blocks of task and repetition"]
    if not math.isnan(distance := study.ranks.difference):
        parts.append(f"ranks closer than {distance:.2f} cannot be told apart (Nemenyi, 5 %)")
    return "; ".join([*parts, *filter(None, [study.blocks.note])])


def _about(cells: pd.DataFrame, keys: list[str]) -> dict[Any, dict[str, str]]:
    """What ran in the cells of a row: kind, options that hold, versions, and why some did not finish."""
    found: dict[Any, dict[str, dict[str, None]]] = {}
    for cell in cells.to_dict("records"):
        about = found.setdefault(tuple(cell[key] for key in keys), {name: {} for name in ("kind", *_TAIL)})
        for name, text in (
            ("kind", _text(cell["kind"]) or "default"),
            ("options", _options(_text(cell["options"]))),
            ("provider", _text(cell["provider"])),
            ("reason", _text(cell["reason"]) if cell["status"] != "finished" else ""),
        ):
            if text:
                about[name][text] = None
    return {key: {name: " | ".join(texts) for name, texts in about.items()} for key, about in found.items()}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _options(stored: str) -> str:
    try:
        return ", ".join(f"{name}={value}" for name, value in json.loads(stored).items())
    except (ValueError, AttributeError):
        return ""


def _ended(name: str, values: Sequence[float]) -> dict[str, float]:
    """An interval or estimate as its four columns."""
    return {f"{name}{end}": value for end, value in zip(_ENDS, values, strict=True)}


def _frame(rows: list[dict[str, Any]], measures: Sequence[str]) -> pd.DataFrame:
    columns = [*_HEAD, *(name + end for name in measures for end in _ENDS), *_TAIL]
    return pd.DataFrame(rows, columns=columns)

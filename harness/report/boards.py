"""Leaderboards to be pasted: every number with its interval and n, ties marked, who ran with what."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from harness.core.errors import UserError
from harness.report.columns import ABOUT, BY_TASK, COLUMNS, TUNING, effort_of, flat, names_of, results_of
from harness.report.entries import SCORED, entries, families, family
from harness.report.first_order import NAME, NOT_RUN, USUAL
from harness.report.promises import PROMISES
from harness.report.shots import shots
from harness.report.standing import TEXTS, about_cells, note, standing
from harness.report.statistics import Interval, RunTime, paired_tests
from harness.report.study import LEVEL, Study
from harness.report.tables import leaderboard
from harness.running.results import Results

BY = ("task", "tuning", "family")
"""What a leaderboard has a table for each of."""

_HEAD = ["group", "algorithm", "kind", "effort", "reference", "rank", "tie", "metric", "planned"]


class Board(NamedTuple):
    """A leaderboard in groups.

    Args:
        by: what a group is: a task, the tasks of a tuning, or the algorithms of a family.
        measures: the measured quantities; each has the columns ``m``, ``m_low``, ``m_high``, ``m_n``: a value
            with its 95% interval and how many runs it is of (``m_successes`` of them, for running times).
        rows: beside them ``group``, ``algorithm``, ``kind``, ``effort`` (evaluations of the trials by which
            its options were chosen), ``reference``, ``rank``, ``tie``, ``metric``, ``planned`` (cells),
            ``options``, ``provider``, ``reason``; the best first in each group.
        notes: what a group is over, and what was left out of it, by group.
        headings: of the measures, as people read them; ``{metric}`` stands for the group's metric.
        about: what holds for the whole board, in sentences.
    """

    by: str
    measures: tuple[str, ...]
    rows: pd.DataFrame
    notes: dict[str, str]
    headings: Mapping[str, str] = {}
    about: str = ""


def board(
    results: Results, by: str = "task", columns: str = "results", split: str = "test", about: str = ""
) -> Board:
    """The leaderboard of a sweep.

    By task, the measures are means over repetitions with Student t intervals: ``test`` and ``dev`` metric,
    ``tokens`` and ``seconds``. By tuning or family they are interquartile means over tasks with bootstrap
    intervals: ``gain`` (0 is zero-shot, 1 the better first-order reference) and ``level`` (the metric, where
    all tasks have the same one); ``rank`` is the average over blocks of task and repetition.

    Other columns are the ``promises`` (cost, stability, generalisation, gain over zero-shot), by task the
    expected running times (``ert``), for tasks at several numbers of examples the metric at each (``data``),
    and after equal tuning effort the metric with default and with tuned options (``tuning``). Ranks are by
    the metric, whatever the columns; of ``tuning`` by that with tuned options.

    ``tie`` says of each row whether paired tests tell it from the best: best, tied, worse, not enough data;
    or that it is a reference, or a first-order one that was not run, whose ``reason`` says how to have it.

    Args:
        results: of a sweep, finished or not.
        by: ``task``, ``tuning`` or ``family``.
        columns: ``results``, ``promises``, ``ert``, ``data`` or ``tuning``.
        split: ``dev`` where the results' ``test_metric`` is of dev, as ``stopped_at`` leaves them.
        about: what holds for the whole board.

    Raises:
        UserError: for a word that is none of those, and for columns that do not go with the groups.

    >>> from harness.report.example import example
    >>> made = board(example().results)
    >>> made.rows[["algorithm", "rank", "tie", "test_n"]].values.tolist()[:2]
    [['mezo', 1.0, 'best', 3], ['random', 2.0, 'not enough data', 3]]
    >>> board(example().results, "family").rows[["group", "algorithm", "rank", "gain_n"]].values.tolist()[0]
    ['gradient estimators', 'mezo', 1.0, 6]
    >>> board(example().results, columns="promises").rows[["algorithm", "tokens_ratio"]].values.tolist()[0]
    ['mezo', 1.0]
    """
    for option, word, known in (("by", by, BY), ("columns", columns, COLUMNS)):
        if word not in known:
            raise UserError(f"--{option}: {word!r} is none of {', '.join(known)}")
    if by != "task" and columns in ("ert", "data", "tuning"):
        raise UserError(f"--columns: {columns} stand task by task; leave out --by {by}")
    about = " ".join(filter(None, [about, ABOUT.get(columns, "")]))
    if columns == "data":
        return _by_data(results, about)
    if columns == "tuning":
        return _by_effort(results, about)
    if by == "task":
        return _by_task(results, columns, split, about)
    return (_by_tuning if by == "tuning" else _by_family)(Study(results), columns, split, about)


def _by_task(results: Results, columns: str, split: str, about: str) -> Board:
    cells = entries(results.runs)
    made = results_of(cells, split) if columns == "results" else BY_TASK[columns](Study(results))
    scored = cells[cells["status"].isin(SCORED) & cells["test_metric"].notna()]
    said = about_cells(cells, ["task", "entry"])
    of_task = dict(list(scored.groupby("task", sort=False)))
    rows = []
    for task, lines in leaderboard(results).groupby("task", sort=False):
        ties = _ties(lines, of_task.get(task, scored[:0]))
        for line in lines.to_dict("records"):
            key = (str(task), str(line["algorithm"]))
            row = {name: line[name] for name in ("algorithm", "reference", "rank", "metric", "planned")}
            about_row = said.get(key, {"kind": "", "options": "", "provider": "", "reason": line["reason"]})
            row |= {"group": task, "tie": ties[line["algorithm"]], **about_row}
            for name, value in made.values.get(key, {}).items():
                row |= flat(name, value)
            rows.append(row)
    return _made("task", made.headings, rows, made.notes, about, RunTime if columns == "ert" else Interval)


def _ties(lines: pd.DataFrame, scored: pd.DataFrame) -> dict[str, str]:
    """Whether a task's contestants can be told from its best, over their common repetitions."""
    said = {
        line["algorithm"]: "reference" if line["reference"] else "not ranked"
        for line in lines.to_dict("records")
    }
    said |= dict.fromkeys(lines.loc[lines["planned"] == 0, "algorithm"], NOT_RUN)
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


def _by_tuning(study: Study, columns: str, split: str, about: str) -> Board:
    tunings = study.runs["tuning"].astype(object).where(study.runs["tuning"].notna(), "no model")
    rows, notes = [], {}
    for tuning in dict.fromkeys(tunings):
        part = study.part(tunings == tuning)
        rows += standing(part, dict.fromkeys([*part.entries, NAME], str(tuning)), columns)
        notes[str(tuning)] = note(part)
    return _made("tuning", _headings(columns, split), rows, notes, about)


def _by_family(study: Study, columns: str, split: str, about: str) -> Board:
    known = families(study.results.path)
    named = zip(study.runs["entry"], study.runs["algorithm"], strict=True)
    group = {entry: known.get(a) or family(a) for entry, a in named}
    rows = standing(study, {**group, NAME: family(USUAL)}, columns)
    groups = list(dict.fromkeys(row["group"] for row in rows))
    rows.sort(key=lambda row: groups.index(row["group"]))
    said = f"ranked among all families; {note(study)}"
    return _made("family", _headings(columns, split), rows, dict.fromkeys(groups, said), about)


def _headings(columns: str, split: str) -> dict[str, str]:
    if columns == "promises":
        return dict(PROMISES)
    return {"gain": "gain", "level": f"level ({'dev ' * (split == 'dev')}{{metric}})"}


def _by_data(results: Results, about: str) -> Board:
    """Of each task that is there at several numbers of examples: the metric at each of them."""
    found = shots(results)
    if not found:
        raise UserError(
            "--columns: no task was run at several numbers of examples; add it with other ones, as in "
            "sentiment/reference/prompt[per_class=4]"
        )
    study, rows, notes = Study(results), [], {}
    headings = {f"k{k}": f"k = {k}" for k in sorted({each.k for each in found.values()})}
    for base in dict.fromkeys(each.base for each in found.values()):
        own = {task: each.k for task, each in found.items() if each.base == base}
        part = study.part(study.runs["task"].isin(list(own)))
        values = results_of(part.runs).values
        planned = part.runs.groupby("entry")["repetition"].nunique()
        for row in standing(part, dict.fromkeys([*part.entries, NAME], base), "none"):
            row["planned"] = int(planned.get(row["algorithm"], 0))  # of one k, as n is
            for task, k in own.items():
                if (task, row["algorithm"]) in values:
                    row |= flat(f"k{k}", values[task, row["algorithm"]]["test"])
            rows.append(row)
        metric = part.common_metric or "metric"
        notes[base] = f"test {metric} with k examples of each class; rank over all k; {note(part)}"
    return _made("task", headings, rows, notes, about)


def _by_effort(results: Results, about: str) -> Board:
    """Of each task, the metric with default and with tuned options; ranks are by the tuned one."""
    cells = entries(results.runs)
    kinds = cells["kind"].fillna("default")
    if not (kinds == "tuned").any():
        raise UserError("--columns: no options were tuned; sweep with --trials 8")
    made, said = effort_of(cells), about_cells(cells, ["task", "entry"])
    keys = ["task", "algorithm", "budget"]
    partner: dict[Any, Any] = cells[kinds == "tuned"].groupby(keys)["entry"].first().to_dict()
    rows = []
    for task, lines in leaderboard(results).groupby("task", sort=False):
        of_task = cells[(cells["task"] == task) & (kinds != "tuned")].drop_duplicates("entry")
        ranks: dict[Any, float] = dict(zip(lines["algorithm"], lines["rank"], strict=True))
        metric = next((name for name in lines["metric"] if name), "")
        own: list[dict[str, Any]] = []
        planned = cells.loc[cells["task"] == task, "entry"].value_counts()
        for cell in of_task.to_dict("records"):
            entry = cell["entry"]
            tuned = partner.get(tuple(cell[key] for key in keys))
            row = {"group": task, "algorithm": entry, "reference": cell["reference"], "metric": metric}
            row |= {"tie": "reference" if cell["reference"] else "not ranked", "planned": int(planned[entry])}
            row |= {"rank": ranks.get(tuned, math.nan), **said[str(task), tuned or entry]}
            for name, value in made.get((str(task), entry), {}).items():
                row |= flat(name, value)
            own.append(row)
        places = pd.Series([row["rank"] for row in own], dtype="float64").rank()
        for row, place in zip(own, places, strict=True):
            row["rank"] = float(place)
        rows += sorted(own, key=lambda row: (row["reference"], _last(row["rank"])))
    return _made("task", TUNING, rows, {}, about)


def _last(rank: float) -> float:
    return math.inf if math.isnan(rank) else rank


def _made(
    by: str,
    headings: Mapping[str, str],
    rows: list[dict[str, Any]],
    notes: dict[str, str],
    about: str,
    sample: type = Interval,
) -> Board:
    """The board of these rows; a measure that a row lacks is missing, of no runs."""
    frame = pd.DataFrame(rows, columns=[*_HEAD, *names_of(list(headings), sample), *TEXTS])
    counts = [name for name in frame.columns if name.endswith(("_n", "_successes"))]
    counts.append("effort")
    frame[counts] = frame[counts].astype("float64").fillna(0).astype("int64")
    return Board(by, tuple(headings), frame, notes, headings, about)

"""Leaderboards, made from the stored tables and from nothing else."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.report.entries import SCORED, entries, with_first_order
from harness.report.escaping import as_csv
from harness.report.first_order import NAME, missing_first_order
from harness.report.statistics import average_ranks, mean_interval, without_gaps
from harness.running.files import write_bytes

if TYPE_CHECKING:
    from harness.running.results import Results

COLUMNS = {
    "task": "str",
    "algorithm": "str",
    "reference": "bool",
    "rank": "float64",
    "metric": "str",
    "test_mean": "float64",
    "ci_low": "float64",
    "ci_high": "float64",
    "n": "int64",
    "planned": "int64",
    "dev_mean": "float64",
    "evaluations": "float64",
    "tokens": "float64",
    "seconds_ask": "float64",
    "seconds_evaluate": "float64",
    "seconds_tell": "float64",
    "peak_memory": "float64",
    "failed": "int64",
    "timeout": "int64",
    "skipped": "int64",
    "unfinished": "int64",
    "reason": "str",
}
"""Columns of a leaderboard; costs are means over the cells that have a result, memory is their largest."""

_COSTS = ("evaluations", "tokens", "seconds_ask", "seconds_evaluate", "seconds_tell")


def leaderboard(results: Results) -> pd.DataFrame:
    """A row for each planned task and algorithm, the best first in each task; nothing planned is left out.

    ``test_mean`` is the mean test metric of the reported candidates over the repetitions that have one,
    with a 95% Student t interval. A rank is given to contestants all of whose planned repetitions have a
    result: a mean over fewer data splits than the others' is no place. References are not ranked. A task that
    has gradients and no first-order reference gets a row for it, of which nothing was planned; ``reason``
    says how to have it.

    Args:
        results: of a sweep, finished or not.

    >>> from harness.running.results import Results
    >>> from harness.running.schema import make_table
    >>> row = {"task": "t", "algorithm": "a", "status": "finished", "test_metric": 0.5}
    >>> board = leaderboard(Results(Path(), {"runs": make_table("runs", [row])}))
    >>> board[["algorithm", "rank", "test_mean", "n"]].values.tolist()
    [['a', 1.0, 0.5, 1]]
    """
    cells = with_first_order(entries(results.runs))
    missing = missing_first_order(cells)
    groups: dict[str, dict[str, list[int]]] = {}
    for place, (task, entry) in enumerate(zip(cells["task"], cells["entry"], strict=True)):
        groups.setdefault(task, {}).setdefault(entry, []).append(place)
    columns = _Columns(cells)
    rows: list[dict[str, Any]] = []
    for task, of_task in groups.items():
        lines = [columns.line(task, entry, np.array(places)) for entry, places in of_task.items()]
        known = (columns.text["metric_direction"][place] for places in of_task.values() for place in places)
        direction = next((each for each in known if each), "max")
        eligible = [not line["reference"] and line["n"] == line["planned"] for line in lines]
        values = [line["test_mean"] if fit else math.nan for line, fit in zip(lines, eligible, strict=True)]
        for line, rank in zip(lines, average_ranks(values, direction), strict=True):
            line["rank"] = rank
        rows += sorted(lines, key=lambda line: (line["reference"], _last(line["rank"])))
        if task in missing:
            metric = next((line["metric"] for line in lines if line["metric"]), "")
            rows.append(_not_run(task, metric, missing[task]))
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)


def _not_run(task: str, metric: str, reason: str) -> dict[str, Any]:
    """The row of a first-order reference that nobody has planned."""
    empty = {name: {"float64": math.nan, "int64": 0, "str": ""}.get(kind) for name, kind in COLUMNS.items()}
    own = {"task": task, "algorithm": NAME, "reference": True, "metric": metric, "reason": reason}
    return {**empty, **own}


class _Columns:
    """The cells as plain arrays: a frame for each of a thousand lines would take seconds."""

    def __init__(self, cells: pd.DataFrame) -> None:
        names = ("test_metric", "dev_metric", *_COSTS, "peak_memory")
        self.number = {name: cells[name].to_numpy(dtype=np.float64, na_value=np.nan) for name in names}
        texts = ("metric", "metric_direction", "reason")
        self.text = {
            name: cells[name].astype(object).where(cells[name].notna(), "").tolist() for name in texts
        }
        self.status = cells["status"].tolist()
        self.reference = cells["reference"].tolist()
        self.scored = (cells["status"].isin(SCORED) & cells["test_metric"].notna()).to_numpy(dtype=bool)

    def line(self, task: str, entry: str, places: NDArray[np.int64]) -> dict[str, Any]:
        """The row of one algorithm on one task, from the places of its cells."""
        scored = places[self.scored[places]]
        interval = mean_interval(self.number["test_metric"][scored].tolist())
        counts = Counter(self.status[place] for place in places)
        reasons = [self.text["reason"][place] for place in places if self.status[place] != "finished"]
        return {
            "task": task,
            "algorithm": entry,
            "reference": bool(self.reference[places[0]]),
            "metric": next(
                (self.text["metric"][place] for place in places if self.text["metric"][place]), ""
            ),
            "test_mean": interval.mean,
            "ci_low": interval.low,
            "ci_high": interval.high,
            "n": interval.n,
            "planned": len(places),
            "dev_mean": _mean(self.number["dev_metric"][scored]),
            **{name: _mean(self.number[name][scored]) for name in _COSTS},
            "peak_memory": _largest(self.number["peak_memory"][scored]),
            "failed": counts["failed"],
            "timeout": counts["timeout"],
            "skipped": counts["skipped"],
            "unfinished": counts["pending"] + counts["running"],
            "reason": "; ".join(dict.fromkeys(reason for reason in reasons if reason)),
        }


class Overall(NamedTuple):
    """Mean ranks, and what they are over.

    Args:
        ranks: columns ``algorithm``, ``mean_rank``, ``first_places``; best first.
        tasks: those on which every algorithm of ``ranks`` has a rank; none where there is nothing to rank.
        note: what was left out and why, in sentences; empty if nothing was.
    """

    ranks: pd.DataFrame
    tasks: list[str]
    note: str


def overall(board: pd.DataFrame) -> Overall:
    """Mean rank of each contestant over the tasks on which all of them have one.

    Contestants or tasks with gaps are left out as ``statistics.without_gaps`` says: a mean over different
    tasks would reward those that sat out the hard ones.

    >>> rows = [("s", "a", 1.0), ("s", "b", 2.0), ("t", "a", 1.0), ("t", "b", 2.0), ("s", "c", 3.0)]
    >>> board = pd.DataFrame(rows, columns=["task", "algorithm", "rank"]).assign(reference=False)
    >>> overall(board).ranks.values.tolist()
    [['a', 1.0, 2], ['b', 2.0, 0]]
    >>> overall(board).note
    'left out: c (no rank on 1 of 2 tasks)'
    """
    contestants = board[~board["reference"]]
    names, tasks = list(dict.fromkeys(contestants["algorithm"])), list(dict.fromkeys(contestants["task"]))
    table = contestants.pivot(index="task", columns="algorithm", values="rank")
    known = table.reindex(index=tasks, columns=names).notna()
    rows, columns = without_gaps(known.to_numpy()) if len(known) else ([], [])
    if len(columns) < 2 <= int(known.any().sum()):
        rows, columns = [], []  # the mean rank of one among itself says nothing
    kept_tasks, kept = [tasks[row] for row in rows], [names[column] for column in columns]
    left_out = [
        f"{name} (no rank on {int((~known[name]).sum())} of {len(known)} tasks)"
        for name in names
        if name not in kept
    ]
    left_out += [
        f"{task} (no rank for {', '.join(name for name in kept or names if not known[name][task])})"
        for task in tasks
        if task not in kept_tasks
    ]
    frame = contestants[contestants["task"].isin(kept_tasks) & contestants["algorithm"].isin(kept)]
    # Ranks anew: those of whom was left out are no places to be behind.
    frame = frame.assign(rank=frame.groupby("task", sort=False)["rank"].rank())
    grouped = frame.groupby("algorithm", sort=False)["rank"]
    ranks = pd.DataFrame(
        {"mean_rank": grouped.mean(), "first_places": grouped.agg(lambda ranks: int((ranks == 1).sum()))}
    )
    ranks = ranks.reset_index().sort_values(["mean_rank", "algorithm"], ignore_index=True)
    return Overall(ranks, kept_tasks, f"left out: {'; '.join(left_out)}" if left_out else "")


def write_leaderboard(results: Results, path: Path | None = None) -> Path:
    """Write ``leaderboard.csv`` beside the tables, or to a path; returns where it is."""
    target = path or results.path / "leaderboard.csv"
    write_bytes(target, as_csv(leaderboard(results)).encode())
    return target


def _mean(values: NDArray[np.float64]) -> float:
    known = int(np.count_nonzero(~np.isnan(values)))
    return float(np.nansum(values) / known) if known else math.nan


def _largest(values: NDArray[np.float64]) -> float:
    known = values[~np.isnan(values)]
    return float(known.max()) if len(known) else math.nan


def _last(rank: float) -> float:
    return math.inf if math.isnan(rank) else rank

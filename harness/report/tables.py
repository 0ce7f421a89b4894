"""Leaderboards, made from the stored tables and from nothing else."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from harness.report.statistics import average_ranks, mean_interval
from harness.running.files import write_bytes

if TYPE_CHECKING:
    from harness.running.results import Results

SCORED = ("finished", "timeout")
"""Statuses of cells that have a reported candidate; the others leave a gap."""

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


def leaderboard(results: Results) -> pd.DataFrame:
    """A row for each planned task and algorithm, the best first in each task; nothing planned is left out.

    ``test_mean`` is the mean test metric of the reported candidates over the repetitions that have one,
    with a 95% Student t interval. A rank is given to contestants all of whose planned repetitions have a
    result: a mean over fewer data splits than the others' is no place. References are not ranked.

    Args:
        results: of a sweep, finished or not.

    >>> from harness.running.results import Results
    >>> from harness.running.schema import make_table
    >>> row = {"task": "t", "algorithm": "a", "status": "finished", "test_metric": 0.5}
    >>> board = leaderboard(Results(Path(), {"runs": make_table("runs", [row])}))
    >>> board[["algorithm", "rank", "test_mean", "n"]].values.tolist()
    [['a', 1.0, 0.5, 1]]
    """
    rows: list[dict[str, Any]] = []
    for _, cells in results.runs.groupby("task", sort=False):
        lines = [_line(group) for _, group in cells.groupby("algorithm", sort=False)]
        direction = next(iter(cells["metric_direction"].dropna()), "max")
        eligible = [not line["reference"] and line["n"] == line["planned"] for line in lines]
        values = [line["test_mean"] if fit else math.nan for line, fit in zip(lines, eligible, strict=True)]
        for line, rank in zip(lines, average_ranks(values, direction), strict=True):
            line["rank"] = rank
        rows += sorted(lines, key=lambda line: (line["reference"], _last(line["rank"])))
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)


def _line(cells: pd.DataFrame) -> dict[str, Any]:
    scored = cells[cells["status"].isin(SCORED) & cells["test_metric"].notna()]
    interval = mean_interval(scored["test_metric"].tolist())
    counts = cells["status"].value_counts()
    explained = cells[~cells["status"].isin(["finished"])]["reason"].dropna()
    costs = ("evaluations", "tokens", "seconds_ask", "seconds_evaluate", "seconds_tell")
    return {
        "task": cells["task"].iloc[0],
        "algorithm": cells["algorithm"].iloc[0],
        "reference": bool(cells["reference"].fillna(False).iloc[0]),
        "metric": next(iter(cells["metric"].dropna()), ""),
        "test_mean": interval.mean,
        "ci_low": interval.low,
        "ci_high": interval.high,
        "n": interval.n,
        "planned": len(cells),
        "dev_mean": _mean(scored["dev_metric"]),
        **{name: _mean(scored[name]) for name in costs},
        "peak_memory": max(scored["peak_memory"].dropna().tolist(), default=math.nan),
        "failed": int(counts.get("failed", 0)),
        "timeout": int(counts.get("timeout", 0)),
        "skipped": int(counts.get("skipped", 0)),
        "unfinished": int(counts.get("pending", 0) + counts.get("running", 0)),
        "reason": "; ".join(dict.fromkeys(explained)),
    }


class Overall(NamedTuple):
    """Mean ranks, and what they are over.

    Args:
        ranks: columns ``algorithm``, ``mean_rank``, ``first_places``; best first.
        tasks: those on which every algorithm of ``ranks`` has a rank.
        note: what was left out and why, in sentences; empty if nothing was.
    """

    ranks: pd.DataFrame
    tasks: list[str]
    note: str


def overall(board: pd.DataFrame) -> Overall:
    """Mean rank of each contestant over the tasks on which all of them have one.

    A contestant that has no rank on any task is left out, and so is a task on which any other lacks one: a
    mean over different tasks would reward those that sat out the hard ones.

    >>> rows = [("s", "a", 1.0), ("s", "b", 2.0), ("t", "a", 1.0), ("t", "b", float("nan"))]
    >>> board = pd.DataFrame(rows, columns=["task", "algorithm", "rank"]).assign(reference=False)
    >>> overall(board).ranks.values.tolist()
    [['a', 1.0, 1], ['b', 2.0, 0]]
    >>> overall(board).note
    'left out: t (no rank for b)'
    """
    ranks = board[~board["reference"]].pivot(index="task", columns="algorithm", values="rank")
    ranks = ranks.loc[[task for task in dict.fromkeys(board["task"]) if task in ranks.index]]
    nowhere = [str(name) for name in ranks.columns if ranks[name].isna().all()]
    ranks = ranks.drop(columns=nowhere)
    gaps = {
        str(task): [str(name) for name in ranks.columns if math.isnan(row[name])]
        for task, row in ranks.iterrows()
    }
    tasks = [task for task, missing in gaps.items() if not missing and len(ranks.columns)]
    left_out = [f"{task} (no rank for {', '.join(missing)})" for task, missing in gaps.items() if missing]
    left_out += [f"{name} (no rank on any task)" for name in nowhere]
    common = ranks.loc[tasks]
    frame = pd.DataFrame(
        {
            "algorithm": [str(name) for name in common.columns],
            "mean_rank": [float(common[name].mean()) for name in common.columns],
            "first_places": [int((common[name] == 1).sum()) for name in common.columns],
        }
    )
    frame = frame if tasks else frame.iloc[:0]
    frame = frame.sort_values(["mean_rank", "algorithm"], ignore_index=True)
    return Overall(frame, tasks, f"left out: {'; '.join(left_out)}" if left_out else "")


def write_leaderboard(results: Results, path: Path | None = None) -> Path:
    """Write ``leaderboard.csv`` beside the tables, or to a path; returns where it is."""
    target = path or results.path / "leaderboard.csv"
    write_bytes(target, leaderboard(results).to_csv(index=False).encode())
    return target


def _mean(values: pd.Series[Any]) -> float:
    return float(values.mean()) if values.notna().any() else math.nan


def _last(rank: float) -> float:
    return math.inf if math.isnan(rank) else rank

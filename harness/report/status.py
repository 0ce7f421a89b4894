"""How far a sweep is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from harness.running.clock import in_words

if TYPE_CHECKING:
    from harness.running.results import Results

STATUSES = ("finished", "failed", "timeout", "skipped", "running", "pending")


def status(results: Results) -> pd.DataFrame:
    """A row for each task and algorithm: how many of its cells are in each status, and what they spent.

    A cell that was broken off counts as running until the same sweep is started again.

    >>> from pathlib import Path
    >>> from harness.running.results import Results
    >>> from harness.running.schema import make_table
    >>> row = {"task": "t", "algorithm": "a", "status": "finished", "evaluations": 20, "budget": 20}
    >>> frame = status(Results(Path(), {"runs": make_table("runs", [row])}))
    >>> frame[["finished", "pending", "evaluations"]].values.tolist()
    [[1, 0, 20]]
    """
    runs = results.runs
    rows = [
        {
            "task": task,
            "algorithm": algorithm,
            **{name: int((cells["status"] == name).sum()) for name in STATUSES},
            "evaluations": int(cells["evaluations"].fillna(0).sum()),
            "budget": int(cells.loc[cells["status"] != "skipped", "budget"].sum()),
            "reason": "; ".join(dict.fromkeys(cells["reason"].dropna())),
        }
        for (task, algorithm), cells in runs.groupby(["task", "algorithm"], sort=False)
    ]
    columns = ["task", "algorithm", *STATUSES, "evaluations", "budget", "reason"]
    return pd.DataFrame(rows, columns=columns)


def last_session(session: dict[str, Any]) -> str:
    """What a sweep's last run into a folder did, in one line.

    >>> last_session({"cells": 1, "wall_seconds": 10.0, "seconds": {"forward": 9.0, "loading": 1.0}})
    'last session: 1 cell in 10.0 s: 90.0 % forward, 0.0 % ask and tell, 10.0 % overhead (loading 10.0 %)'
    """
    try:
        cells, seconds = int(session["cells"]), float(session["wall_seconds"])
        return f"last session: {cells} cell{'s' * (cells != 1)} in {seconds:.1f} s: {in_words(session)}"
    except (KeyError, TypeError, ValueError, AttributeError):  # a stranger's: nothing hangs on it
        return "last session: not recorded"

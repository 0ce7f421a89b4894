"""How far a sweep is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

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

"""The cells that a report is about, under the names by which it lists them."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pandas as pd

from harness.core.errors import UserError
from harness.plugins.registry import ALGORITHMS
from harness.plugins.spec import Spec

SCORED = ("finished", "timeout")
"""Statuses of cells that have a reported candidate; the others leave a gap."""

UNTUNED = "zero-shot"
"""The reference that is the zero of normalised gain."""


def entries(runs: pd.DataFrame) -> pd.DataFrame:
    """A row for each cell that is no trial of options, with the columns that reports need beside its own.

    ``entry``: the algorithm, marked where its options were tuned. ``score`` and ``dev_score``: the metric on
    test and dev with the sign by which higher is better; nan without a result. ``seconds``: ask, evaluate
    and tell. ``role``: contestant, untuned, first-order, or reference for any other.

    >>> from harness.running.schema import make_table, to_frame
    >>> rows = [{"task": "t", "algorithm": "a", "kind": "tuned", "status": "finished", "test_metric": 0.5,
    ...          "metric_direction": "min"}]
    >>> entries(to_frame(make_table("runs", rows)))[["entry", "score", "role"]].values.tolist()
    [['a (tuned)', -0.5, 'contestant']]
    """
    frame = runs[runs["kind"].fillna("default") != "trial"].copy()
    tuned = frame["kind"].fillna("default") == "tuned"
    frame["entry"] = frame["algorithm"].where(~tuned, frame["algorithm"] + " (tuned)")
    frame["reference"] = frame["reference"].fillna(False).astype(bool)
    direction = frame.groupby("task", sort=False)["metric_direction"].transform("first")
    sign = np.where(direction == "min", -1.0, 1.0)
    scored = frame["status"].isin(SCORED)
    frame["score"] = (frame["test_metric"].astype("float64") * sign).where(scored)
    frame["dev_score"] = (frame["dev_metric"].astype("float64") * sign).where(scored)
    parts = ["seconds_ask", "seconds_evaluate", "seconds_tell"]
    frame["seconds"] = frame[parts].astype("float64").sum(axis=1, min_count=len(parts))
    frame["role"] = _roles(frame)
    # Merged sweeps of several budgets: the same name twice on one block would be two things in one.
    if frame.duplicated(["task", "entry", "repetition"]).any():
        frame["entry"] = frame["entry"] + " @" + frame["budget"].astype("string")
    return frame.reset_index(drop=True)


def _roles(frame: pd.DataFrame) -> pd.Series[str]:
    """First-order references are those that spend evaluations: the others have nothing to search with."""
    spent = frame["evaluations"].astype("float64").fillna(0).groupby(frame["entry"]).transform("max") > 0
    role = pd.Series("contestant", index=frame.index)
    role[frame["reference"]] = "reference"
    role[frame["reference"] & spent] = "first-order"
    role[frame["reference"] & (frame["algorithm"] == UNTUNED)] = "untuned"
    return role


@lru_cache
def family(algorithm: str) -> str:
    """The heading under which an algorithm is listed; ``unknown`` where its plugin is not installed.

    >>> family("openai-es[sigma=0.02]"), family("nobody-has-this")
    ('evolution strategies', 'unknown')
    """
    try:
        found = ALGORITHMS.load(Spec.parse(algorithm).name)
    except UserError:  # results are read on machines that lack the plugin they were made with
        return "unknown"
    return str(getattr(found, "family", "other"))

"""Results as they would stand had every run been stopped at some cost."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from harness.core.errors import UserError
from harness.report.entries import SCORED
from harness.report.metrics import measured_by, with_columns
from harness.running.results import Results

if TYPE_CHECKING:
    import pyarrow as pa

COSTS = ("evaluations", "tokens", "seconds")
_SECONDS = ("seconds_ask", "seconds_evaluate", "seconds_tell")
_SPENT = ("evaluations", "sequences", "tokens", "flops", *_SECONDS)


class Limit(NamedTuple):
    """What a run may spend, and of what.

    >>> Limit.parse("100"), Limit.parse("tokens=5e6")
    (Limit(cost='evaluations', most=100.0), Limit(cost='tokens', most=5000000.0))
    """

    cost: str
    most: float

    @classmethod
    def parse(cls, text: str) -> Limit:
        """Read ``100``, ``evaluations=100``, ``tokens=5e6`` or ``seconds=30``; raises UserError."""
        cost, given, number = text.partition("=")
        if not given:
            cost, number = COSTS[0], text
        try:
            most = float(number)
        except ValueError:
            most = math.nan
        if cost.strip() not in COSTS or not 0 <= most < math.inf:
            raise UserError(f"--at-budget: {text!r} is none of N, tokens=N, seconds=N, with a number N >= 0")
        return cls(cost.strip(), most)


class Stopped(NamedTuple):
    """Results cut short.

    Args:
        results: their ``test_metric`` is the dev metric too, so that every board compares on dev.
        about: what is compared, in sentences.
    """

    results: Results
    about: str


def stopped_at(results: Results, limit: Limit, metric: str | None = None) -> Stopped:
    """Every run at its last dev point within a cost, with the candidate that it would have reported there.

    Test is looked at once, at the candidate that a whole run reports; so it is not known here, nor is
    train, and boards compare on dev. A run that failed, timed out or is running beyond the limit counts as
    finished; one that ended before it stands as it is, with all that it spent.

    Args:
        results: of a sweep.
        limit: on the cost of each run.
        metric: another than the tasks' own, as for ``measured_by``.

    Raises:
        UserError: as ``measured_by``.

    >>> from pathlib import Path
    >>> from harness.running.schema import make_table
    >>> row = {"id": "1", "task": "t", "metric": "accuracy", "metric_direction": "max", "status": "finished"}
    >>> points = [(10, 0.5), (20, 0.7), (30, 0.6)]
    >>> scores = [{"id": "1", "evaluations": at, "split": "dev", "metric": "accuracy", "value": value}
    ...           for at, value in points]
    >>> curve = [{"id": "1", "evaluations": at, "tokens": 5 * at} for at, _ in points]
    >>> tables = {"runs": make_table("runs", [row]), "metrics": make_table("metrics", scores),
    ...           "curve": make_table("curve", curve)}
    >>> stopped = stopped_at(Results(Path(), tables), Limit("tokens", 120)).results
    >>> stopped.runs[["evaluations", "dev_metric", "reported_at"]].values.tolist()
    [[20, 0.7, 20]]
    """
    curve, spent, whole = _cut(results.tables["curve"], limit)
    runs = results.runs
    at = runs["id"].map(spent["evaluations"]).fillna(0.0)
    going_on = runs["id"].map(whole).fillna(0.0) > at
    chosen = _chosen(results, dict(zip(runs["id"], at, strict=True)))
    missing = pd.Series(math.nan, index=runs.index)
    columns = {
        "status": runs["status"].mask(going_on, "finished"),
        "reason": runs["reason"].mask(going_on),
        "reported_at": runs["id"].map(chosen["evaluations"]),
        "dev_metric": runs["id"].map(chosen["value"]),
        **dict.fromkeys(("train_metric", "test_metric", "peak_memory", "energy"), missing),
    }
    for name in _SPENT:
        # A cell that has no curve at all, such as the model as it is, has spent what its row says.
        own = runs[name].astype("float64").mask(runs["id"].isin(whole.index), 0.0)
        columns[name] = runs["id"].map(spent[name]).fillna(own)
    cut = Results(
        results.path,
        {**results.tables, "runs": with_columns(results.tables["runs"], columns), "curve": curve},
    )
    cut = cut if metric is None else measured_by(cut, metric)
    # Of a run that reports this very candidate, another metric on test would be known; not of the others.
    dev = cut.runs["dev_metric"]
    on_dev = {"test_metric": dev, "train_metric": pd.Series(math.nan, index=dev.index)}
    table = with_columns(cut.tables["runs"], on_dev)
    return Stopped(Results(cut.path, {**cut.tables, "runs": table}), _about(limit, runs, going_on))


def _cut(curve: pa.Table, limit: Limit) -> tuple[pa.Table, pd.DataFrame, pd.Series[float]]:
    """The curve within the limit, what each cell has spent there, and all evaluations of each cell."""
    import pyarrow.compute as pc

    cost = curve.column(limit.cost) if limit.cost in curve.column_names else _seconds(curve)
    inside = curve.filter(pc.less_equal(cost, limit.most))
    spent = inside.group_by("id").aggregate([(name, "max") for name in _SPENT]).to_pandas().set_index("id")
    spent.columns = [name.removesuffix("_max") for name in spent.columns]
    whole = curve.group_by("id").aggregate([("evaluations", "max")]).to_pandas()
    return inside, spent.astype("float64"), whole.set_index("id")["evaluations_max"].astype("float64")


def _seconds(curve: pa.Table) -> Any:
    import pyarrow.compute as pc

    ask, evaluate, tell = (pc.fill_null(curve.column(name), 0.0) for name in _SECONDS)
    return pc.add(pc.add(ask, evaluate), tell)


def _chosen(results: Results, at: dict[str, float]) -> pd.DataFrame:
    """By cell the best dev point within what it has spent, the earliest on ties, as runs choose themselves.

    Columns ``evaluations``, where the point is, and ``value``, the task's own metric there.
    """
    import pyarrow.compute as pc

    table, runs = results.tables["metrics"], results.runs.set_index("id")
    points = table.filter(pc.equal(table.column("split"), "dev")).to_pandas()
    points = points[points["evaluations"] <= points["id"].map(at)]
    points = points[points["metric"] == points["id"].map(runs["metric"])]
    sign = np.where(points["id"].map(runs["metric_direction"]) == "min", -1.0, 1.0)
    points = points.assign(score=points["value"] * sign)
    points = points.sort_values(["score", "evaluations"], ascending=[False, True], kind="stable")
    best = points.drop_duplicates("id").set_index("id")  # nan comes last
    return best[["evaluations", "value"]].astype("float64")


def _about(limit: Limit, runs: pd.DataFrame, going_on: pd.Series[bool]) -> str:
    ended = int((~going_on & runs["status"].isin(SCORED) & (runs["evaluations"].fillna(0) > 0)).sum())
    budgets = sorted({int(budget) for budget in runs["budget"].dropna()})
    planned = " or ".join(f"{budget:,}" for budget in budgets[:3]) + (" ..." if len(budgets) > 3 else "")
    return (
        f"Every run as it stood after {limit.most:,g} {limit.cost}, compared on dev, on which candidates are "
        "chosen, so that it flatters: test is looked at once, at the end of a whole run. "
        f"The runs were planned for {planned or 'no'} evaluations"
        + (f"; {ended} of {len(runs)} ended within the limit and stand as they ended." if ended else ".")
    )

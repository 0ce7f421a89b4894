"""Results read by another metric than the tasks' own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harness.core.errors import UserError
from harness.running.results import Results

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

DIRECTIONS = {
    "accuracy": "max",
    "macro_f1": "max",
    "f1": "max",
    "exact_match": "max",
    "token_f1": "max",
    "shaped_reward": "max",
    "loss": "min",
}
"""Which values of the metrics of the shipped tasks are better; a task's own metric is stored with its own."""


def measured_by(results: Results, metric: str) -> Results:
    """The same runs with a metric that was measured beside the one by which candidates were chosen.

    Tasks that do not have it are left out. Which values are better is stored for a task's own metric, and
    known for those of the shipped tasks; of any other it has to be said.

    Args:
        results: of a sweep.
        metric: its name, or ``name:min`` or ``name:max`` where nothing says which values are better.

    Raises:
        UserError: where no task has it, or nothing says which values are better.

    >>> from pathlib import Path
    >>> from harness.running.schema import make_table
    >>> row = {"id": "1", "task": "t", "metric": "accuracy", "test_metric": 0.9, "reported_at": 10}
    >>> score = {"id": "1", "evaluations": 10, "split": "test", "metric": "loss", "value": 0.3}
    >>> tables = {"runs": make_table("runs", [row]), "metrics": make_table("metrics", [score])}
    >>> measured_by(Results(Path(), tables), "loss").runs[["metric", "test_metric"]].values.tolist()
    [['loss', 0.3]]
    """
    import pyarrow as pa

    runs, scores = results.runs, results.metrics
    measured = sorted(set(scores["metric"]) | set(runs["metric"].dropna()))
    name, said = _said(metric, measured)
    if name not in measured:
        raise UserError(f"--metric: {name!r} was not measured; there are {', '.join(measured) or 'none'}")
    mine = scores[scores["metric"] == name]
    values = dict(
        zip(zip(mine["id"], mine["split"], mine["evaluations"], strict=True), mine["value"], strict=True)
    )
    own = (runs["metric"] == name).fillna(False)
    known = own | runs["id"].isin(set(mine["id"]))
    kept = runs["task"].isin(set(runs.loc[known, "task"])).to_numpy(dtype=bool).nonzero()[0]
    direction = said or (None if bool(own[known].all()) else _direction(name, runs[own]))
    columns: dict[str, list[object]] = {
        "metric": [name if has else None for has in known],
        "metric_direction": [
            (said or given) if is_own else direction if has else None
            for given, is_own, has in zip(runs["metric_direction"], own, known, strict=True)
        ],
    }
    table: pa.Table = results.tables["runs"]
    at = table.column("reported_at").to_pylist()
    for split in ("train", "dev", "test"):
        stored = table.column(f"{split}_metric").to_pylist()
        columns[f"{split}_metric"] = [
            value if is_own else values.get((cell, split, spent))
            for cell, value, is_own, spent in zip(runs["id"], stored, own, at, strict=True)
        ]
    table = with_columns(table, columns).take(pa.array(kept))
    return Results(results.path, {**results.tables, "runs": table})


def _said(metric: str, measured: list[str]) -> tuple[str, str | None]:
    """Name and direction; a name that was measured may hold a colon of its own."""
    name, colon, direction = metric.rpartition(":")
    if metric in measured or not colon:
        return metric, None
    if direction not in ("min", "max"):
        raise UserError(f"--metric: {metric!r}: which values are better is min or max, not {direction!r}")
    return name, direction


def _direction(metric: str, own: pd.DataFrame) -> str:
    """That of the tasks whose own metric it is, where they agree; else that of the shipped tasks."""
    stored = set(own["metric_direction"].dropna())
    if len(stored) == 1:
        return str(stored.pop())
    if metric not in DIRECTIONS:
        raise UserError(
            f"--metric: nothing says which values of {metric!r} are better; give {metric}:min or {metric}:max"
        )
    return DIRECTIONS[metric]


def with_columns(table: pa.Table, columns: Mapping[str, Sequence[object] | pd.Series[Any]]) -> pa.Table:
    """The table with some columns replaced by others of the same type; nan and None are missing."""
    import pyarrow as pa

    for name, content in columns.items():
        place = table.schema.get_field_index(name)
        field = table.schema.field(place)
        table = table.set_column(place, field, pa.array(content, type=field.type, from_pandas=True))
    return table

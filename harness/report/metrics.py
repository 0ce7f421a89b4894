"""Results read by another metric than the tasks' own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.core.errors import UserError
from harness.running.results import Results

if TYPE_CHECKING:
    import pyarrow as pa


def measured_by(results: Results, metric: str) -> Results:
    """The same runs with a metric that was measured beside the one by which candidates were chosen.

    Tasks that do not have it are left out. Of a task's own metric the direction is known; any other is
    better when higher, unless its name ends in ``loss``.

    Raises:
        UserError: where no task has it.

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
    if metric not in measured:
        raise UserError(f"--metric: {metric!r} was not measured; there are {', '.join(measured) or 'none'}")
    mine = scores[scores["metric"] == metric]
    values = dict(
        zip(zip(mine["id"], mine["split"], mine["evaluations"], strict=True), mine["value"], strict=True)
    )
    own = (runs["metric"] == metric).fillna(False)
    known = own | runs["id"].isin(set(mine["id"]))
    kept = runs["task"].isin(set(runs.loc[known, "task"])).to_numpy(dtype=bool).nonzero()[0]
    direction = "min" if metric.endswith("loss") else "max"
    table: pa.Table = results.tables["runs"]
    columns: dict[str, list[object]] = {
        "metric": [metric if has else None for has in known],
        "metric_direction": [
            given if is_own else direction if has else None
            for given, is_own, has in zip(runs["metric_direction"], own, known, strict=True)
        ],
    }
    for split in ("train", "dev", "test"):
        stored = table.column(f"{split}_metric").to_pylist()
        at = table.column("reported_at").to_pylist()
        columns[f"{split}_metric"] = [
            value if is_own else values.get((cell, split, spent))
            for cell, value, is_own, spent in zip(runs["id"], stored, own, at, strict=True)
        ]
    for name, content in columns.items():
        place = table.schema.get_field_index(name)
        field = table.schema.field(place)
        table = table.set_column(place, field, pa.array(content, type=field.type))
    return Results(results.path, {**results.tables, "runs": table.take(pa.array(kept))})

"""Results made by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.running.results import Results
from harness.running.schema import make_table


@pytest.fixture
def results(tmp_path: Path) -> Any:
    """Results of (task, algorithm, repetition, status, test metric, more columns...) rows."""

    def make(*rows: tuple[Any, ...]) -> Results:
        entries = [
            {
                "id": f"{task}-{algorithm}-{repetition}",
                "task": task,
                "algorithm": algorithm,
                "repetition": repetition,
                "status": status,
                "test_metric": value,
                "dev_metric": value,
                "metric": "accuracy" if value is not None else None,
                "metric_direction": "max" if value is not None else None,
                "reference": False,
                "budget": 10,
                "evaluations": 10 if value is not None else None,
                "tokens": 100 if value is not None else None,
                **(more[0] if more else {}),
            }
            for task, algorithm, repetition, status, value, *more in rows
        ]
        return Results(tmp_path, {"runs": make_table("runs", entries)})

    return make

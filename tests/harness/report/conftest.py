"""Results made by hand."""

from __future__ import annotations

import json
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


HOSTILE = [
    "<script>window.hacked = 1</script>",
    "</script><script>window.hacked = 1</script>",
    '" onmouseover="window.hacked = 1',
    "' onfocus='window.hacked = 1",
    "<img src=x onerror=window.hacked=1>",
    "{{ 7 * 7 }}{% raw %}",
    "a\nb\r\nc\u2028d\u2029e",
    "näïve 汉字 🦆 \u202eright-to-left",
    "&lt;b&gt;&amp;",
    "%{x} $1 \\u003c \\",
    "@3",
    "__proto__",
    "x" * 300,
]


@pytest.fixture
def names() -> list[str]:
    """Names that no page should trip over."""
    return HOSTILE


@pytest.fixture
def hostile(results: Any) -> Results:
    """Results in which everything that has a name has one of those."""
    rows, curve = [], []
    for place, name in enumerate(HOSTILE):
        for repetition in range(2):
            value = 0.5 + 0.01 * place
            more = {
                "id": f"{place}-{repetition}",
                "metric": name,
                "reason": name,
                "settings": json.dumps({name: name}),
            }
            rows.append((f"task {name}", name, repetition, "finished", value, more))
            curve.append({"id": more["id"], "evaluations": 10, "tokens": 1, "dev_metric": value})
    made = results(*rows, ("task", HOSTILE[0], 0, "failed", None, {"id": "f", "reason": HOSTILE[1]}))
    made.tables["curve"] = make_table("curve", curve)
    return made

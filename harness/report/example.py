"""A small made-up study, for the examples in docstrings."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from harness.running.results import Results
from harness.running.schema import make_table

if TYPE_CHECKING:
    from harness.report.study import Study

_SECONDS = ("seconds_ask", "seconds_evaluate", "seconds_tell")
_VALUES = {"zero-shot": (0.5,), "random": (0.52, 0.55), "mezo": (0.55, 0.7), "adam": (0.8, 0.9)}


@lru_cache
def example() -> Study:
    """Two tasks, three repetitions, two contestants and two references; every number is made up.

    >>> example().contestants, example().references
    (['mezo', 'random'], ['adam', 'zero-shot'])
    """
    from harness.report.study import Study

    runs, curve = [], []
    for task in ("sentiment", "topic"):
        for name in ("random", "mezo", "adam", "zero-shot"):
            for repetition in range(3):
                identity = f"{task}-{name}-{repetition}"
                values = [value + 0.01 * repetition for value in _VALUES[name]]
                spent = 100 * (name != "zero-shot")
                runs.append(
                    {
                        "id": identity,
                        "task": task,
                        "algorithm": name,
                        "kind": "default",
                        "reference": name in ("adam", "zero-shot"),
                        "repetition": repetition,
                        "status": "finished",
                        "budget": 100,
                        "dimension": 20,
                        "evaluations": spent,
                        "tokens": 50 * spent,
                        "flops": 1e6 * spent,
                        "peak_memory": 10**6,
                        "metric": "accuracy",
                        "metric_direction": "max",
                        "dev_metric": values[-1],
                        "test_metric": values[-1] - 0.01,
                        "train_metric": values[-1] + 0.02,
                        **dict.fromkeys(_SECONDS, 0.1),
                    }
                )
                curve += [
                    {
                        "id": identity,
                        "generation": step,
                        "evaluations": 50 * (step + 1),
                        "tokens": 2500 * (step + 1),
                        "dev_metric": value,
                        **dict.fromkeys(_SECONDS, 0.05 * (step + 1)),
                    }
                    for step, value in enumerate(values)
                    if spent
                ]
    return Study(Results(Path(), {"runs": make_table("runs", runs), "curve": make_table("curve", curve)}))

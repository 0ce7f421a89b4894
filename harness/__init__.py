"""gradfree: the benchmark harness for gradient-free (black-box) tuning of language models.

Everything the command line does is one call here; names are imported on first use.

>>> from harness import Algorithm, Points, sweep, load_results
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from harness import core

if TYPE_CHECKING:
    from harness.core import *  # noqa: F403
    from harness.plugins.conformance import check_algorithm, check_task
    from harness.plugins.functions import BudgetSpent
    from harness.report.compare import compare
    from harness.report.tables import leaderboard
    from harness.running.executors import executor_of
    from harness.running.plan import Plan, make_plan
    from harness.running.results import Results, load_results
    from harness.running.sweep_file import Sweep
    from harness.running.sweeping import sweep

_MODULE = {
    **dict.fromkeys(core.__all__, "harness.core"),
    "BudgetSpent": "harness.plugins.functions",
    "Plan": "harness.running.plan",
    "Results": "harness.running.results",
    "Sweep": "harness.running.sweep_file",
    "check_algorithm": "harness.plugins.conformance",
    "check_task": "harness.plugins.conformance",
    "compare": "harness.report.compare",
    "executor_of": "harness.running.executors",
    "leaderboard": "harness.report.tables",
    "load_results": "harness.running.results",
    "make_plan": "harness.running.plan",
    "sweep": "harness.running.sweeping",
}

__all__ = [
    "BudgetSpent",
    "Plan",
    "Results",
    "Sweep",
    "check_algorithm",
    "check_task",
    "compare",
    "executor_of",
    "leaderboard",
    "load_results",
    "make_plan",
    "sweep",
]
__all__ += core.__all__


def __getattr__(name: str) -> Any:
    if name not in _MODULE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULE[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULE})

"""gradfree: the benchmark harness for gradient-free (black-box) tuning of language models.

Everything the command line does is one call here; names are imported on first use.

>>> from harness import Algorithm, Points, sweep, load_results
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.core import (
        Algorithm,
        Block,
        Budget,
        Cost,
        Evaluation,
        Gaussian,
        Gradients,
        LowRank,
        Noise,
        Perturbations,
        Points,
        Population,
        Projected,
        Protocol,
        Rademacher,
        Request,
        Signature,
        Space,
        Split,
        Task,
        UserError,
    )
    from harness.report.tables import leaderboard
    from harness.running.plan import Plan, make_plan
    from harness.running.results import Results, load_results
    from harness.running.sweep_file import Sweep
    from harness.running.sweeping import sweep

_HOME = {
    "harness.core": (
        "Algorithm",
        "Block",
        "Budget",
        "Cost",
        "Evaluation",
        "Gaussian",
        "Gradients",
        "LowRank",
        "Noise",
        "Perturbations",
        "Points",
        "Population",
        "Projected",
        "Protocol",
        "Rademacher",
        "Request",
        "Signature",
        "Space",
        "Split",
        "Task",
        "UserError",
    ),
    "harness.report.tables": ("leaderboard",),
    "harness.running.plan": ("Plan", "make_plan"),
    "harness.running.results": ("Results", "load_results"),
    "harness.running.sweep_file": ("Sweep",),
    "harness.running.sweeping": ("sweep",),
}
_MODULE = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "Algorithm",
    "Block",
    "Budget",
    "Cost",
    "Evaluation",
    "Gaussian",
    "Gradients",
    "LowRank",
    "Noise",
    "Perturbations",
    "Plan",
    "Points",
    "Population",
    "Projected",
    "Protocol",
    "Rademacher",
    "Request",
    "Results",
    "Signature",
    "Space",
    "Split",
    "Sweep",
    "Task",
    "UserError",
    "leaderboard",
    "load_results",
    "make_plan",
    "sweep",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULE[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

"""The vocabulary of gradfree: spaces, noise, populations, budgets, algorithms and tasks.

Names are imported on first use, so that reporting a bad option does not wait for torch.

>>> from harness.core import Block
>>> Block("w", (2, 3), "matrix").size
6
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.core.algorithm import Algorithm
    from harness.core.algorithm_spec import AlgorithmSpec
    from harness.core.budget import Budget
    from harness.core.directions import Orthogonal, Sparse, Sphere
    from harness.core.errors import UserError
    from harness.core.low_rank import HeldLowRank, LowRank, Subspace
    from harness.core.noise import Gaussian, Noise, Rademacher
    from harness.core.population import Gradients, Perturbations, Points, Population
    from harness.core.search import Range, ranges
    from harness.core.space import Block, Projected, Space
    from harness.core.task import Cost, Estimate, Evaluation, Protocol, Request, Signature, Split, Task
    from harness.core.untuned import Candidate, Demonstrations, Majority, Probe, Untuned, point

_HOME = {
    "algorithm": ("Algorithm",),
    "algorithm_spec": ("AlgorithmSpec",),
    "budget": ("Budget",),
    "directions": ("Orthogonal", "Sparse", "Sphere"),
    "errors": ("UserError",),
    "low_rank": ("HeldLowRank", "LowRank", "Subspace"),
    "noise": ("Gaussian", "Noise", "Rademacher"),
    "population": ("Gradients", "Perturbations", "Points", "Population"),
    "search": ("Range", "ranges"),
    "space": ("Block", "Projected", "Space"),
    "task": ("Cost", "Estimate", "Evaluation", "Protocol", "Request", "Signature", "Split", "Task"),
    "untuned": ("Candidate", "Demonstrations", "Majority", "Probe", "Untuned", "point"),
}
_MODULE = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "Algorithm",
    "AlgorithmSpec",
    "Block",
    "Budget",
    "Candidate",
    "Cost",
    "Demonstrations",
    "Estimate",
    "Evaluation",
    "Gaussian",
    "Gradients",
    "HeldLowRank",
    "LowRank",
    "Majority",
    "Noise",
    "Orthogonal",
    "Perturbations",
    "Points",
    "Population",
    "Probe",
    "Projected",
    "Protocol",
    "Rademacher",
    "Range",
    "Request",
    "Signature",
    "Space",
    "Sparse",
    "Sphere",
    "Split",
    "Subspace",
    "Task",
    "Untuned",
    "UserError",
    "point",
    "ranges",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULE[name]}"), name)

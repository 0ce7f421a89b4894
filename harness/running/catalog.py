"""What there is to choose from, and what a plan holds, as plain rows."""

from __future__ import annotations

import inspect
from typing import Any

from harness.core.errors import UserError
from harness.plugins import registry
from harness.plugins.build import Builder
from harness.plugins.messages import did_you_mean
from harness.plugins.options import REQUIRED, describe_options
from harness.running.estimate import PEAKS, Speed, priced
from harness.running.plan import Plan
from harness.running.sweep_file import Sweep, suites

REGISTRIES = {
    "algorithms": registry.ALGORITHMS,
    "datasets": registry.DATASETS,
    "models": registry.MODELS,
    "tunings": registry.TUNINGS,
    "objectives": registry.OBJECTIVES,
    "tasks": registry.TASKS,
}
KINDS = (*REGISTRIES, "suites")


def names() -> dict[str, list[str]]:
    """All names of every kind; nothing is imported, so broken plugins are among them.

    >>> "random" in names()["algorithms"], "quick" in names()["suites"]
    (True, True)
    """
    return {kind: each.names() for kind, each in REGISTRIES.items()} | {"suites": suites()}


def catalog(kind: str) -> list[dict[str, Any]]:
    """A row for everything of a kind: name, summary, options, provider, and an algorithm's capabilities.

    A plugin that cannot be used is a row with ``error`` in place of what is not known of it.

    Args:
        kind: one of ``KINDS``.

    Raises:
        UserError: for another kind.

    >>> catalog("suites")[0]["name"] in suites()
    True
    >>> catalog("algorithm")
    Traceback (most recent call last):
        ...
    harness.core.errors.UserError: there is no list of 'algorithm': did you mean 'algorithms'?
    """
    if kind == "suites":
        return [_suite(name) for name in suites()]
    if kind not in REGISTRIES:
        raise UserError(f"there is no list of {kind!r}: {did_you_mean(kind, KINDS)}")
    return [_plugin(kind, name) for name in REGISTRIES[kind].names()]


def _plugin(kind: str, name: str) -> dict[str, Any]:
    try:
        provider = REGISTRIES[kind].provider(name)
        thing = REGISTRIES[kind].load(name)
        options = {
            option.name: {
                "type": option.type,
                "default": "required" if option.default is REQUIRED else str(option.default),
            }
            for option in (describe_options(thing) if kind != "objectives" else [])
        }
    except Exception as error:  # whatever a stranger's module does, the list goes on
        return {"name": name, "error": str(error)}
    row = {"name": name, "provider": provider, "summary": _summary(thing), "options": options}
    if kind != "algorithms":
        return row
    return row | {
        "family": getattr(thing, "family", None),
        "source": getattr(thing, "source", None),
        "largest_dimension": getattr(thing, "largest_dimension", None),
        "smallest_budget": getattr(thing, "smallest_budget", None),
        "reference": getattr(thing, "reference", None),
        "needs_gradient": getattr(thing, "needs_gradient", None),
        "deterministic": getattr(thing, "deterministic", None),
        "search": {name: [span.low, span.high] for name, span in getattr(thing, "search", {}).items()},
    }


def _summary(thing: Any) -> str:
    lines = (inspect.getdoc(thing) or "").strip().splitlines()
    return lines[0] if lines else ""


def _suite(name: str) -> dict[str, Any]:
    try:
        suite = Sweep.load(name)
    except UserError as error:
        return {"name": name, "error": str(error)}
    return {
        "name": name,
        "tasks": list(suite.tasks),
        "algorithms": list(suite.algorithms),
        "repetitions": suite.repetitions,
        "budget": suite.budget,
    }


def plan_overview(
    plan: Plan, builder: Builder | None = None, speed: Speed | None = None
) -> list[dict[str, Any]]:
    """A row for each task, algorithm and kind of cell: cells to run, evaluations, and why any are skipped.

    Args:
        plan: of a sweep.
        builder: that made it, for a planning one; with it the rows have ``tokens``, ``flops``, ``gpu_hours``
            and ``memory`` too.
        speed: of the GPU whose hours they are.

    >>> from harness.running.plan import make_plan
    >>> words = Sweep.from_flags(tasks="sphere[dimension=2]", algorithms="random", budget=20, repetitions=2)
    >>> row = plan_overview(make_plan(words))[0]
    >>> row["cells"], row["evaluations"], row["skipped"]
    (2, 40, None)
    """
    rows: dict[tuple[str, str, str], dict[str, Any]] = {}
    for cell in plan.cells:
        row = rows.setdefault(
            (cell.task, cell.algorithm, cell.kind),
            {
                "task": cell.task,
                "algorithm": cell.algorithm,
                "kind": cell.kind,
                "reference": cell.reference,
                "dimension": cell.dimension,
                "cells": 0,
                "evaluations": 0,
                "skipped": cell.skip,
            },
        )
        if cell.skip is None:
            row["cells"] += 1
            row["evaluations"] += cell.evaluations
    listed = list(rows.values())
    if builder is not None:
        priced(plan, builder, listed, speed or Speed(PEAKS[plan.sweep.dtype]))
    return listed

"""One run: its configuration, its curve in a few lines, and why it ended."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from harness.core.errors import UserError
from harness.plugins.messages import visible
from harness.report.formats import one_line
from harness.running.files import DamagedError, read_json
from harness.running.lookup import located
from harness.running.results import plan_row
from harness.running.store import ENVIRONMENT

POINTS = 8
"""Rows of the curve that are shown, the first and the last among them."""

_CURVE = ("evaluations", "tokens", "loss_best", "loss_lowest", "dev_metric")


def describe(run: Path | str) -> dict[str, Any]:
    """What is known of a run.

    Args:
        run: the folder of results and the run's id, as ``results/mine/0a1b2c``; the id may be cut short.

    Returns:
        ``run`` (its row of the table of runs; ``options`` and ``settings`` as mappings), ``curve`` (at most
        ``POINTS`` of its rows), ``environment`` and ``traceback`` (None where there is none).

    Raises:
        UserError: where there is no such run, or it cannot be read.

    >>> import tempfile
    >>> from harness import Sweep, sweep
    >>> words = Sweep.from_flags(tasks="sphere[dimension=2]", algorithms="random", budget=20, repetitions=1)
    >>> results = sweep(words, out=tempfile.mkdtemp())
    >>> shown = describe(results.path / results.runs["id"][0])
    >>> shown["run"]["algorithm"], shown["curve"][-1]["evaluations"], shown["traceback"]
    ('random', 20, None)
    """
    _, cell, stored = located(Path(run))
    row = plan_row(cell) | {"status": "pending" if cell.skip is None else "skipped", "reason": cell.skip}
    curve: list[dict[str, Any]] = []
    try:
        if state := stored.state():
            row |= {**state.row, "status": state.status}
            curve = stored.tables(state)["curve"].to_pylist()
    except DamagedError as error:
        raise UserError(f"{stored.path}: {error}; run the sweep again to mend it") from error
    for name in ("options", "settings"):
        if isinstance(row.get(name), str):
            row[name] = json.loads(row[name])
    places = np.unique(np.linspace(0, len(curve) - 1, POINTS).round().astype(int)) if curve else ()
    try:
        machine = read_json(stored.path.parent.parent / ENVIRONMENT).get(row.get("environment"))
    except (DamagedError, AttributeError):  # nothing hangs on it
        machine = None
    trace = stored.path / "traceback.txt"
    return {
        "run": {name: _known(value) for name, value in row.items()},
        "curve": [{name: _known(curve[place][name]) for name in _CURVE} for place in places],
        "environment": machine,
        "traceback": trace.read_text(encoding="utf-8", errors="replace") if trace.is_file() else None,
    }


def in_lines(shown: dict[str, Any]) -> list[str]:
    """What ``describe`` found as lines of text.

    >>> run = {"id": "0a", "task": "t", "status": "failed", "reason": "no", "options": {"sigma": 0.1}}
    >>> in_lines({"run": run, "curve": [], "environment": None, "traceback": None})[3:]
    ['reason: no', 'options: sigma=0.1']
    """
    lines = [f"{name}: {_said(value)}" for name, value in shown["run"].items() if value not in (None, {}, "")]
    if shown["environment"]:
        lines.append(f"machine: {_said(shown['environment'])}")
    if shown["curve"]:
        lines += ["", "  ".join(f"{name:>12}" for name in _CURVE)]
        lines += ["  ".join(f"{_short(point[name]):>12}" for name in _CURVE) for point in shown["curve"]]
    if shown["traceback"]:
        lines += ["", visible(shown["traceback"]).rstrip()]
    return lines


def _known(value: Any) -> Any:
    """None for nan, which JSON does not have."""
    return None if isinstance(value, float) and np.isnan(value) else value


def _said(value: Any) -> str:
    if isinstance(value, dict):
        return one_line(", ".join(f"{name}={each}" for name, each in value.items()))
    return one_line(str(value))


def _short(value: float | None) -> str:
    return (
        "–"
        if value is None or np.isnan(value)
        else f"{value:,}"
        if isinstance(value, int)
        else f"{value:.5g}"
    )

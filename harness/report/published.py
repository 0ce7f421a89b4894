"""Published figures of a protocol beside what the sweep measured, marked as published."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

from harness.core.errors import UserError
from harness.plugins.spec import Spec
from harness.running.files import DamagedError, read_json
from harness.running.plan import canonical_task
from harness.running.store import PLAN

if TYPE_CHECKING:
    from harness.running.results import Results


def published(results: Results, board: Sequence[dict[Hashable, Any]]) -> list[dict[str, Any]]:
    """A row for each figure that the sweep file brings along.

    Args:
        results: of a sweep; without its plan there are none.
        board: lines of the leaderboard, among which ours is looked up: the same task, algorithm and metric.

    Returns:
        Rows of ``task``, ``algorithm``, ``metric``, ``value``, ``source``, and of ours ``mean``, ``low``,
        ``high``, ``n`` (nan and 0 where the sweep has none).

    >>> from harness.report.example import example
    >>> published(example().results, [])
    []
    """
    try:
        sweep = read_json(results.path / PLAN)["sweep"]
        figures = list(sweep.get("published") or ())
    except (DamagedError, KeyError, TypeError, AttributeError):
        return []
    ours = {(line["task"], line["algorithm"], line["metric"]): line for line in board}
    rows = []
    for figure in figures:
        task, algorithm = _canonical(figure, str(sweep.get("objective", "cross-entropy")))
        own = ours.get((task, algorithm, figure["metric"]))
        rows.append(
            {
                **figure,
                "task": task,
                "algorithm": algorithm,
                "mean": math.nan if own is None else own["test_mean"],
                "low": math.nan if own is None else own["ci_low"],
                "high": math.nan if own is None else own["ci_high"],
                "n": 0 if own is None else own["n"],
            }
        )
    return rows


def _canonical(figure: dict[str, Any], objective: str) -> tuple[str, str]:
    """Task and algorithm as the tables write them; what is no name of ours (a method's) stays as it is."""
    try:
        task = str(canonical_task(figure["task"], objective))
    except UserError:
        task = str(figure["task"])
    try:
        return task, str(Spec.parse(figure["algorithm"]))
    except UserError:
        return task, str(figure["algorithm"])

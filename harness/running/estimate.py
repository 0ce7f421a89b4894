"""What a plan is going to cost: tokens, operations, GPU hours and memory, without running anything."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from harness.core.budget import Budget
from harness.core.errors import UserError
from harness.core.task import Cost, Estimate
from harness.plugins.build import algorithm_class

if TYPE_CHECKING:
    from harness.plugins.build import Builder
    from harness.running.plan import Cell, Plan

COSTS = ("tokens", "flops", "gpu_hours")
"""Columns that add up; ``memory`` is the largest."""


PEAKS = {"bfloat16": 989e12, "float32": 67e12, "float64": 34e12}
"""Operations per second of an H100 or H200 by its data sheet: dense, and for the wider types without tensor
cores, as torch computes them unless told otherwise."""


@dataclass(frozen=True)
class Speed:
    """How fast a GPU is taken to be; estimates of hours hang on it.

    Args:
        peak_flops: operations per second.
        utilisation: the share of it that forwards reach. Generating token by token reaches far less, and so
            do batches of a few short rows.

    Raises:
        UserError: for a speed that is none.

    >>> Speed(PEAKS["bfloat16"]).hours(3600 * 989e12)
    2.5
    """

    peak_flops: float
    utilisation: float = 0.4

    def __post_init__(self) -> None:
        if not 0 < self.peak_flops < math.inf:
            raise UserError(f"--peak-flops: must be more than 0 and finite, got {self.peak_flops}")
        if not 0 < self.utilisation <= 1:
            raise UserError(f"--utilisation: must be more than 0 and at most 1, got {self.utilisation}")

    def hours(self, flops: float) -> float:
        """Of so many operations."""
        return flops / (self.peak_flops * self.utilisation) / 3600


def cost_of(cells: Sequence[Cell], estimate: Estimate, dev_points: int) -> Cost:
    """Tuning and scoring of cells of one task and algorithm, at most; skipped ones cost nothing.

    A gradient counts three evaluations: so it does in operations, while its tokens go through once.
    """
    total = Cost()
    for cell in cells:
        if cell.skip is not None:
            continue
        each, count = estimate.evaluation, cell.evaluations
        kind, _ = algorithm_class(cell.spec)
        passes = count // Budget.GRADIENT_PRICE if kind.needs_gradient else count
        total += Cost(passes * each.sequences, passes * each.tokens, count * each.flops)
        looks = {"dev": dev_points if count else 1, "train": 1, "test": 1}
        for split, cost in estimate.scores.items():
            if split == "dev" or cell.looks_at_test:
                times = looks[split]
                total += Cost(times * cost.sequences, times * cost.tokens, times * cost.flops)
    return total


def memory_of(cell: Cell, estimate: Estimate) -> int:
    """Bytes on the device: the model, the smallest forward, and the points that the algorithm keeps."""
    kind, options = algorithm_class(cell.spec)
    kept = kind.points_kept(**options) if cell.evaluations else 0
    return estimate.weights + estimate.activations + kept * estimate.point


def priced(plan: Plan, builder: Builder, rows: Sequence[dict[str, Any]], speed: Speed) -> None:
    """Add ``tokens``, ``flops``, ``gpu_hours`` and ``memory`` to the rows of an overview of a plan.

    They are None for a task that does not tell what it costs.

    Args:
        plan: of which ``rows`` are the overview.
        builder: that made it.
        rows: with ``task``, ``algorithm`` and ``kind``.
        speed: of the GPU.
    """
    groups: dict[tuple[str, str, str], list[Cell]] = {}
    for cell in plan.cells:
        groups.setdefault((cell.task, cell.algorithm, cell.kind), []).append(cell)
    estimates: dict[str, Estimate | None] = {}
    for row in rows:
        task = row["task"]
        if task not in estimates:
            estimates[task] = builder.task(task).estimate()
        estimate, cells = estimates[task], groups[task, row["algorithm"], row["kind"]]
        untuned = algorithm_class(row["algorithm"])[0].untuned
        if estimate is not None and untuned is not None and row["cells"]:
            estimate = replace(estimate, scores=builder.task(task).untuned_estimate(untuned))
        row |= dict.fromkeys((*COSTS, "memory"))
        if estimate is not None and row["cells"]:
            cost = cost_of(cells, estimate, plan.sweep.protocol.dev_points)
            hours = speed.hours(cost.flops)
            row |= {"tokens": cost.tokens, "flops": cost.flops, "gpu_hours": hours}
            row["memory"] = memory_of(cells[0], estimate)


def total(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Sums over the rows of a plan, and the largest memory.

    >>> row = {"cells": 2, "evaluations": 40, "tokens": 100, "flops": 1e9, "gpu_hours": 0.5, "memory": 7}
    >>> total([row, row])["tokens"], total([row, row])["memory"]
    (200, 7)
    """
    sums = {name: sum(row[name] or 0 for row in rows) for name in ("cells", "evaluations", *COSTS)}
    return sums | {"memory": max((row["memory"] or 0 for row in rows), default=0)}

"""What each run had spent when it first reached its targets, and expected running times."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import cast

import numpy as np
from numpy.typing import NDArray

from harness.report.statistics import RunTime, expected_running_time, running_times, targets
from harness.report.study import Study

Array = NDArray[np.float64]
Reached = tuple[Array, float]
"""The cost at which each target was reached, infinite where it was not, and what the run spent."""

ENDED = ("finished", "timeout", "failed")
"""Cells that have run: one that failed has spent, and missed what it had not reached."""


def reached(study: Study, axis: str, compared: bool = True) -> dict[tuple[str, int], dict[str, Reached]]:
    """For each block and entry: the cost at which each target was reached, and what the run spent.

    Targets are set on dev, between the untuned model and the best value of any entry on that block. Blocks
    without anything to reach are not there.

    Args:
        study: of a sweep.
        axis: evaluations, tokens or seconds.
        compared: only blocks of the contestants' complete table; else all, and runs that failed before
            their first dev point too, which have reached nothing.

    >>> from harness.report.example import example
    >>> times, spent = reached(example(), "evaluations")["topic", 0]["mezo"]
    >>> times.tolist()[:4], spent  # from .5 to adam's .9; mezo is at .55, then at .7
    ([50.0, 100.0, 100.0, inf], 100.0)
    """
    found: dict[tuple[str, int], dict[str, Reached]] = {}
    blocks = set(zip(study.blocks.tasks, study.blocks.repetitions, strict=True))
    names = ["id", "entry", "status", "reference", axis]
    for found_key, group in study.runs.groupby(["task", "repetition"], sort=False):
        key = cast("tuple[str, int]", found_key)
        if compared and key not in blocks:
            continue
        sign = -1.0 if "min" in set(group["metric_direction"].dropna()) else 1.0
        traced = [study.traces[name] for name in group["id"] if name in study.traces]
        best = max((float((sign * trace.dev).max()) for trace in traced), default=math.nan)
        goals = targets(sign * study.start(*key), best)
        if not len(goals):
            continue
        entries: dict[str, Reached] = {}
        for name, entry, status, reference, spent in group[names].itertuples(index=False):
            trace = study.traces.get(name)
            if trace is not None and trace.evaluations[-1] > 0:
                costs: Array = getattr(trace, axis)
                entries[entry] = running_times(costs, sign * trace.dev, goals), float(costs[-1])
            elif not compared and status in ENDED and not reference:
                nothing = np.full(len(goals), math.inf)
                entries[entry] = nothing, float(np.nan_to_num(np.float64(spent)))
        found[key] = entries
    return found


def expected(study: Study, axis: str = "evaluations") -> dict[tuple[str, str], list[RunTime]]:
    """By task and entry the expected running time to each target, pooled over repetitions.

    >>> from harness.report.example import example
    >>> times = expected(example())["topic", "mezo"]
    >>> [time.value for time in times[:4]], times[3].successes, times[3].runs
    ([50.0, 100.0, 100.0, inf], 0, 3)
    """
    runs: dict[tuple[str, str], list[Reached]] = defaultdict(list)
    for (task, _), entries in reached(study, axis, compared=False).items():
        for entry, run in entries.items():
            runs[task, entry].append(run)
    return {
        key: [
            expected_running_time([float(times[goal]) for times, _ in found], [spent for _, spent in found])
            for goal in range(len(found[0][0]))
        ]
        for key, found in runs.items()
    }

"""What the columns of a leaderboard are: results, promises, running times, numbers of examples, tuning."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from harness.report.entries import SCORED
from harness.report.promises import PROMISES, Promises, unlabelled
from harness.report.statistics import Estimate, Interval, RunTime, mean_interval
from harness.report.statistics.runtimes import FRACTIONS
from harness.report.study import Study
from harness.report.targets import expected

COLUMNS = ("results", "promises", "ert", "data", "tuning")
"""Sets of columns that a leaderboard can have."""

Value = Interval | Estimate | RunTime
Values = Mapping[str, Value]
_ENDS: dict[type, tuple[str, ...]] = {RunTime: ("", "_low", "_high", "_successes", "_n")}
_USUAL = ("", "_low", "_high", "_n")


class Columns(NamedTuple):
    """Measured quantities of a leaderboard by task.

    Args:
        headings: by name; ``{metric}`` stands for a group's metric.
        values: by task and entry; what is not there is missing.
        notes: by task.
    """

    headings: dict[str, str]
    values: dict[tuple[str, str], Values]
    notes: dict[str, str]


def results_of(cells: pd.DataFrame, split: str = "test") -> Columns:
    """Means over repetitions with Student t intervals: the metric, tokens and seconds.

    Args:
        cells: of a sweep, as ``entries`` gives them.
        split: ``test``, with dev beside it, or ``dev`` alone.
    """
    sources = {"test": "test_metric", "dev": "dev_metric", "tokens": "tokens", "seconds": "seconds"}
    headings = {"test": "test {metric}", "dev": "dev {metric}", "tokens": "tokens", "seconds": "seconds"}
    if split == "dev":
        headings.pop("test")
    cells = cells[cells["status"].isin(SCORED) & cells["test_metric"].notna()]
    values: dict[tuple[str, str], Values] = {
        (str(task), str(entry)): {
            name: mean_interval(group[sources[name]].astype("float64").tolist()) for name in headings
        }
        for (task, entry), group in cells.groupby(["task", "entry"], sort=False)
    }
    return Columns(headings, values, {})


def promises_of(study: Study) -> Columns:
    """The promises of each task by itself, and under which objective it is searched without labels."""
    values: dict[tuple[str, str], Values] = {}
    notes = {}
    for task in study.tasks:
        promises = Promises(study.part(study.runs["task"] == task))
        for entry in promises.study.entries:
            values[task, entry] = promises.of(entry)
        first = promises.study.first_order.get(task)
        said = [f"multiples are of {first[0]}" if first else "no first-order reference has a result"]
        if objective := unlabelled(task):
            said.append(f"searched without labels ({objective}): what it gains stands under over zero-shot")
        notes[task] = "; ".join(said)
    return Columns(dict(PROMISES), values, notes)


def running_times_of(study: Study) -> Columns:
    """Expected running times, in evaluations, to parts of the way from zero-shot to the best dev value."""
    headings = {f"to_{100 * part:g}": f"to {100 * part:g} %" for part in FRACTIONS}
    values: dict[tuple[str, str], Values] = {
        key: dict(zip(headings, times, strict=True)) for key, times in expected(study).items()
    }
    known = {task for task, _ in values}
    notes = {
        task: "no target: no zero-shot result, or nobody got beyond it on dev"
        for task in study.tasks
        if task not in known
    }
    return Columns(headings, values, notes)


TUNING = {"default": "default", "tuned": "tuned", "change": "tuned - default"}


def effort_of(cells: pd.DataFrame) -> dict[tuple[str, str], Values]:
    """What equal tuning effort has changed, by task and entry of the default options.

    ``default`` and ``tuned`` are means of the test metric, ``change`` is the mean difference over the
    repetitions that have both. Intervals are Student's t.

    Args:
        cells: of a sweep, as ``entries`` gives them.
    """
    scored = cells[cells["status"].isin(SCORED) & cells["test_metric"].notna()]
    found: dict[tuple[str, str], Values] = {}
    for (task, _, _), group in scored.groupby(["task", "algorithm", "budget"], sort=False):
        tuned = group["kind"].fillna("default") == "tuned"
        if tuned.all():
            continue
        metric = group["test_metric"].astype("float64").set_axis(group["repetition"])
        default, other = metric[~tuned.to_numpy()], metric[tuned.to_numpy()]
        parts = zip(TUNING, (default, other, (other - default).dropna()), strict=True)
        found[str(task), str(group.loc[~tuned, "entry"].iloc[0])] = {
            name: mean_interval(part.tolist()) for name, part in parts
        }
    return found


def flat(name: str, value: Value) -> dict[str, float]:
    """A value as its columns: itself, the ends of its interval, and of how many."""
    ends = _ENDS.get(type(value), _USUAL)
    return {f"{name}{end}": part for end, part in zip(ends, value, strict=True)}


def names_of(measures: Sequence[str], sample: type = Interval) -> list[str]:
    """Names of the columns of some measures."""
    ends = _ENDS.get(sample, _USUAL)
    return [name + end for name in measures for end in ends]


ABOUT = {
    "tuning": (
        "Every algorithm was given the same number of trials of each task, on a split of their own; the "
        "options of the best trial on dev were then run as the default ones were. Ranks are of the tuned "
        "ones."
    ),
    "promises": (
        "Multiples (×) are of the better first-order reference on the same blocks; seconds and memory are "
        "measured, and of cells that shared forwards or a process they are shares. Spread: standard "
        "deviation over repetitions. Diverged: worse on dev than the untouched model, or a loss was nan. "
        "Train - test: more is more overfitted."
    ),
    "ert": (
        "Expected running time: evaluations spent until the target or the end, over the number of runs that "
        "reached the target (successes / runs); bootstrap intervals. Targets are parts of the way from "
        "zero-shot to the best dev value of the block."
    ),
}
"""What sets of columns mean, in sentences."""
BY_TASK: dict[str, Callable[[Study], Columns]] = {"promises": promises_of, "ert": running_times_of}

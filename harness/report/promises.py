"""The promises of tuning without gradients, measured: what it costs, how steady it is, what it generalises.

Each is a number with its interval and how many runs it is of, for an entry over all tasks of a study; over
several tasks it is missing where the entry lacks one of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cached_property, lru_cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.core.errors import UserError
from harness.plugins.registry import OBJECTIVES, reading_results
from harness.plugins.spec import TaskSpec, parse_task
from harness.report.entries import SCORED
from harness.report.statistics import Interval, pooled_deviation, share, stratified_mean
from harness.report.study import Study

Array = NDArray[np.float64]

PROMISES = {
    "tokens_ratio": "tokens ×",
    "flops_ratio": "operations ×",
    "seconds_ratio": "seconds ×",
    "memory_ratio": "memory ×",
    "spread": "spread",
    "lost": "diverged or failed",
    "gap": "train - test",
    "gap_difference": "gap against first-order",
    "over_zero_shot": "over zero-shot",
}
"""Names of the columns, and their headings; ``×`` is a multiple of the first-order reference's."""

_RATIOS = {
    "tokens_ratio": "tokens",
    "flops_ratio": "flops",
    "seconds_ratio": "seconds",
    "memory_ratio": "peak_memory",
}
_NONE = Interval(math.nan, math.nan, math.nan, 0)


class Promises:
    """The promises of each entry of a study.

    Args:
        study: over whose tasks they are.

    >>> from harness.report.example import example
    >>> mezo = Promises(example()).of("mezo")
    >>> mezo["tokens_ratio"].mean, round(mezo["gap"].mean, 3), mezo["lost"][::3]
    (1.0, 0.03, (0.0, 6))
    """

    def __init__(self, study: Study) -> None:
        self.study = study
        self._tables: dict[str, Array] = {}
        cells = study.runs.assign(repetition=study.runs["repetition"].fillna(0))
        sign = np.where(cells["metric_direction"] == "min", -1.0, 1.0)
        scored = cells["status"].isin(SCORED)
        cells["gap"] = ((cells["train_metric"] - cells["test_metric"]).astype("float64") * sign).where(scored)
        searched = scored & (cells["evaluations"].fillna(0) > 0)  # what asks nothing has no cost to compare
        for name in _RATIOS.values():
            cells[name] = cells[name].astype("float64").where(searched)
        self._cells: pd.DataFrame = cells
        blocks = cells.pivot(index=["task", "repetition"], columns="entry", values="score")
        self._columns: dict[str, int] = {str(entry): place for place, entry in enumerate(blocks.columns)}
        self._places: dict[str, NDArray[np.int64]] = {
            task: np.flatnonzero(blocks.index.get_level_values("task") == task) for task in study.tasks
        }
        self._comparable: bool = study.common_metric is not None or len(study.tasks) == 1

    def of(self, entry: str) -> dict[str, Interval]:
        """Every promise of an entry, by the names of ``PROMISES``."""
        found = {name: self._ratio(entry, column) for name, column in _RATIOS.items()}
        found["spread"] = self._over(pooled_deviation, self._values("score", entry))
        found["lost"] = self._lost(entry)
        found["gap"] = self._over(stratified_mean, self._values("gap", entry))
        found["gap_difference"] = self._over(stratified_mean, self._against_first("gap", entry))
        found["over_zero_shot"] = self._over(stratified_mean, self._over_zero_shot(entry))
        return {name: found[name] for name in PROMISES}

    def _column(self, column: str, entry: str, task: str) -> Array:
        """The values of an entry over the repetitions of a task; nan where there is none."""
        if column not in self._tables:
            table = self._cells.pivot(index=["task", "repetition"], columns="entry", values=column)
            self._tables[column] = table.to_numpy(dtype=np.float64, na_value=np.nan)
        return self._tables[column][self._places[task], self._columns[entry]]

    def _values(self, column: str, entry: str) -> Iterator[Array]:
        return (self._column(column, entry, task) for task in self.study.tasks)

    def _against_first(self, column: str, entry: str) -> Iterator[Array]:
        """Differences to the first-order reference on the same blocks, of the tasks that have one."""
        for task, (first, _) in self.study.first_order.items():
            yield self._column(column, entry, task) - self._column(column, first, task)

    def _over_zero_shot(self, entry: str) -> Iterator[Array]:
        for task in self.study.tasks:
            own, untuned = self._column("score", entry, task), self.study.untuned
            zero = self._column("score", untuned, task) if untuned else np.full(len(own), math.nan)
            yield own - zero

    def _over(self, statistic: Callable[[list[Array]], Interval], values: Iterator[Array]) -> Interval:
        """A statistic of what is known; nothing over different metrics, or where a task is missing."""
        groups = [group[~np.isnan(group)] for group in values]
        if not groups or not all(len(group) for group in groups) or not self._comparable:
            return _NONE
        return statistic(groups)

    def _ratio(self, entry: str, column: str) -> Interval:
        """Geometric mean of ratios on the same blocks, with the interval of their logarithms."""
        groups = []
        for task, (first, _) in self.study.first_order.items():
            own, reference = (self._column(column, name, task) for name in (entry, first))
            known = (own > 0) & (reference > 0)
            groups.append(np.log(own[known] / reference[known]))
        if not groups or not all(len(group) for group in groups):
            return _NONE
        mean, low, high, n = stratified_mean(groups)
        return Interval(math.exp(mean), math.exp(low), math.exp(high), n)

    def _lost(self, entry: str) -> Interval:
        """Share of the runs that failed, met a nan loss, or report less on dev than the untouched model."""
        lost, runs, tasks = self._losses.get(entry, (0, 0, 0))
        return share(lost, runs) if tasks == len(self.study.tasks) else _NONE

    @cached_property
    def _losses(self) -> dict[str, tuple[int, int, int]]:
        """By entry the runs that were lost, those that ran, and on how many tasks: of all entries at once."""
        cells = self._cells[self._cells["status"].isin([*SCORED, "failed"])]
        starts = self.study.starts.reindex(pd.MultiIndex.from_frame(cells[["task", "repetition"]]))
        below = cells["dev_score"].to_numpy(dtype=np.float64) < starts.to_numpy(dtype=np.float64)
        broken = (cells["failed_evaluations"].fillna(0) > 0) | (cells["status"] == "failed")
        lost = cells.assign(lost=below | broken.to_numpy(dtype=bool))
        found = lost.groupby("entry", sort=False).agg({"lost": ["sum", "size"], "task": "nunique"})
        return {str(entry): (int(n), int(runs), int(tasks)) for entry, n, runs, tasks in found.itertuples()}


@lru_cache
def unlabelled(task: str) -> str | None:
    """The objective under which a task is searched on without labels; None for any other task.

    >>> unlabelled("sst2/roberta-large/prompt[objective=entropy]"), unlabelled("sst2/roberta-large/prompt")
    ('entropy', None)
    """
    try:
        spec = parse_task(task)
        if not isinstance(spec, TaskSpec) or spec.objective is None:
            return None
        with reading_results():
            objective = OBJECTIVES.load(spec.objective)
    except UserError:  # of a plugin that is not installed, or not imported because results name it
        return None
    return spec.objective if getattr(objective, "unlabelled", False) else None

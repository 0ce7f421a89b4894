"""Everything that a report says, computed once from the stored tables."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from harness.report.entries import entries, with_first_order
from harness.report.first_order import NAME, NOT_RUN, missing_first_order
from harness.report.statistics import (
    Blocks,
    Comparisons,
    Estimate,
    Gains,
    RankTest,
    area_under_curve,
    complete_blocks,
    friedman,
    interquartile_mean,
    normalised_gain,
    paired_tests,
    probability_of_improvement,
)
from harness.report.traces import Trace, traces

if TYPE_CHECKING:
    from harness.running.results import Results

LEVEL = 0.05


class Study:
    """The results of a sweep as a report reads them; nothing is computed before it is asked for.

    Args:
        results: of a sweep, finished or not.
        cells: some of its ``entries``, where the study is about a part of it; all by default.

    >>> from pathlib import Path
    >>> from harness.running.results import Results
    >>> from harness.running.schema import make_table
    >>> row = {"id": "1", "task": "t", "algorithm": "a", "status": "finished", "test_metric": 0.5}
    >>> study = Study(Results(Path(), {"runs": make_table("runs", [row]), "curve": make_table("curve", [])}))
    >>> study.contestants, study.standing["rank"].tolist()
    (['a'], [1.0])
    """

    def __init__(self, results: Results, cells: pd.DataFrame | None = None) -> None:
        self.results = results
        self.runs = with_first_order(entries(results.runs)) if cells is None else cells
        self.tasks = [str(task) for task in dict.fromkeys(self.runs["task"])]
        self._gains: dict[str, Estimate] = {}

    def part(self, chosen: pd.Series[bool]) -> Study:
        """The study of some of the cells, under the names that they have here.

        Args:
            chosen: for each row of ``runs``.
        """
        return Study(self.results, self.runs[chosen].reset_index(drop=True))

    @cached_property
    def traces(self) -> dict[str, Trace]:
        """The thinned curve of each cell, by id."""
        return traces(self.results.tables["curve"])

    @cached_property
    def blocks(self) -> Blocks:
        """The contestants' scores where no aggregate would be over ragged sets."""
        return complete_blocks(self._scores(self.runs[self.runs["role"] == "contestant"]))

    @staticmethod
    def _scores(cells: pd.DataFrame) -> pd.DataFrame:
        return cells[["task", "repetition", "score"]].assign(algorithm=cells["entry"])

    @cached_property
    def ranks(self) -> RankTest:
        """Average ranks of the contestants in ``blocks``."""
        return friedman(self.blocks.scores)

    @cached_property
    def tests(self) -> Comparisons:
        """Paired tests between the contestants in ``blocks``."""
        return paired_tests(self.blocks.scores)

    @cached_property
    def contestants(self) -> list[str]:
        """Those in ``blocks`` by average rank, then the others in the order of the plan."""
        placed = sorted(zip(self.ranks.ranks, range(len(self.ranks.ranks)), strict=True))
        names = [self.blocks.contestants[place] for _, place in placed]
        rest = dict.fromkeys(self.runs.loc[self.runs["role"] == "contestant", "entry"])
        return names + [str(name) for name in rest if name not in names]

    @cached_property
    def references(self) -> list[str]:
        """The marked references, in the order of the plan."""
        return [str(name) for name in dict.fromkeys(self.runs.loc[self.runs["reference"], "entry"])]

    @property
    def entries(self) -> list[str]:
        """Contestants, then references: the order of every list and colour."""
        return [*self.contestants, *self.references]

    @cached_property
    def missing_first_order(self) -> dict[str, str]:
        """Of each task that lacks a first-order reference and could have one: why, and how to get it."""
        return missing_first_order(self.runs)

    @property
    def no_first_order(self) -> str:
        """Why there is no first-order entry at all; empty where there is one, or none can be."""
        if (self.runs["role"] == NAME).any():
            return ""
        return " | ".join(dict.fromkeys(self.missing_first_order.values()))

    @cached_property
    def means(self) -> pd.DataFrame:
        """Mean score by task (rows) and entry (columns); nan unless every planned repetition has one."""
        whole = self.runs.groupby(["task", "entry"], sort=False)["score"].agg(["mean", "count", "size"])
        values = whole["mean"].where(whole["count"] == whole["size"])
        return values.unstack("entry").reindex(index=self.tasks, columns=self.entries)

    @cached_property
    def untuned(self) -> str | None:
        """The entry that is the untuned model."""
        return next((str(name) for name in self.runs.loc[self.runs["role"] == "untuned", "entry"]), None)

    @cached_property
    def zero(self) -> dict[str, float]:
        """Mean score of the untuned model, where it has one."""
        means = self.means[self.untuned].dropna() if self.untuned else pd.Series(dtype="float64")
        return {str(task): float(mean) for task, mean in means.items()}

    @cached_property
    def first_order(self) -> dict[str, tuple[str, float]]:
        """Of each task the first-order reference with the best mean on dev, and its mean score on test."""
        cells = self.runs[self.runs["role"] == "first-order"]
        dev = cells.groupby(["task", "entry"], sort=False)["dev_score"].mean().unstack("entry")
        best: dict[str, tuple[str, float]] = {}
        for task in dev.index:
            # Only those without a gap: a mean over fewer splits is another quantity.
            known = dev.loc[task][self.means.loc[task, dev.columns].notna()].dropna()
            if len(known):
                name = str(known.idxmax())
                best[str(task)] = (name, float(self.means[name][task]))
        return best

    def gains(self, entry: str) -> Gains:
        """Normalised gains of an entry, over the repetitions of each task."""
        cells = self.runs[self.runs["entry"] == entry]
        scores = {str(task): group["score"].tolist() for task, group in cells.groupby("task", sort=False)}
        return normalised_gain(scores, self.zero, self._first_order_scores)

    @cached_property
    def _first_order_scores(self) -> dict[str, float]:
        return {task: mean for task, (_, mean) in self.first_order.items()}

    @cached_property
    def gain_scale(self) -> Gains:
        """On which tasks gain is defined, and why not on the others; the values are of a score of 0."""
        return normalised_gain({task: [0.0] for task in self.tasks}, self.zero, self._first_order_scores)

    @cached_property
    def common_metric(self) -> str | None:
        """The metric, where all tasks have the same one; means over different ones would mean nothing."""
        kinds = set(zip(self.runs["metric"].dropna(), self.runs["metric_direction"].dropna(), strict=False))
        return str(next(iter(kinds))[0]) if len(kinds) == 1 else None

    def gain(self, entry: str) -> Estimate:
        """Interquartile mean of an entry's gains over all tasks that have them; nan where one is missing."""
        if entry not in self._gains:  # asked by every part of a report, and a bootstrap each time
            self._gains[entry] = self._gain(entry)
        return self._gains[entry]

    def _gain(self, entry: str) -> Estimate:
        values = self.gains(entry).values
        if set(values) != set(self.gain_scale.values) or any(
            np.isnan(each).any() for each in values.values()
        ):
            return Estimate(math.nan, math.nan, math.nan, 0)
        return interquartile_mean(list(values.values()))

    def level(self, entry: str) -> Estimate:
        """Interquartile mean of the raw metric over all tasks; nan where they differ or one is missing."""
        cells = self.runs[self.runs["entry"] == entry]
        if self.common_metric is None or cells["score"].isna().any() or set(cells["task"]) != set(self.tasks):
            return Estimate(math.nan, math.nan, math.nan, 0)
        metric = cells["test_metric"].astype("float64")
        return interquartile_mean([group.tolist() for _, group in metric.groupby(cells["task"])])

    def improvement(self, ours: str, theirs: str, resamples: int = 0) -> Estimate:
        """Probability that a run of one contestant in ``blocks`` beats one of another's."""
        sides = self.blocks.cube(ours), self.blocks.cube(theirs)
        return probability_of_improvement(*sides, resamples=resamples)

    def p(self, ours: str, theirs: str) -> float:
        """Holm-corrected p of two contestants in ``blocks``; nan without enough data."""
        places = [self.blocks.contestants.index(name) for name in (ours, theirs)]
        return float(self.tests.p[places[0], places[1]])

    def anytime(self, entry: str) -> float:
        """Mean over all tasks of the area under the dev curve; nan as ``level``, or without zero-shot."""
        cells = self.runs[self.runs["entry"] == entry]
        if self.common_metric is None or cells["score"].isna().any() or set(cells["task"]) != set(self.tasks):
            return math.nan
        areas = pd.Series([self.area(cell) for cell in cells.to_dict("records")], index=cells["task"])
        return float(areas.groupby(level=0).mean().mean()) if areas.notna().all() else math.nan

    def area(self, cell: Mapping[Hashable, Any]) -> float:
        """Area under one cell's dev curve over its budget of evaluations, from a row of ``runs``."""
        trace, start = self.traces.get(cell["id"]), self.start(cell["task"], cell["repetition"])
        if trace is None or math.isnan(start):
            return math.nan
        return area_under_curve(trace.evaluations, trace.dev, start, float(cell["budget"]))

    @cached_property
    def starts(self) -> pd.Series[float]:
        """Dev score of the untuned model by task and repetition, where it has one."""
        cells = self.runs[(self.runs["entry"] == self.untuned) & self.runs["dev_score"].notna()]
        cells = cells.assign(repetition=cells["repetition"].fillna(0))
        return cells.set_index(["task", "repetition"])["dev_score"]

    @cached_property
    def _starts(self) -> dict[tuple[str, int], float]:
        cells = self.runs[(self.runs["role"] == "untuned") & self.runs["dev_score"].notna()]
        keys = zip(cells["task"], cells["repetition"], strict=True)
        return dict(zip(keys, cells["dev_metric"].astype("float64").tolist(), strict=True))

    def start(self, task: str, repetition: int) -> float:
        """Dev metric of the untuned model on a block; nan without such a cell."""
        return self._starts.get((task, repetition), math.nan)

    @cached_property
    def standing(self) -> pd.DataFrame:
        """A row for each entry over all tasks: what can be aggregated, and nothing over a ragged set.

        Columns: ``entry``, ``reference``, ``rank`` (average over blocks), ``tie`` (best, tied, worse, or why
        it cannot be said), ``gain``, ``level`` (both with ``_low``, ``_high`` and ``_n``), ``anytime``. Where
        no first-order reference was run, the last row is of it, ``tie`` being not run.
        """
        columns = ["entry", "reference", "rank", "tie", "anytime"]
        columns += [name + end for name in ("gain", "level") for end in ("", "_low", "_high", "_n")]
        rows = [self._standing(entry) for entry in self.entries]
        if self.no_first_order:
            counts = {"gain_n": 0, "level_n": 0}
            rows.append({"entry": NAME, "reference": True, "tie": NOT_RUN, **counts})
        return pd.DataFrame(rows, columns=columns)

    def _standing(self, entry: str) -> dict[str, object]:
        placed = dict(zip(self.blocks.contestants, self.ranks.ranks, strict=True))
        gain, level = self.gain(entry), self.level(entry)
        return {
            "entry": entry,
            "reference": entry in self.references,
            "rank": placed.get(entry, math.nan),
            "tie": self.tie(entry),
            "gain": gain.value,
            "gain_low": gain.low,
            "gain_high": gain.high,
            "gain_n": gain.n,
            "level": level.value,
            "level_low": level.low,
            "level_high": level.high,
            "level_n": level.n,
            "anytime": self.anytime(entry),
        }

    def tie(self, entry: str) -> str:
        """Whether an entry can be told apart from the one with the best average rank."""
        if entry in self.references:
            return "reference"
        if entry not in self.blocks.contestants:
            return "not on every task"
        best = self.contestants[0]
        if entry == best:
            return "best"
        p = self.p(entry, best)
        return "not enough data" if math.isnan(p) else "worse" if p < LEVEL else "tied"

"""Quality over cost: convergence curves task by task, and average rank while the budget is spent."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import unescape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.report.figures.chart import Chart, Choice, Style, View, label, line, numbers, styles
from harness.report.figures.far import diverged, far_note, limits
from harness.report.statistics import Interval, at_points, average_ranks, mean_interval
from harness.report.study import Study
from harness.report.traces import Trace

POINTS = 24
"""At which curves over a cost are read."""

AXES = (("evaluations", "evaluations"), ("tokens", "tokens"), ("seconds", "seconds (measured)"))


def convergence(study: Study) -> Chart:
    """Dev metric of the candidate that would be reported, as each cost grows, with intervals.

    >>> from harness.report.example import example
    >>> sorted(convergence(example()).views)[0]
    'sentiment|evaluations'
    """
    views = {
        f"{task}|{axis}": _view(study, task, axis, wording)
        for task in study.tasks
        for axis, wording in AXES
        if any(name in study.traces for name in study.runs.loc[study.runs["task"] == task, "id"])
    }
    tasks = [task for task in study.tasks if f"{task}|evaluations" in views]
    return Chart(
        "convergence",
        "Convergence",
        "Mean over repetitions of the dev metric of the candidate that would be reported if the run stopped "
        "there, with its 95 % t interval. A line begins where every repetition has been scored, and ends "
        "with the longest of them.",
        views,
        [Choice("task", [(task, task) for task in tasks]), Choice("over", AXES)],
        study.entries,
        why_not="" if views else "no cell has been scored on dev",
    )


def _view(study: Study, task: str, axis: str, wording: str) -> View:
    cells = study.runs[study.runs["task"] == task]
    found = {
        str(entry): [study.traces[name] for name in group["id"] if name in study.traces]
        for entry, group in cells.groupby("entry", sort=False)
    }
    looks = styles(study.entries, study.references)
    metric = next(iter(cells["metric"].dropna()), "metric")
    end = max((_end(trace, axis) for each in found.values() for trace in each), default=0.0)
    lines = []
    for entry in study.entries:
        values = cells.loc[cells["entry"] == entry, "dev_metric"].dropna().astype("float64").tolist()
        if runs := found.get(entry, []):
            x, means = mean_curve(runs, axis, end)
        elif entry in study.references and values:  # it spends nothing: its value is there from the beginning
            x, means = [0.0, end], [mean_interval(values)] * 2
        else:
            continue
        lines.append(mean_line(entry, looks[entry], axis, x, means))
    yaxis: dict[str, Any] = {"title": {"text": f"dev {label(metric)}"}}
    inside, said = _within(lines)
    if said:
        yaxis["range"] = inside
    return View(lines, {"xaxis": {"title": {"text": wording}, "rangemode": "tozero"}, "yaxis": yaxis}, said)


def _within(lines: Sequence[dict[str, Any]]) -> tuple[list[float], str]:
    """Limits that leave out what has diverged, beside which nothing else would be seen, and who that is."""
    known = {unescape(each["meta"]): [y for y in each["y"] if y is not None] for each in lines}
    far, _ = diverged({name: max(map(abs, values), default=0.0) for name, values in known.items()})
    if not far:
        return [], ""
    return limits([y for name, values in known.items() if name not in far for y in values]), far_note(far)


def mean_curve(runs: Sequence[Trace], axis: str, end: float) -> tuple[list[float], list[Interval]]:
    """The mean over runs at points of a cost, with its intervals.

    Args:
        runs: one or more.
        axis: the cost, of ``AXES``.
        end: of the axis, over which the points are spread evenly.

    Returns:
        The points, from where all runs have been scored to the end of the longest, and what stands there.

    >>> from harness.report.example import example
    >>> x, means = mean_curve([example().traces["topic-mezo-0"]], "evaluations", 100.0)
    >>> x[0], x[-1], means[-1].mean
    (50.0, 100.0, 0.7)
    """
    last = max(_end(trace, axis) for trace in runs)
    begin = max(float(_cost(trace, axis)[0]) for trace in runs)
    grid = np.linspace(0.0, end, POINTS + 1)
    grid = np.unique(np.concatenate([[begin], grid[(grid > begin) & (grid < last)], [last]]))
    table = np.stack([at_points(_cost(trace, axis), trace.dev, grid) for trace in runs])
    return grid.tolist(), [mean_interval(column.tolist()) for column in table.T]


def mean_line(
    name: str, look: Style, axis: str, x: Sequence[float], means: Sequence[Interval]
) -> dict[str, Any]:
    """A line of means with their intervals as its band."""
    shown = "%{y:.3f} [%{customdata[0]:.3f}, %{customdata[1]:.3f}], n = " + str(means[0].n)
    return line(
        name,
        look,
        x,
        [mean.mean for mean in means],
        customdata=[numbers([mean.low, mean.high]) for mean in means],
        hovertemplate="%{x:.4g} " + axis + ": " + shown + "<extra>%{meta}</extra>",
    )


def _cost(trace: Trace, axis: str) -> NDArray[np.float64]:
    costs: NDArray[np.float64] = getattr(trace, axis)
    return costs


def _end(trace: Trace, axis: str) -> float:
    return float(_cost(trace, axis)[-1])


def rank_over_budget(study: Study) -> Chart:
    """Average rank of the contestants, by dev metric, at each tenth of the budget.

    >>> from harness.report.example import example
    >>> [trace["meta"] for trace in rank_over_budget(example()).views[""].traces]
    ['mezo', 'random']
    """
    title = "Rank over the budget"
    says = (
        "Average rank over blocks of task and repetition, by the dev metric of the candidate that would be "
        "reported at that share of the budget; 1 is best. It begins where every contestant has been scored."
    )
    shares = np.linspace(0.1, 1.0, 10)
    tables, blocks = [], set(zip(study.blocks.tasks, study.blocks.repetitions, strict=True))
    cells = study.runs[study.runs["entry"].isin(study.blocks.contestants)]
    for key, group in cells.groupby(["task", "repetition"], sort=False):
        if key not in blocks:
            continue
        sign = -1.0 if "min" in set(group["metric_direction"].dropna()) else 1.0
        rows = {
            cell["entry"]: sign * at_points(trace.evaluations, trace.dev, shares * float(cell["budget"]))
            for cell in group.to_dict("records")
            if (trace := study.traces.get(cell["id"])) is not None
        }
        if set(rows) == set(study.blocks.contestants):
            tables.append(np.stack([rows[entry] for entry in study.blocks.contestants], axis=1))
    if not tables:
        return Chart("rank-over-budget", title, says, {}, why_not="no block has all contestants' curves")
    ranks = np.asarray([[average_ranks(row.tolist(), "max") for row in table] for table in tables])
    known = np.isnan(np.stack(tables)).sum(axis=(0, 2))[:, None] == 0
    means = np.where(known, ranks.mean(axis=0), math.nan)
    looks = styles(study.entries, study.references)
    lines = [
        line(
            entry,
            looks[entry],
            (100 * shares).tolist(),
            means[:, study.blocks.contestants.index(entry)].tolist(),
            mode="lines+markers",
            marker={"symbol": looks[entry].mark, "color": looks[entry].colour, "size": 8},
            hovertemplate="%{x} %: rank %{y:.2f}<extra>%{meta}</extra>",
        )
        for entry in study.contestants
        if entry in study.blocks.contestants
    ]
    layout = {
        "xaxis": {"title": {"text": "% of the budget of evaluations"}},
        "yaxis": {"title": {"text": "average rank"}, "autorange": "reversed"},
    }
    shown = [entry for entry in study.contestants if entry in study.blocks.contestants]
    note = f"over {len(tables)} blocks, {len(shown)} contestants"
    return Chart("rank-over-budget", title, says, {"": View(lines, layout, note)}, (), shown)

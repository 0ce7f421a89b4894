"""What quality costs, how steady it is, and who beats whom."""

from __future__ import annotations

import math
from html import escape
from typing import Any

import numpy as np

from harness.report.figures.chart import Chart, Choice, View, label, numbers, styles
from harness.report.study import Study

COSTS = (
    ("tokens", "tokens"),
    ("flops", "floating-point operations"),
    ("seconds", "seconds (measured)"),
    ("peak_memory", "peak memory in bytes (measured)"),
    ("energy", "energy in joules (measured)"),
)


def pareto(study: Study) -> Chart:
    """Cost against quality over all tasks, and the front of those that no other beats in both.

    >>> from harness.report.example import example
    >>> list(pareto(example()).views)
    ['tokens', 'flops', 'seconds', 'peak_memory']
    """
    title = "Cost against quality"
    says = (
        "Each entry that has a result on every task: mean cost of a cell against quality over all tasks, "
        "with the bootstrap interval. The line joins contestants that no other contestant beats in both. "
        "Seconds and memory of cells that shared forwards with others are shares, not claims about a cell "
        "that runs alone."
    )
    quality, wording = _quality(study)
    if not quality:
        return Chart("pareto", title, says, {}, why_not=wording)
    looks, views = styles(study.entries, study.references), {}
    counted = [(cost, words) for cost, words in COSTS if bool((study.runs[cost] > 0).any())]
    for cost, words in counted:
        means = study.runs.groupby("entry")[cost].mean().astype("float64")
        points = {
            entry: (float(means[entry]), *quality[entry])
            for entry in study.entries
            if entry in quality and float(means[entry]) > 0
        }
        front = _front({name: point for name, point in points.items() if name in study.contestants})
        path: dict[str, Any] = {
            "type": "scatter",
            "mode": "lines",
            "x": numbers([points[name][0] for name in front]),
            "y": numbers([points[name][1] for name in front]),
            "line": {"color": "@ink/0.5", "width": 1, "shape": "hv"},
            "hoverinfo": "skip",
            "showlegend": False,
        }
        dots = [
            {
                "type": "scatter",
                "mode": "markers",
                "name": label(entry),
                "meta": escape(entry, quote=False),
                "x": numbers([x]),
                "y": numbers([y]),
                "error_y": {
                    "type": "data",
                    "symmetric": False,
                    "array": numbers([high - y]),
                    "arrayminus": numbers([y - low]),
                    "color": f"{looks[entry].colour}/0.5",
                    "thickness": 1.2,
                },
                "marker": {"color": looks[entry].colour, "symbol": looks[entry].mark, "size": 11},
                "hovertemplate": "%{meta}: %{x:.3g}, %{y:.3f}<extra></extra>",
                "showlegend": False,
            }
            for entry, (x, y, low, high) in points.items()
        ]
        layout = {
            "xaxis": {"title": {"text": words}, "type": "log"},
            "yaxis": {"title": {"text": label(wording, 60)}},
        }
        views[cost] = View([path, *dots], layout, f"on the front: {', '.join(front)}" if front else "")
    return Chart("pareto", title, says, views, [Choice("cost", counted)], list(quality))


def _quality(study: Study) -> tuple[dict[str, tuple[float, float, float]], str]:
    for column, wording in (("gain", "normalised gain"), ("level", study.common_metric or "")):
        rows = study.standing[study.standing[column].notna()]
        if len(rows):
            parts = [column, f"{column}_low", f"{column}_high"]
            values = rows[parts].to_numpy(dtype=np.float64)
            found = {
                str(entry): (float(v), float(low), float(high))
                for entry, (v, low, high) in zip(rows["entry"], values, strict=True)
            }
            return found, f"{wording}, interquartile mean"
    return {}, "no entry has a result on every task in one metric"


def _front(points: dict[str, tuple[float, ...]]) -> list[str]:
    """Names from the cheapest on, each better than all that are cheaper."""
    best, front = -math.inf, []
    for name, (_, quality, *_rest) in sorted(points.items(), key=lambda item: (item[1][0], -item[1][1])):
        if quality > best:
            front.append(name)
            best = quality
    return front


def stability(study: Study) -> Chart:
    """How far repetitions of one task lie apart.

    >>> from harness.report.example import example
    >>> stability(example()).views[""].layout["yaxis"]["ticktext"]
    ['mezo', 'random', 'adam', 'zero-shot']
    """
    title = "Stability over repetitions"
    says = (
        "The spread of each entry: test metric of every repetition minus the entry's mean on that task. "
        "A repetition changes the data split and the seed. Failed, timed-out and diverged runs are counted "
        "beneath, since they have no value to show."
    )
    looks = styles(study.entries, study.references)
    cells = study.runs[study.runs["score"].notna()]
    inside = cells["score"] - cells.groupby(["task", "entry"])["score"].transform("mean")
    many = cells.groupby(["task", "entry"])["score"].transform("count") > 1
    traces: list[dict[str, Any]] = []
    names = [entry for entry in study.entries if (many & (cells["entry"] == entry)).any()]
    if not names:
        return Chart("stability", title, says, {}, why_not="no entry has two repetitions of a task")
    for row, entry in enumerate(names):
        own = many & (cells["entry"] == entry)
        traces.append(
            {
                "type": "box",
                "name": label(entry),
                "x": numbers(inside[own].tolist()),
                "y": [row] * int(own.sum()),
                "orientation": "h",
                "boxpoints": "all",
                "jitter": 0.5,
                "pointpos": 0,
                "width": 0.7,
                "marker": {"color": looks[entry].colour, "size": 4, "opacity": 0.7},
                "line": {"color": looks[entry].colour, "width": 1.2},
                "fillcolor": f"{looks[entry].colour}/0.12",
                "customdata": [label(task, 60) for task in cells.loc[own, "task"]],
                "hovertemplate": "%{customdata}: %{x:+.3f}<extra></extra>",
                "showlegend": False,
            }
        )
    layout = {
        "xaxis": {"title": {"text": "test score minus the mean of its task"}, "zeroline": True},
        "yaxis": {
            "autorange": "reversed",
            "tickmode": "array",
            "tickvals": list(range(len(names))),
            "ticktext": [label(name) for name in names],
            "automargin": True,
        },
        "height": 110 + 34 * len(names),
    }
    lost = study.runs[study.runs["status"].isin(["failed", "timeout"])].groupby("entry").size()
    note = "; ".join(f"{entry}: {count} failed or timed out" for entry, count in lost.items())
    return Chart("stability", title, says, {"": View(traces, layout, note or "no cell failed or timed out")})


def improvement(study: Study) -> Chart:
    """The probability that a run of one contestant beats a run of another, for every pair.

    >>> from harness.report.example import example
    >>> improvement(example()).views[""].traces[0]["z"][0][1] > 0.5
    True
    """
    title = "Who beats whom"
    says = (
        "The probability that a run of the row's contestant beats a run of the column's on a task drawn "
        "evenly, ties counting half. A star marks pairs that the paired signed-rank test tells apart at .05, "
        "Holm-corrected over all pairs."
    )
    names = [entry for entry in study.contestants if entry in study.blocks.contestants]
    if len(names) < 2 or not study.blocks.tasks:
        return Chart("improvement", title, says, {}, why_not="there are no two contestants to compare")
    z: list[list[float | None]] = [[None] * len(names) for _ in names]
    text = [[""] * len(names) for _ in names]
    for row, ours in enumerate(names):
        for column, theirs in enumerate(names):
            if row != column:
                value = study.improvement(ours, theirs).value
                z[row][column] = round(value, 3)
                star = "*" if study.p(ours, theirs) < 0.05 else ""
                text[row][column] = f"{100 * value:.0f}{star}"
    places = list(range(len(names)))
    trace = {
        "type": "heatmap",
        "z": z,
        "x": places,
        "y": places,
        "text": text,
        "texttemplate": "%{text}",
        "customdata": [[f"{label(ours)} over {label(theirs)}" for theirs in names] for ours in names],
        "hovertemplate": "%{customdata}: %{z:.2f}<extra></extra>",
        "zmin": 0,
        "zmax": 1,
        "colorscale": [[0, "@1"], [0.5, "@ground"], [1, "@0"]],
        "showscale": False,
        "xgap": 1,
        "ygap": 1,
    }
    ticks = {
        "tickmode": "array",
        "tickvals": places,
        "ticktext": [label(name) for name in names],
        "automargin": True,
        "showgrid": False,
    }
    layout = {
        "xaxis": {**ticks, "tickangle": -60, "side": "bottom"},
        "yaxis": {**ticks, "autorange": "reversed"},
        "height": 170 + 34 * len(names),
    }
    note = study.tests.note or f"% of runs, over {len(study.blocks.tasks)} blocks"
    return Chart("improvement", title, says, {"": View([trace], layout, note)})

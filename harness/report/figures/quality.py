"""What quality costs, and who beats whom."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

from harness.report.figures.chart import Chart, Choice, Style, View, label, numbers, styles
from harness.report.figures.far import at_edge, diverged, far_note, limits
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
        "that runs alone. What lies far beyond the others is at the edge, as a triangle."
    )
    quality, wording = _quality(study)
    if not quality:
        return Chart("pareto", title, says, {}, why_not=wording)
    looks, views = styles(study.entries, study.references), {}
    far, most = diverged({entry: abs(value) for entry, (value, _, _) in quality.items()})
    sign = -1.0 if wording.startswith("lower") else 1.0
    counted = [(cost, words) for cost, words in COSTS if bool((study.runs[cost] > 0).any())]
    for cost, words in counted:
        means = study.runs.groupby("entry")[cost].mean().astype("float64")
        points = {
            entry: (float(means[entry]), *quality[entry])
            for entry in study.entries
            if entry in quality and float(means[entry]) > 0
        }
        ends = [end for name, point in points.items() if name not in far for end in point[1:]]
        inside = limits([end for end in ends if abs(end) <= most]) if far else [-math.inf, math.inf]
        front = _front(
            {name: (x, sign * y) for name, (x, y, *_) in points.items() if name in study.contestants}
        )
        path: dict[str, Any] = {
            "type": "scatter",
            "mode": "lines",
            "x": numbers([points[name][0] for name in front]),
            "y": numbers([at_edge(points[name][1], inside) for name in front]),
            "line": {"color": "@ink/0.5", "width": 1, "shape": "hv"},
            "hoverinfo": "skip",
            "showlegend": False,
        }
        dots = [_dot(entry, looks[entry], point, inside) for entry, point in points.items()]
        layout: dict[str, Any] = {
            "xaxis": {"title": {"text": words}, "type": "log"},
            "yaxis": {"title": {"text": label(wording, 60)}},
        }
        if far:
            layout["yaxis"]["range"] = inside
        said = [far_note([name for name in points if name in far])]
        if front:
            said.insert(0, f"on the front: {', '.join(front)}")
        beyond = {
            place: dict(zip(("y", "low", "high"), ([end] for end in numbers(points[name][1:])), strict=True))
            for place, name in enumerate(points, start=1)
            if name in far
        }
        views[cost] = View([path, *dots], layout, "; ".join(filter(None, said)), beyond)
    return Chart("pareto", title, says, views, [Choice("cost", counted)], list(quality))


def _dot(entry: str, look: Style, point: tuple[float, ...], inside: Sequence[float]) -> dict[str, Any]:
    """An entry's point with its interval; beyond the limits of the axis a triangle at the edge."""
    x, y, low, high = point
    beyond = not inside[0] <= y <= inside[1]
    drawn = {
        "type": "scatter",
        "mode": "markers",
        "name": label(entry),
        "meta": escape(entry, quote=False),
        "x": numbers([x]),
        "y": numbers([at_edge(y, inside)]),
        "marker": {"color": look.colour, "symbol": look.mark, "size": 11},
        "hovertemplate": "%{meta}: %{x:.3g}, %{y:.3f}<extra></extra>",
        "showlegend": False,
    }
    if beyond:
        symbol = "triangle-down" if y < inside[0] else "triangle-up"
        return drawn | {
            "marker": {"color": look.colour, "symbol": f"{symbol}-open", "size": 13},
            "text": [f"{y:.3g}"],
            "hovertemplate": "%{meta}: %{x:.3g}, %{text}, beyond the axis<extra></extra>",
        }
    whiskers = {
        "type": "data",
        "symmetric": False,
        "array": numbers([high - y]),
        "arrayminus": numbers([y - low]),
        "color": f"{look.colour}/0.5",
        "thickness": 1.2,
    }
    return drawn | {"error_y": whiskers}


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
            lower = column == "level" and "min" in set(study.runs["metric_direction"].dropna())
            return found, f"{'lower is better: ' * lower}{wording}, interquartile mean"
    return {}, "no entry has a result on every task in one metric"


def _front(points: dict[str, tuple[float, float]]) -> list[str]:
    """Names from the cheapest on, each better than all that are cheaper; higher is better."""
    best, front = -math.inf, []
    for name, (_, quality) in sorted(points.items(), key=lambda item: (item[1][0], -item[1][1])):
        if quality > best:
            front.append(name)
            best = quality
    return front


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

"""Figures of a comparison: differences task by task, and the curves of what changed most."""

from __future__ import annotations

import math
from typing import Any

from harness.report.compare.comparison import Comparison
from harness.report.compare.pairs import APART
from harness.report.compare.sides import Side
from harness.report.figures import Chart, Choice, Style, View
from harness.report.figures.chart import label, numbers
from harness.report.figures.convergence import AXES, mean_curve, mean_line

MOST_CURVES = 6
"""Tasks and entries whose curves are shown."""

_DASHES = ("dash", "solid", "dot", "dashdot")
_MARKS = ("circle", "square", "diamond", "triangle-up")
_COLOURS = {"better": "@2", "worse": "@1"}


def side_styles(compared: tuple[Side, ...]) -> dict[str, Style]:
    """How the line of each side is drawn: the first dashed, as what was before."""
    return {
        side.label: Style(f"@{place % 8}", _DASHES[place % 4], _MARKS[place % 4])
        for place, side in enumerate(compared)
    }


def changed_most(found: Comparison, most: int = MOST_CURVES) -> list[tuple[str, str]]:
    """Task and entry of the largest differences, each measured by the width of its own interval.

    >>> from harness.report.compare import compare
    >>> from harness.report.example import example
    >>> changed_most(compare(example().results, example().results))
    []
    """
    sizes: dict[tuple[str, str], tuple[float, float]] = {}
    for row in found.rows.to_dict("records"):
        if not row["better"] + row["worse"]:
            continue
        half = (row["difference_high"] - row["difference_low"]) / 2
        size = abs(row["difference"])
        # One block has no interval: it stands behind all that have one.
        key = (-1.0, size) if math.isnan(half) else (size / half if half > 0 else math.inf, size)
        place = (str(row["task"]), str(row["entry"]))
        sizes[place] = max(sizes.get(place, key), key)
    return sorted(sizes, key=lambda place: sizes[place], reverse=True)[:most]


def charts(found: Comparison) -> list[Chart]:
    """All figures of a comparison, in the order of the page."""
    return [_differences(found), _curves(found)]


def _differences(found: Comparison) -> Chart:
    title = "Differences"
    says = (
        "Mean difference of the test metric, the other side minus A, over the blocks that both have, with "
        "its 95 % t interval, and in how many of the blocks the other side is better. Intervals are not "
        "corrected for their number; colours are by the tests, which are."
    )
    rows = found.rows[(found.rows["verdict"] != APART) & found.rows["difference"].notna()]
    tasks = list(dict.fromkeys(str(task) for task in rows["task"]))
    others = [side for side in found.sides[1:] if side.letter in set(rows["side"])]
    views = {}
    for task in tasks:
        for side in others:
            of_both = rows[(rows["task"] == task) & (rows["side"] == side.letter)].to_dict("records")
            # Every answer needs its view, of a side that lacks the task too.
            empty = View([], {}, "this side has no cell of this task that can be compared")
            key = f"{task}|{side.letter}" if len(others) > 1 else task
            views[key] = _view(of_both) if of_both else empty
    choices = [Choice("task", [(task, task) for task in tasks])]
    if len(others) > 1:
        choices.append(Choice("side", [(side.letter, side.label) for side in others]))
    return Chart(
        "differences", title, says, views, choices, (), "" if views else "there is nothing to compare"
    )


def _view(rows: list[dict[Any, Any]]) -> View:
    places = list(range(len(rows)))
    values = numbers([row["difference"] for row in rows])
    traces = [
        {
            "type": "scatter",
            "mode": "markers",
            "name": label(str(row["entry"])),
            "x": [values[place]],
            "y": [place],
            "error_x": {
                "type": "data",
                "symmetric": False,
                "array": numbers([row["difference_high"] - row["difference"]]),
                "arrayminus": numbers([row["difference"] - row["difference_low"]]),
                "color": _COLOURS.get(row["verdict"], "@ink"),
                "thickness": 1.6,
            },
            "marker": {
                "color": _COLOURS.get(row["verdict"], "@ink"),
                "symbol": {"better": "triangle-up", "worse": "triangle-down"}.get(row["verdict"], "circle"),
                "size": 10,
            },
            "customdata": [
                f"{row['verdict']}; {row['better']} better, {row['worse']} worse, of {row['difference_n']}"
            ],
            "hovertemplate": "%{x:+.3g}: %{customdata}<extra>" + label(str(row["entry"])) + "</extra>",
            "showlegend": False,
        }
        for place, row in zip(places, rows, strict=True)
    ]
    better = "higher is better" if rows[0]["direction"] == "max" else "lower is better"
    layout = {
        "xaxis": {
            "title": {"text": f"difference of test {label(rows[0]['metric'])} ({better})"},
            "zeroline": True,
        },
        "yaxis": {
            "autorange": "reversed",
            "tickmode": "array",
            "tickvals": places,
            "ticktext": [label(str(row["entry"])) for row in rows],
            "automargin": True,
        },
        "height": 110 + 34 * len(rows),
    }
    return View(traces, layout)


def curve_key(task: str, entry: str) -> str:
    """How a figure of curves is called."""
    return f"{entry} on {task}"


def _curves(found: Comparison) -> Chart:
    places, views = changed_most(found), {}
    looks = side_styles(found.sides)
    for task, entry in places:
        for axis, wording in AXES:
            views[f"{curve_key(task, entry)}|{axis}"] = _curve(found, task, entry, axis, wording, looks)
    choices = [
        Choice("of", [(curve_key(*place), curve_key(*place)) for place in places]),
        Choice("over", AXES),
    ]
    return Chart(
        "convergence",
        "Curves",
        "Mean over repetitions of the dev metric of the candidate that would be reported if the run stopped "
        "there, with its 95 % t interval, on each side.",
        views,
        choices,
        list(looks),
        "" if views else "nothing has changed",
    )


def _curve(
    found: Comparison, task: str, entry: str, axis: str, wording: str, looks: dict[str, Style]
) -> View:
    curves, metric = {}, "metric"
    for side in found.sides:
        cells = side.study.runs
        cells = cells[(cells["task"] == task) & (cells["entry"] == entry)]
        metric = next(iter(cells["metric"].dropna()), metric)
        if known := [side.study.traces[name] for name in cells["id"] if name in side.study.traces]:
            curves[side.label] = known
    end = max((float(getattr(trace, axis)[-1]) for each in curves.values() for trace in each), default=0.0)
    lines = [
        mean_line(name, looks[name], axis, *mean_curve(runs, axis, end)) | {"showlegend": True}
        for name, runs in curves.items()
    ]
    layout = {
        "xaxis": {"title": {"text": wording}, "rangemode": "tozero"},
        "yaxis": {"title": {"text": f"dev {label(metric)}"}},
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        "showlegend": True,
    }
    return View(lines, layout, "" if lines else "no cell of it has been scored on dev")

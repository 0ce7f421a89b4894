"""How steady an entry is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.report.figures.chart import Chart, Style, View, label, numbers, styles
from harness.report.figures.far import at_edge, diverged, far_note, limits
from harness.report.study import Study


def stability(study: Study) -> Chart:
    """How far repetitions of one task lie apart.

    >>> from harness.report.example import example
    >>> stability(example()).views[""].layout["yaxis"]["ticktext"]
    ['mezo', 'random', 'adam', 'zero-shot']
    """
    title = "Stability over repetitions"
    says = (
        "The spread of each entry: test metric of every repetition minus the entry's mean on that task. "
        "A repetition changes the data split and the seed. Failed and timed-out runs are counted beneath, "
        "since they have no value to show; what lies far beyond the others is at the edge, as triangles."
    )
    looks = styles(study.entries, study.references)
    cells = study.runs[study.runs["score"].notna()]
    inside = cells["score"] - cells.groupby(["task", "entry"])["score"].transform("mean")
    many = cells.groupby(["task", "entry"])["score"].transform("count") > 1
    traces: list[dict[str, Any]] = []
    beyond: dict[int, dict[str, list[Any]]] = {}
    names = [entry for entry in study.entries if (many & (cells["entry"] == entry)).any()]
    if not names:
        return Chart("stability", title, says, {}, why_not="no entry has two repetitions of a task")
    spread = {entry: inside[many & (cells["entry"] == entry)].astype("float64") for entry in names}
    far, _ = diverged({entry: float(each.abs().max()) for entry, each in spread.items()})
    shown = limits([end for entry, each in spread.items() if entry not in far for end in each]) if far else []
    for row, entry in enumerate(names):
        own = many & (cells["entry"] == entry)
        values = inside[own].tolist()
        if entry in far:
            for trace, part in _at_the_edge(entry, row, values, looks[entry], shown):
                beyond[len(traces)] = {"x": numbers(part)}
                traces.append(trace)
            continue
        traces.append(
            {
                "type": "box",
                "name": label(entry),
                "x": numbers(values),
                "y": [row] * len(values),
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
    layout: dict[str, Any] = {
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
    if far:
        layout["xaxis"]["range"] = shown
    lost = study.runs[study.runs["status"].isin(["failed", "timeout"])].groupby("entry").size()
    said = [f"{entry}: {count} failed or timed out" for entry, count in lost.items()]
    note = "; ".join(filter(None, [*(said or ["no cell failed or timed out"]), far_note(far)]))
    return Chart("stability", title, says, {"": View(traces, layout, note, beyond)})


def _at_the_edge(
    entry: str, row: int, values: list[float], look: Style, ends: Sequence[float]
) -> list[tuple[dict[str, Any], list[float]]]:
    """The repetitions of an entry that has diverged: triangles at the edges, and a circle for one within.

    Returns:
        Traces, and the values that each stands for.
    """
    low, high = ends
    parts = {
        "triangle-left": [value for value in values if value < low],
        "circle": [value for value in values if low <= value <= high],
        "triangle-right": [value for value in values if value > high],
    }
    return [
        (
            {
                "type": "scatter",
                "mode": "markers",
                "name": label(entry),
                "x": numbers([at_edge(value, ends) for value in part]),
                "y": [row] * len(part),
                "marker": {"color": look.colour, "symbol": f"{symbol}-open", "size": 11},
                "text": [f"{value:+.3g}" for value in part],
                "hovertemplate": "%{text}<extra></extra>",
                "showlegend": False,
            },
            part,
        )
        for symbol, part in parts.items()
        if part
    ]

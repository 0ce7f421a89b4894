"""The critical-difference diagram."""

from __future__ import annotations

from html import escape
from typing import Any

from harness.report.figures.chart import Chart, View, label, styles
from harness.report.statistics import cliques
from harness.report.study import Study


def critical_difference(study: Study) -> Chart:
    """Average ranks, and bars across those that Nemenyi's test cannot tell apart.

    >>> from harness.report.example import example
    >>> critical_difference(example()).why_not
    "Friedman's test needs three contestants"
    """
    title = "Critical difference of average ranks"
    says = (
        "Average rank of each contestant over blocks of task and repetition, 1 is best. A bar at the left "
        "joins contestants that the Nemenyi test at .05 cannot tell apart: their average ranks are nearer "
        "than the critical difference."
    )
    test, entries = study.ranks, [name for name in study.contestants if name in study.blocks.contestants]
    if test.note:
        return Chart("critical-difference", title, says, {}, why_not=test.note)
    placed = dict(zip(study.blocks.contestants, test.ranks, strict=True))
    ranks = [placed[entry] for entry in entries]
    looks = styles(study.entries, study.references)
    rows = list(range(len(entries)))
    dots: dict[str, Any] = {
        "type": "scatter",
        "mode": "markers+text",
        "x": [round(rank, 3) for rank in ranks],
        "y": rows,
        "text": [f"{rank:.2f}" for rank in ranks],
        "textposition": "middle right",
        "customdata": [escape(entry, quote=False) for entry in entries],
        "marker": {
            "color": [looks[entry].colour for entry in entries],
            "symbol": [looks[entry].mark for entry in entries],
            "size": 11,
        },
        "hovertemplate": "%{customdata}: %{x:.2f}<extra></extra>",
        "showlegend": False,
        "cliponaxis": False,
    }
    groups = cliques(ranks, test.difference)
    step = 0.035 * len(entries)
    bars = [
        {
            "type": "scatter",
            "mode": "lines",
            "x": [1 - step * (place + 1)] * 2,
            "y": [group[0] - 0.25, group[-1] + 0.25],
            "line": {"color": "@ink", "width": 5},
            "hoverinfo": "skip",
            "showlegend": False,
        }
        for place, group in enumerate(groups)
    ]
    layout = {
        "xaxis": {
            "title": {"text": "average rank"},
            "tickvals": list(range(1, len(entries) + 1)),
            "range": [1 - step * (len(groups) + 1.5), max(ranks) + 0.12 * len(entries)],
        },
        "yaxis": {
            "autorange": "reversed",
            "tickmode": "array",
            "tickvals": rows,
            "ticktext": [label(entry) for entry in entries],
            "automargin": True,
        },
        "height": 110 + 30 * len(entries),
    }
    note = (
        f"critical difference {test.difference:.2f} over {test.blocks} blocks, {len(entries)} contestants; "
        f"Friedman's test: p = {test.p:.2g}"
    )
    return Chart("critical-difference", title, says, {"": View([*bars, dots], layout, note)})

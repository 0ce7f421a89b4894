"""How much data a method needs: the metric against the number of examples."""

from __future__ import annotations

from harness.report.columns import results_of
from harness.report.figures.chart import Chart, Choice, View, label, line, numbers, styles
from harness.report.shots import shots
from harness.report.study import Study


def data_efficiency(study: Study) -> Chart:
    """Test metric against examples per class, of the tasks that are there at several numbers of them.

    >>> from harness.report.example import example
    >>> data_efficiency(example()).why_not
    'no task was run at several numbers of examples per class'
    """
    title = "Quality against examples"
    says = (
        "Mean test metric over repetitions with its 95 % t interval, for k examples of each class to search "
        "on and as many to choose on; test rows are the same for all k. A flat line needs few examples; one "
        "that rises beside a flat first-order line needs more of them than gradients do."
    )
    found = shots(study.results)
    if not found:
        why = "no task was run at several numbers of examples per class"
        return Chart("data-efficiency", title, says, {}, why_not=why)
    looks, views = styles(study.entries, study.references), {}
    bases = list(dict.fromkeys(each.base for each in found.values()))
    for base in bases:
        own = {each.k: task for task, each in found.items() if each.base == base}
        cells = study.runs[study.runs["task"].isin(list(own.values()))]
        values, lines = results_of(cells).values, []
        for entry in study.entries:
            means = {k: values[own[k], entry]["test"] for k in sorted(own) if (own[k], entry) in values}
            if not means:
                continue
            lines.append(
                line(
                    entry,
                    looks[entry],
                    [float(k) for k in means],
                    [each[0] for each in means.values()],
                    mode="lines+markers",
                    marker={"symbol": looks[entry].mark, "color": looks[entry].colour, "size": 8},
                    customdata=[numbers(each[1:3]) for each in means.values()],
                    hovertemplate="k = %{x}: %{y:.3f} [%{customdata[0]:.3f}, %{customdata[1]:.3f}]"
                    "<extra>%{meta}</extra>",
                )
            )
        metric = next(iter(cells["metric"].dropna()), "metric")
        ticks = {"tickmode": "array", "tickvals": sorted(own), "ticktext": [str(k) for k in sorted(own)]}
        layout = {
            "xaxis": {"title": {"text": "examples per class"}, "type": "log", **ticks},
            "yaxis": {"title": {"text": f"test {label(metric)}"}},
        }
        views[base] = View(lines, layout, f"k = {', '.join(map(str, sorted(own)))}")
    choices = [Choice("task", [(base, base) for base in bases])]
    return Chart("data-efficiency", title, says, views, choices, study.entries)

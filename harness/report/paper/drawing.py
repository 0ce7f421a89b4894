"""One view of a chart as a figure of matplotlib."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from html import unescape
from textwrap import fill
from typing import TYPE_CHECKING, Any

from harness.report.figures import Style, View
from harness.report.figures.chart import colours
from harness.report.paper.looks import COLUMN, PAGE, SETTINGS, plain
from harness.report.paper.marks import has_band, put

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

HEIGHT = 2.3
"""Inches, of the axes of lines and points; those with a row for each entry are as high as they need."""

MOST_BANDS = 3
"""Intervals that are drawn in one plot, of the first lines; more would hide each other."""

ROW = 0.19
MOST_ROWS_OF_A_COLUMN = 9
"""A matrix with more than that is as wide as the page."""


def draw(view: View, looks: Mapping[str, Style], shown: Collection[str], title: str = "") -> Figure:
    """A figure on white, one column wide, the legend beneath.

    Args:
        view: what is drawn.
        looks: how each entry is drawn, everywhere.
        shown: entries that have a line or a point; what belongs to no entry is always drawn.
        title: above the axes; may be empty.

    >>> from harness.report.example import example
    >>> from harness.report.figures import convergence, styles
    >>> study = example()
    >>> view = convergence(study).views["topic|tokens"]
    >>> figure = draw(view, styles(study.entries, study.references), ["mezo", "adam"], "topic")
    >>> [text.get_text() for text in figure.legends[0].get_texts()]
    ['mezo', 'adam']
    """
    import matplotlib
    from matplotlib.figure import Figure

    layout = colours(view.layout, "light")
    rows = len(layout.get("yaxis", {}).get("ticktext", ()))
    square = any(trace["type"] == "heatmap" for trace in view.traces)
    with matplotlib.rc_context(SETTINGS):
        size = (
            PAGE if square and rows > MOST_ROWS_OF_A_COLUMN else COLUMN,
            0.7 + ROW * rows if rows else HEIGHT,
        )
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots()
        handles: dict[str, Any] = {}
        bands = 0
        for place, trace in enumerate(view.traces):
            entry = unescape(trace["meta"]) if "meta" in trace else None
            if entry is not None and entry not in shown:
                continue
            look = looks.get(entry) if entry is not None else None
            handle = put(axes, colours(trace, "light"), look, place, bands < MOST_BANDS)
            bands += has_band(trace)
            if handle is not None:
                handles[plain(trace.get("name", entry or ""))] = handle
        _axis(axes, "x", layout.get("xaxis", {}))
        _axis(axes, "y", layout.get("yaxis", {}))
        for shape in layout.get("shapes", ()):
            axes.axvline(shape["x0"], color=shape["line"]["color"], linestyle=":", linewidth=0.7)
        if rows:
            axes.set_ylim(rows - 0.4, -0.6)
        if square:
            axes.grid(False)
            axes.spines[:].set_visible(False)
            axes.set_xlim(-0.5, rows - 0.5)
        if title:
            axes.set_title(plain(title), parse_math=False, loc="left")
        _legend(figure, handles)
    return figure


def _axis(axes: Axes, name: str, layout: Mapping[str, Any]) -> None:
    axis = axes.xaxis if name == "x" else axes.yaxis
    setter, limits = getattr(axes, f"set_{name}scale"), getattr(axes, f"set_{name}lim")
    if layout.get("type") == "log":
        setter("log")
    if title := layout.get("title", {}).get("text"):
        # What is longer than an axis would be cut off at the edge of the figure.
        axis.set_label_text(fill(plain(title), 26 if name == "y" else 48), parse_math=False)
    if "tickvals" in layout:
        texts = layout.get("ticktext") or [f"{value:g}" for value in layout["tickvals"]]
        axis.set_ticks(layout["tickvals"], [plain(text) for text in texts])
        for tick in axis.get_ticklabels():
            tick.set_parse_math(False)
    if angle := layout.get("tickangle"):
        axis.set_tick_params(rotation=-angle)
        for tick in axis.get_ticklabels():
            tick.set(ha="right", rotation_mode="anchor")
    if "range" in layout:
        limits(*layout["range"])
    elif layout.get("autorange") == "reversed":
        axis.set_inverted(True)
    elif layout.get("rangemode") == "tozero":
        limits(0, None)
    if "tickvals" not in layout:
        _ticks(axis)


def _ticks(axis: Axis) -> None:
    """Few enough to stand beside each other, and large numbers with a letter for the power of a thousand."""
    from matplotlib.ticker import EngFormatter, MaxNLocator, NullFormatter

    low, high = sorted(map(abs, axis.get_view_interval()))
    if axis.get_scale() == "log":
        if not 0 < low <= high / 10:  # less than a decade: powers of ten alone would be none or one
            axis.set_major_locator(MaxNLocator(4))
            axis.set_major_formatter(EngFormatter(sep=""))
            axis.set_minor_formatter(NullFormatter())
    elif 10_000 <= high < 1e15:
        axis.set_major_formatter(EngFormatter(sep=""))


def _legend(figure: Figure, handles: Mapping[str, Any]) -> None:
    if not handles:
        return
    longest = max(map(len, handles))
    room = int(figure.get_figwidth() * 20 / (longest + 7))
    columns = max(1, min(room, len(handles)))
    # Rows as even as they can be: no name alone in the last one.
    columns = math.ceil(len(handles) / math.ceil(len(handles) / columns))
    legend = figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=columns)
    for text in legend.get_texts():
        text.set_parse_math(False)

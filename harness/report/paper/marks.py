"""Traces of a view on the axes of matplotlib: lines, points, boxes and a matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.report.figures import Style
from harness.report.paper.looks import DASHES, colour, mark, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Trace = Mapping[str, Any]


def put(axes: Axes, trace: Trace, look: Style | None, place: int, banded: bool = True) -> Any:
    """Draw a trace; returns what stands for it in the legend, None where nothing does.

    Args:
        axes: to draw on.
        trace: of plotly, with its colours filled in.
        look: of the entry that it belongs to; its marks are set sparsely on lines, for print without colour.
        place: among the traces, by which those marks are shifted apart.
        banded: draw the interval of a line.
    """
    kind = {"box": _box, "heatmap": _matrix}.get(trace["type"])
    if kind is not None:
        kind(axes, trace)
        return None
    x, y = _numbers(trace["x"]), _numbers(trace["y"])
    # Points with a colour for each are one trace on the page.
    if isinstance(trace.get("marker", {}).get("color"), list):
        return _points(axes, trace, x, y)
    if banded:
        _band(axes, trace, x)
    return _scatter(axes, trace, look, place, x, y)


def _numbers(values: Sequence[Any]) -> Any:
    return np.asarray([np.nan if value is None else value for value in values], dtype=np.float64)


def _scatter(axes: Axes, trace: Trace, look: Style | None, place: int, x: Any, y: Any) -> Any:
    line, dot = trace.get("line", {}), trace.get("marker", {})
    lines = "lines" in trace["mode"]
    code = line["color"] if lines else dot["color"]
    _whiskers(axes, trace, x, y)
    drawn: dict[str, Any] = {"color": colour(code), "linestyle": DASHES[line.get("dash", "solid")]}
    if not lines:
        drawn["linestyle"] = "none"
    if "markers" in trace["mode"]:
        drawn |= mark(dot["symbol"], code)
    elif look is not None and len(x) > 2:
        every = max(len(x) // 5, 1)
        drawn |= {**mark(look.mark, code), "markevery": (place * every // 4 % every, every)}
    if look is None:
        drawn["linewidth"] = 0.8 * line.get("width", 1)
    if line.get("shape") == "hv":
        drawn["drawstyle"] = "steps-post"
    (shown,) = axes.plot(x, y, **drawn)
    return shown if look is not None else None


def has_band(trace: Trace) -> bool:
    """Whether a trace is a line with an interval: pairs under ``customdata``."""
    pairs = trace.get("customdata") or ()
    return bool(pairs) and all(isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in pairs)


def _band(axes: Axes, trace: Trace, x: Any) -> None:
    if not has_band(trace):
        return
    pairs, code = trace["customdata"], trace["line"]["color"]
    low, high = (_numbers([pair[side] for pair in pairs]) for side in (0, 1))
    step: Any = "post" if trace.get("line", {}).get("shape") == "hv" else None
    axes.fill_between(x, low, high, step=step, color=colour(code), alpha=0.13, linewidth=0)


def _whiskers(axes: Axes, trace: Trace, x: Any, y: Any) -> None:
    for name, whiskers in (("yerr", trace.get("error_y")), ("xerr", trace.get("error_x"))):
        if whiskers:
            sides: Any = {name: [_numbers(whiskers["arrayminus"]), _numbers(whiskers["array"])]}
            axes.errorbar(x, y, **sides, fmt="none", ecolor=colour(whiskers["color"]), elinewidth=0.8)


def _points(axes: Axes, trace: Trace, x: Any, y: Any) -> None:
    dot, texts = trace["marker"], trace.get("text", [""] * len(x))
    for place, (code, symbol, text) in enumerate(zip(dot["color"], dot["symbol"], texts, strict=True)):
        axes.plot(x[place], y[place], linestyle="none", clip_on=False, **mark(symbol, code))
        axes.annotate(
            plain(text),
            (x[place], y[place]),
            (4, 0),
            textcoords="offset points",
            va="center",
            fontsize=6.5,
            annotation_clip=False,
        )


def _box(axes: Axes, trace: Trace) -> None:
    """A box with all of its values, spread a little so that equal ones are seen."""
    x, row = _numbers(trace["x"]), float(trace["y"][0])
    edge = colour(trace["line"]["color"])
    line = {"color": edge, "linewidth": 0.8}
    axes.boxplot(
        [x[~np.isnan(x)]],
        positions=[row],
        orientation="horizontal",
        widths=0.6,
        showfliers=False,
        patch_artist=True,
        boxprops={"facecolor": colour(trace["fillcolor"]), "edgecolor": edge, "linewidth": 0.8},
        whiskerprops=line,
        capprops=line,
        medianprops=line,
        manage_ticks=False,
    )
    spread = 0.22 * np.sin(2.4 * np.arange(len(x)))
    axes.plot(x, row + spread, "o", color=edge, markersize=1.6, alpha=0.7, markeredgewidth=0)


def _matrix(axes: Axes, trace: Trace) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    scale = LinearSegmentedColormap.from_list("scale", [(at, code) for at, code in trace["colorscale"]])
    z = np.stack([_numbers(row) for row in trace["z"]])
    axes.pcolormesh(
        np.arange(z.shape[1] + 1) - 0.5,
        np.arange(z.shape[0] + 1) - 0.5,
        np.ma.masked_invalid(z),
        cmap=scale,
        vmin=trace["zmin"],
        vmax=trace["zmax"],
        edgecolor="white",
        linewidth=0.6,
    )
    for row, texts in enumerate(trace["text"]):
        for column, text in enumerate(texts):
            # White on what is darkest.
            code = "white" if abs(z[row, column] - 0.5) > 0.35 else "black"
            axes.text(column, row, plain(text), ha="center", va="center", fontsize=5.5, color=code)

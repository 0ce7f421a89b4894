"""Sizes, fonts, colours and marks of figures on paper, from those that the page names."""

from __future__ import annotations

from html import unescape
from typing import Any

from harness.report.formats import one_line

COLUMN, PAGE = 3.35, 6.9
"""Inches: the width of one column, and of a page with two."""

SETTINGS: Any = {
    "font.family": "sans-serif",
    "font.size": 7.5,
    "axes.labelsize": 7.5,
    "axes.titlesize": 7.5,
    "axes.linewidth": 0.6,
    "axes.edgecolor": "#666666",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "#e2e2e2",
    "grid.linewidth": 0.5,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.minor.size": 1.5,
    "ytick.minor.size": 1.5,
    "legend.fontsize": 6.5,
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "legend.columnspacing": 1.2,
    "legend.labelspacing": 0.3,
    "lines.linewidth": 1.1,
    "lines.markersize": 3.5,
    "savefig.dpi": 300,
    # Letters stay letters, which can be searched, read aloud and set anew.
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    # The same figure gives the same bytes.
    "svg.hashsalt": "gradfree",
}
"""Of matplotlib; in force while a figure is made and written, and nowhere else."""

DASHES: dict[str, Any] = {
    "solid": "-",
    "dash": (0, (4, 1.8)),
    "dot": (0, (1, 1.4)),
    "dashdot": (0, (4, 1.5, 1, 1.5)),
}
MARKS = {
    "circle": "o",
    "square": "s",
    "diamond": "D",
    "triangle-up": "^",
    "cross": "P",
    "triangle-down": "v",
    "triangle-left": "<",
    "triangle-right": ">",
    "star": "*",
    "x": "X",
}


def colour(code: str) -> Any:
    """A colour of plotly as one of matplotlib.

    >>> colour("#0072b2"), colour("rgba(0,51,255,0.5)")
    ('#0072b2', (0.0, 0.2, 1.0, 0.5))
    """
    if not code.startswith("rgba("):
        return code
    red, green, blue, opacity = (float(part) for part in code[5:-1].split(","))
    return (red / 255, green / 255, blue / 255, opacity)


def mark(symbol: str, code: str) -> dict[str, Any]:
    """Keywords of a mark; of one that is open, the inside is the paper.

    >>> mark("square-open", "#444444")["markerfacecolor"]
    'white'
    """
    inside = "white" if symbol.endswith("-open") else colour(code)
    return {
        "marker": MARKS[symbol.removesuffix("-open")],
        "markerfacecolor": inside,
        "markeredgecolor": colour(code),
        "markeredgewidth": 0.7,
    }


def plain(text: str) -> str:
    """A name or wording as letters: on the page it is escaped, and may hold what is no letter.

    >>> plain("a &lt;b&gt;\\nc")
    'a <b> c'
    """
    return one_line(unescape(text))

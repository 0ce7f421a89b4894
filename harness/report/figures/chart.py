"""What a figure is before it is drawn: named choices, and for each a view of plotly traces."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any, NamedTuple

MOST_LINES = 12
"""Shown at first in one plot; the rest are a click away."""

PALETTES = {
    "light": ("#0072b2", "#d55e00", "#008a64", "#b0468c", "#a87400", "#1f8fce", "#6a51a3", "#5f6b2d"),
    "dark": ("#5db4f0", "#ff9252", "#35cfa0", "#f09ccb", "#f0bd45", "#a5d8ff", "#b9a4ee", "#c3cf7f"),
}
"""Hues after Okabe and Ito, which the colour-blind tell apart, darker and lighter for the two grounds.

Dashes and marks differ too, so that nothing hangs on colour alone.
"""
INK = {"light": "#444444", "dark": "#cfcfcf"}
"""Of references, which are no contestants."""
GROUND = {"light": "#ffffff", "dark": "#15181d"}
"""What is drawn on, ``@ground``."""

_DASHES = ("solid", "dash", "dot", "dashdot")
_MARKS = ("circle", "square", "diamond", "triangle-up", "cross", "triangle-down", "star", "x")


class Style(NamedTuple):
    """How an entry is drawn, everywhere: ``@3`` is the fourth colour of the palette, ``@ink`` that of INK."""

    colour: str
    dash: str
    mark: str


@dataclass(frozen=True)
class Choice:
    """A question that the reader answers by a list, such as which task.

    Args:
        name: of the question.
        options: value and wording of each answer; the first stands at first.
    """

    name: str
    options: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class View:
    """What is drawn for one answer to each choice.

    Args:
        traces: of plotly; colours as in ``Style``, the entry of each under ``meta``. A line whose
            ``customdata`` are pairs has them as its interval, and a band is drawn between.
        layout: of plotly, as far as it differs from the page's.
        note: a sentence beneath; empty for none.
        beyond: by a trace's place the values of what it draws at the edge: of ``x`` or ``y``, and the ends
            ``low`` and ``high`` of an interval.
    """

    traces: list[dict[str, Any]]
    layout: dict[str, Any] = field(default_factory=dict)
    note: str = ""
    beyond: dict[int, dict[str, list[Any]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Chart:
    """A figure.

    Args:
        name: a short word, unique on a page.
        title: what is shown.
        says: how to read it, in sentences; also what a screen reader says.
        choices: asked above it; may be none.
        views: by the answers, joined by ``|``.
        entries: that have lines to be shown and hidden; empty where nothing is.
        why_not: why there is nothing to draw; then there are no views.
    """

    name: str
    title: str
    says: str
    views: Mapping[str, View]
    choices: Sequence[Choice] = ()
    entries: Sequence[str] = ()
    why_not: str = ""


def styles(entries: Sequence[str], references: Sequence[str]) -> dict[str, Style]:
    """The style of each entry.

    Args:
        entries: all of them, in the order of the leaderboard.
        references: those among them that are none.

    >>> styles(["a", "b", "adam"], ["adam"])["b"].colour, styles(["a", "b", "adam"], ["adam"])["adam"].colour
    ('@1', '@ink')
    """
    hues = len(PALETTES["light"])
    found: dict[str, Style] = {}
    counts = {True: 0, False: 0}
    for entry in entries:
        marked = entry in references
        place = counts[marked]
        counts[marked] += 1
        mark = _MARKS[place % len(_MARKS)]
        if marked:
            # Solid is left to contestants.
            found[entry] = Style("@ink", _DASHES[1 + place % 3], f"{mark}-open")
        else:
            found[entry] = Style(f"@{place % hues}", _DASHES[place // hues % 4], mark)
    return found


def colours(value: Any, ground: str) -> Any:
    """A trace or layout with the names of colours replaced by those for a ground, light or dark.

    ``@3/0.2`` is the colour with an opacity.

    >>> colours({"line": {"color": "@0"}, "fillcolor": "@0/0.5"}, "light")
    {'line': {'color': '#0072b2'}, 'fillcolor': 'rgba(0,114,178,0.5)'}
    """
    if isinstance(value, Mapping):
        return {key: colours(each, ground) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [colours(each, ground) for each in value]
    if not (isinstance(value, str) and value.startswith("@")):
        return value
    name, _, opacity = value[1:].partition("/")
    named = {"ink": INK, "ground": GROUND}
    code = named[name][ground] if name in named else PALETTES[ground][int(name)]
    if not opacity:
        return code
    red, green, blue = (int(code[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"


def line(entry: str, style: Style, x: Sequence[Any], y: Sequence[Any], **more: Any) -> dict[str, Any]:
    """A trace of one entry."""
    return {
        "type": "scatter",
        "mode": "lines",
        "name": label(entry),
        "meta": escape(entry, quote=False),
        "x": numbers(x),
        "y": numbers(y),
        "line": {"color": style.colour, "dash": style.dash, "width": 2},
        "showlegend": False,
        **more,
    }


def label(name: str, most: int = 34) -> str:
    """A name as an axis has room for it: its middle is cut out, and markup is no markup to plotly.

    >>> label("a<b>"), len(label("x" * 300))
    ('a&lt;b&gt;', 34)
    """
    if len(name) > most:
        half = (most - 1) // 2
        name = f"{name[: most - 1 - half]}…{name[len(name) - half :]}"
    return escape(name, quote=False)


def numbers(values: Sequence[Any]) -> list[Any]:
    """Five digits of each, which no screen resolves; None for what is missing or infinite.

    >>> numbers([0.1234567, float("nan"), 3, "a"])
    [0.12346, None, 3.0, 'a']
    """
    return [
        value if isinstance(value, str) else float(f"{value:.5g}") if math.isfinite(value) else None
        for value in values
    ]

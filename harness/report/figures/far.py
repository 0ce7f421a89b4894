"""What has diverged is drawn at the edge: beside it, nothing else would be seen."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median_low

from harness.report.figures.chart import numbers

FAR = 100
"""What reaches so many times the height of the middle one has diverged."""

_EDGE = 0.05


def diverged(heights: Mapping[str, float]) -> tuple[list[str], float]:
    """Those that are far beyond the middle one, of two middle ones the lower, and how far the others may be.

    Args:
        heights: of each the largest absolute value. What is zero, such as the spread of a method that draws
            nothing, says nothing of a scale.

    Returns:
        The names, and ``FAR`` times the middle height; infinite where there is nothing to measure by.

    >>> diverged({"a": 1.0, "b": 2.0, "c": 3.0, "d": 1e6})
    (['d'], 200.0)
    >>> diverged({"a": 0.0, "b": 0.0, "c": 0.5})
    ([], 50.0)
    """
    known = [height for height in heights.values() if 0 < height < math.inf]
    most = FAR * median_low(known) if known else math.inf
    return [name for name, height in heights.items() if height > most], most


def limits(values: Sequence[float]) -> list[float]:
    """The range of an axis that shows these values, with a margin, as rounded as what is drawn at its ends.

    >>> limits([0.0, 1.0]), limits([2.0])
    ([-0.05, 1.05], [1.9, 2.1])
    """
    low, high = min(values), max(values)
    margin = _EDGE * (high - low) or _EDGE * abs(high) or _EDGE
    return numbers([low - margin, high + margin])


def at_edge(value: float, ends: Sequence[float]) -> float:
    """Where a value is drawn: where it is, or within the margin at the end of the axis that it is beyond.

    >>> at_edge(0.5, [-0.05, 1.05]), round(at_edge(1e9, [-0.05, 1.05]), 3)
    (0.5, 1.028)
    """
    low, high = ends
    if low <= value <= high:
        return value
    inside = _EDGE * (high - low) * 0.4
    return low + inside if value < low else high - inside


def far_note(names: Sequence[str]) -> str:
    """Who is at the edge, for the line beneath a figure; empty for nobody.

    >>> far_note(["sgd"])
    'has diverged, far beyond the axis: sgd'
    """
    return f"has diverged, far beyond the axis: {', '.join(names)}" if names else ""

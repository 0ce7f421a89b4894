"""Curves over a cost: values in between, and the area beneath."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray


def at_points(costs: ArrayLike, values: ArrayLike, points: ArrayLike) -> NDArray[np.float64]:
    """What a run had found by the time it had spent so much: its last value at or before each point.

    Args:
        costs: rising; of the curve's steps.
        values: at the steps.
        points: where to read the curve; nan stands before its first step.

    >>> at_points([10, 20], [0.5, 0.7], [5, 10, 19, 99]).tolist()
    [nan, 0.5, 0.5, 0.7]
    """
    known = np.asarray(values, dtype=np.float64)
    places = np.searchsorted(np.asarray(costs, dtype=np.float64), np.asarray(points), side="right") - 1
    if not len(known):
        return np.full(len(places), math.nan)
    return np.where(places >= 0, known[places], math.nan)


def area_under_curve(costs: ArrayLike, values: ArrayLike, start: float, budget: float) -> float:
    """Mean over the budget of what a run would report if it were stopped there: its anytime value.

    The curve is a staircase: ``start`` until the first step, each value until the next, the last one until
    the budget ends, however early the run did.

    Args:
        costs: rising; of the curve's steps, those over the budget do not count.
        values: at the steps.
        start: the value of the untuned model.
        budget: in the same unit as the costs, over 0.

    >>> round(area_under_curve([50, 100], [0.7, 0.9], start=0.5, budget=200), 6)  # (.5 + .7 + 2 x .9) / 4
    0.75
    """
    edges: NDArray[np.float64] = np.asarray(costs, dtype=np.float64)
    inside = edges < budget
    stairs = np.concatenate([[start], np.asarray(values, dtype=np.float64)[inside]])
    widths = np.diff(np.concatenate([[0.0], edges[inside], [budget]]))
    return float(stairs @ widths / budget)

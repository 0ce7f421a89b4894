"""The functions that are minimised: COCO's bbob suite, and four of our own in many dimensions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

Values = Callable[[np.ndarray], np.ndarray]
"""From coordinates z, float64 ``[n, d]``, to how far each value lies above the optimum, float64 ``[n]``."""

START_VALUE = 1000.0


@dataclass(frozen=True)
class Problem:
    """One function in one dimension, with its optimum at one place.

    Everybody searches in coordinates z with ``x = start + sigma z``, from z = 0 with a step size of 1, so
    that starting point and first step size are the same for all.

    Args:
        name: of the function.
        dimension: d.
        instance: which of the function's places and rotations; it also seeds the run.
        excess: the value above the optimum.
    """

    name: str
    dimension: int
    instance: int
    excess: Values


def sphere(offset: np.ndarray) -> np.ndarray:
    """Of offsets ``[n, d]`` from the optimum."""
    return np.square(offset).sum(1)


def ellipsoid(offset: np.ndarray) -> np.ndarray:
    """Axes with conditions from 1 to a million."""
    return np.square(offset) @ np.logspace(0, 6, offset.shape[1])


def rosenbrock(offset: np.ndarray) -> np.ndarray:
    """The banana valley."""
    y = 1 + offset
    first, second = y[:, :-1], y[:, 1:]
    return (100 * np.square(second - np.square(first)) + np.square(1 - first)).sum(1)


def rastrigin(offset: np.ndarray) -> np.ndarray:
    """A sphere under a grid of local minima."""
    return (10 + np.square(offset) - 10 * np.cos(2 * math.pi * offset)).sum(1)


OWN = {"sphere": sphere, "ellipsoid": ellipsoid, "rosenbrock": rosenbrock, "rastrigin": rastrigin}


def own(name: str, dimension: int, instance: int) -> Problem:
    """One of our four functions, its optimum at a standard normal draw from the start.

    The function is multiplied by a number so that the start's value is 1000, and the targets of bbob serve.

    >>> round(float(own("rastrigin", 6, 1).excess(np.zeros((1, 6)))[0]), 6)
    1000.0
    """
    optimum = np.random.default_rng([instance, dimension]).standard_normal(dimension)
    scale = START_VALUE / OWN[name](-optimum[None])[0]
    return Problem(name, dimension, instance, lambda z: scale * OWN[name](z - optimum))


def bbob(function: int, dimension: int, instance: int) -> Problem:
    """A function of COCO's bbob suite, from a uniform draw in ``[-4, 4]^d``, with a first step size of 2.

    Raises:
        ImportError: without the package coco-experiment.
    """
    import cocoex

    values: Any = cocoex.BareProblem("bbob", function, dimension, instance)
    least = values.best_value()
    start = np.random.default_rng([instance, dimension, function]).uniform(-4, 4, dimension)
    # The sum is taken about each row by itself: COCO's functions take one point.
    return Problem(
        f"f{function:02d}",
        dimension,
        instance,
        lambda z: np.array([values(start + 2 * row) for row in z]) - least,
    )


BBOB = range(1, 25)
LARGEST_BBOB = 40


def suite(dimension: int, instance: int) -> Iterator[Callable[[], Problem]]:
    """What is minimised in a dimension: bbob up to d = 40, our own above.

    Each is made when called, for COCO may be missing and its rotations take memory.
    """
    if dimension <= LARGEST_BBOB:
        return (partial(bbob, function, dimension, instance) for function in BBOB)
    return (partial(own, name, dimension, instance) for name in OWN)

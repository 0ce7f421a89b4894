"""Profiles of solvers over problems.

Source: Dolan and More, Benchmarking optimization software with performance profiles, 2002; More and Wild,
Benchmarking derivative-free optimization algorithms, 2009.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.report.statistics.runtimes import ecdf

Array = NDArray[np.float64]


def performance_profile(times: ArrayLike, ratios: ArrayLike) -> Array:
    """Share of the problems that a solver solves within each multiple of the fastest solver's cost.

    A problem that nobody solves counts as unsolved by all. At a ratio of 1 stands the share on which a
    solver is the fastest, at a large one the share that it solves at all.

    Args:
        times: ``[problems, solvers]`` costs; infinite where a solver fails.
        ratios: 1 and more, ``[points]``.

    Returns:
        ``[points, solvers]``.

    >>> performance_profile([[10.0, 20.0], [30.0, float("inf")]], [1, 2]).tolist()
    [[1.0, 0.0], [1.0, 0.5]]
    """
    costs = np.asarray(times, dtype=np.float64)
    fastest = costs.min(axis=1, keepdims=True)
    # inf / inf is no ratio: nobody solved it.
    relative = np.divide(costs, fastest, out=np.full_like(costs, math.inf), where=np.isfinite(costs))
    return np.stack([ecdf(column, ratios) for column in relative.T], axis=1)


def data_profile(times: ArrayLike, dimensions: ArrayLike, groups: ArrayLike) -> Array:
    """Share of the problems that a solver solves within so many simplex gradients, d + 1 evaluations each.

    Args:
        times: ``[problems, solvers]`` evaluations; infinite where a solver fails.
        dimensions: d of each problem, ``[problems]``.
        groups: numbers of simplex gradients, ``[points]``.

    Returns:
        ``[points, solvers]``.

    >>> data_profile([[10.0, 30.0], [8.0, float("inf")]], [9, 3], [1, 2, 3]).tolist()
    [[0.5, 0.0], [1.0, 0.0], [1.0, 0.5]]
    """
    units = np.asarray(times, dtype=np.float64) / (np.asarray(dimensions, dtype=np.float64)[:, None] + 1)
    return np.stack([ecdf(column, groups) for column in units.T], axis=1)

"""How long until a target is reached: expected running time, simulated restarts, empirical distributions.

Source: Hansen et al., COCO: A Platform for Comparing Continuous Optimizers in a Black-Box Setting, 2021;
Hansen et al., COCO: Performance Assessment, 2016. Runs that miss the target count with all they spent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

FRACTIONS = (0.1, 0.25, 0.5, 0.75, 0.9, 1.0)


class RunTime(NamedTuple):
    """Expected running time (infinite without a success), its 95 % interval, successes and runs."""

    value: float
    low: float
    high: float
    successes: int
    runs: int


def targets(start: float, best: float, fractions: Sequence[float] = FRACTIONS) -> Array:
    """Targets as fractions of the way from the untuned model to the best value that anyone reached.

    This is the convergence test of More and Wild (2009) with 1 - tau for a fraction. Where nobody got
    beyond the start there is nothing to reach, and no target.

    Args:
        start: score of the untuned model; higher is better.
        best: highest score of all runs.

    >>> targets(0.5, 0.9, [0.5, 1.0]).round(2).tolist()
    [0.7, 0.9]
    >>> targets(0.5, 0.5).tolist()
    []
    """
    if not best > start:
        return np.empty(0)
    return start + np.asarray(fractions) * (best - start)


def running_times(costs: ArrayLike, scores: ArrayLike, goals: ArrayLike) -> Array:
    """What a run had spent when it first reached each target; infinite where it did not.

    Args:
        costs: rising; of the run's steps.
        scores: at the steps; higher is better.
        goals: the targets.

    >>> running_times([10, 20, 30], [0.5, 0.8, 0.7], [0.4, 0.6, 0.9]).tolist()
    [10.0, 20.0, inf]
    """
    spent = np.append(np.asarray(costs, dtype=np.float64), math.inf)
    best = np.maximum.accumulate(np.nan_to_num(np.asarray(scores, dtype=np.float64), nan=-math.inf))
    # A hair below, so that a target computed from a score is reached by that score.
    return spent[np.searchsorted(best, np.asarray(goals, dtype=np.float64) - 1e-9, side="left")]


def expected_running_time(
    times: Sequence[float], spent: Sequence[float], *, resamples: int = 1000, seed: int = 0
) -> RunTime:
    """Everything spent by all runs until they succeeded or ended, over the number of successes.

    The interval is a percentile bootstrap over runs; an end of it is infinite where so many resamples
    hold no success.

    Args:
        times: until the target was reached; infinite for a run that missed it.
        spent: by each run until its end, which is what a run that missed the target costs.

    >>> expected_running_time([10, float("inf"), 30], [50, 50, 50]).value  # (10 + 50 + 30) / 2
    45.0
    """
    reached = np.isfinite(np.asarray(times, dtype=np.float64))
    cost = np.where(reached, np.asarray(times, dtype=np.float64), np.asarray(spent, dtype=np.float64))
    runs, successes = len(cost), int(reached.sum())
    value = float(cost.sum() / successes) if successes else math.inf
    if not successes or runs < 2:
        return RunTime(value, math.nan, math.nan, successes, runs)
    drawn = np.random.default_rng(seed).integers(runs, size=(resamples, runs))
    with np.errstate(divide="ignore"):
        means = cost[drawn].sum(axis=1) / reached[drawn].sum(axis=1)
    low, high = np.quantile(means, [0.025, 0.975], method="closest_observation")
    return RunTime(value, float(low), float(high), successes, runs)


def simulated_restarts(
    times: Sequence[float], spent: Sequence[float], draws: int, random: np.random.Generator
) -> Array:
    """Running times of an algorithm that is started again until it succeeds.

    Runs are drawn with replacement until one has reached the target, and their costs added up. The
    first run of each draw goes through all runs in turn, so that fewer draws give the same precision.

    Args:
        times: as of ``expected_running_time``.
        spent: likewise.
        draws: how many to simulate.

    Returns:
        float64 ``[draws]``, rising; infinite where no run succeeded.

    >>> simulated_restarts([10.0, 20.0], [50.0, 50.0], 4, np.random.default_rng(0)).tolist()
    [10.0, 10.0, 20.0, 20.0]
    """
    known = np.asarray(times, dtype=np.float64)
    reached = np.isfinite(known)
    if not reached.any():
        return np.full(draws, math.inf)
    cost = np.where(reached, known, np.asarray(spent, dtype=np.float64))
    chosen = np.resize(random.permutation(len(cost)), draws)
    total = cost[chosen]
    open_ = np.flatnonzero(~reached[chosen])
    while len(open_):
        again = random.integers(len(cost), size=len(open_))
        total[open_] += cost[again]
        open_ = open_[~reached[again]]
    return np.sort(total)


def bootstrapped_restarts(
    times: ArrayLike, spent: ArrayLike, draws: int, resamples: int, random: np.random.Generator
) -> Array:
    """Simulated restarts of resampled runs: how far a distribution of running times is a matter of chance.

    A resample draws the runs anew, with replacement, each with all its targets; then its algorithm is
    started again as ``simulated_restarts`` says. All costs of a run are added up beside each other.

    Args:
        times: ``[costs, runs, targets]``; a target is reached under all costs or none.
        spent: ``[costs, runs]``.
        draws: how many restarts to simulate for each resample and target.
        resamples: how many; 0 for one that holds each run once.

    Returns:
        float64 ``[costs, resamples, targets, draws]``; infinite where a resample holds no success.

    >>> random = np.random.default_rng(0)
    >>> totals = bootstrapped_restarts([[[10.0], [float("inf")]]], [[50.0, 50.0]], 2, 8, random)
    >>> totals.shape, float(totals.min())
    ((1, 8, 1, 2), 10.0)
    """
    known, whole = np.asarray(times, dtype=np.float64), np.asarray(spent, dtype=np.float64)
    reached = np.isfinite(known[0])
    runs, goals = reached.shape
    cost = np.where(reached, known, whole[:, :, None])
    picks = random.integers(runs, size=(resamples, runs)) if resamples else np.arange(runs)[None]
    resamples = len(picks)
    sample, goal = (each.ravel() for each in np.indices((resamples, goals, draws))[:2])
    # The first run of each draw goes through all runs in turn, as there.
    chosen = picks[
        sample, np.resize(np.arange(runs), draws)[np.indices((resamples, goals, draws))[2]].ravel()
    ]
    total = cost[:, chosen, goal]
    hopeless = ~reached[picks].any(axis=1)[sample, goal]
    total[:, hopeless] = math.inf
    open_ = np.flatnonzero(~reached[chosen, goal] & ~hopeless)
    while len(open_):
        again = picks[sample[open_], random.integers(runs, size=len(open_))]
        total[:, open_] += cost[:, again, goal[open_]]
        open_ = open_[~reached[again, goal[open_]]]
    return total.reshape(-1, resamples, goals, draws)


def ecdf(times: ArrayLike, points: ArrayLike) -> Array:
    """Share of the running times that are at most each point; those never reached count in the whole.

    Args:
        times: of all runs and targets together; infinite where a target was missed.
        points: costs at which to read the distribution.

    >>> ecdf([10.0, 20.0, float("inf"), 40.0], [5, 20, 100]).tolist()
    [0.0, 0.5, 0.75]
    """
    ordered = np.sort(np.asarray(times, dtype=np.float64))
    if not len(ordered):
        return np.full(len(np.asarray(points)), math.nan)
    return np.searchsorted(ordered, np.asarray(points, dtype=np.float64), side="right") / len(ordered)

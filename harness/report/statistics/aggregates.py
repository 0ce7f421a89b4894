"""Aggregates over tasks: normalised gain, interquartile mean, probability of improvement.

Source: Agarwal et al., Deep Reinforcement Learning at the Edge of the Statistical Precipice, 2021, for the
interquartile mean, the stratified bootstrap and the probability of improvement.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Array = NDArray[np.floating[Any]]

RESAMPLES = 2000
LEAST_GAIN = 0.02
"""Where a first-order reference gains less than this over zero-shot, the ratio to it says nothing."""


class Estimate(NamedTuple):
    """A value, its 95 % bootstrap interval (nan where nothing can be resampled), and of how many scores."""

    value: float
    low: float
    high: float
    n: int


class Gains(NamedTuple):
    """Normalised gains of the tasks on which they are defined, and how many of the tasks those are."""

    values: dict[str, Array]
    undefined: dict[str, str]


def normalised_gain(
    scores: Mapping[str, Sequence[float]], zero_shot: Mapping[str, float], first_order: Mapping[str, float]
) -> Gains:
    """Scores on the scale on which the untuned model is 0 and first-order tuning is 1, task by task.

    The scale of a task is one pair of numbers for all contestants and repetitions, so that it changes
    neither their order nor their relative spread.

    Args:
        scores: of one contestant, over repetitions, for each task; higher is better.
        zero_shot: of each task, the mean score of the untuned model.
        first_order: of each task, the mean score of the better first-order reference, chosen on dev, with
            the same budget of tokens.

    Returns:
        The gains, and for every other task why it has none.

    >>> gains = normalised_gain({"s": [0.6, 0.8], "t": [0.5]}, {"s": 0.5, "t": 0.5}, {"s": 0.9, "t": 0.51})
    >>> gains.values["s"].round(2).tolist(), gains.undefined
    ([0.25, 0.75], {'t': 'first-order tuning gains 0.010 over zero-shot, under 0.02'})
    """
    values: dict[str, Array] = {}
    undefined: dict[str, str] = {}
    for task, found in scores.items():
        zero, first = zero_shot.get(task, math.nan), first_order.get(task, math.nan)
        if math.isnan(zero) or math.isnan(first):
            undefined[task] = f"no {'zero-shot' if math.isnan(zero) else 'first-order'} result"
        elif first - zero < LEAST_GAIN - 1e-9:
            undefined[task] = (
                f"first-order tuning gains {first - zero:.3f} over zero-shot, under {LEAST_GAIN:g}"
            )
        else:
            values[task] = (np.asarray(found, dtype=np.float64) - zero) / (first - zero)
    return Gains(values, undefined)


def interquartile_mean(
    scores: Sequence[Sequence[float] | Array], *, resamples: int = RESAMPLES, seed: int = 0
) -> Estimate:
    """Mean of the middle half of all scores, with a stratified percentile bootstrap interval.

    A resample draws the repetitions of each task anew, with replacement; the tasks stay. So the interval is
    about other seeds and splits of these tasks, not about other tasks.

    Args:
        scores: of each task, over its repetitions; none missing.

    Raises:
        ValueError: for a missing score, which would make the mean one over ragged tasks.

    >>> interquartile_mean([[0.0, 1.0, 2.0, 3.0], [4.0, 5.0, 6.0, 70.0]]).value  # (2 + 3 + 4 + 5) / 4
    3.5
    >>> interquartile_mean([[0.5], [0.7]])
    Estimate(value=0.6, low=nan, high=nan, n=2)
    """
    return _bootstrapped([scores], lambda drawn: _trimmed(drawn[0]), resamples, seed)


def probability_of_improvement(
    ours: Sequence[Sequence[float] | Array],
    theirs: Sequence[Sequence[float] | Array],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """How likely a run of ours beats a run of theirs on a task that is drawn evenly; ties count half.

    The mean over tasks of the Mann-Whitney statistic, with a stratified percentile bootstrap interval (each
    side's repetitions are drawn by themselves).

    Args:
        ours: scores of each task, over repetitions.
        theirs: of the same tasks in the same order.

    >>> probability_of_improvement([[1.0, 3.0]], [[0.0, 2.0]]).value  # 1 beats 0; 3 beats both
    0.75
    """
    return _bootstrapped([ours, theirs], lambda drawn: _improvement(*drawn), resamples, seed)


def _bootstrapped(
    sides: Sequence[Sequence[Sequence[float] | Array]],
    statistic: Callable[[list[list[Array]]], Array],
    resamples: int,
    seed: int,
) -> Estimate:
    arrays: list[list[Array]] = [[np.asarray(task, dtype=np.float64) for task in side] for side in sides]
    if any(np.isnan(task).any() or not len(task) for side in arrays for task in side):
        raise ValueError("an aggregate over tasks needs a score of each; restrict the tasks first")
    n = sum(len(task) for task in arrays[0])
    if not n:
        return Estimate(math.nan, math.nan, math.nan, 0)
    value = float(statistic([[task[None] for task in side] for side in arrays])[0])
    if not resamples or all(len(task) == 1 for side in arrays for task in side):
        return Estimate(value, math.nan, math.nan, n)
    random = np.random.default_rng(seed)
    drawn: list[list[Array]] = [
        [task[random.integers(len(task), size=(resamples, len(task)))] for task in side] for side in arrays
    ]
    low, high = np.percentile(statistic(drawn), [2.5, 97.5])
    return Estimate(value, float(low), float(high), n)


def _trimmed(drawn: list[Array]) -> Array:
    mean: Array = stats.trim_mean(np.concatenate(drawn, axis=1), 0.25, axis=1)
    return mean


def _improvement(ours: list[Array], theirs: list[Array]) -> Array:
    parts = []
    for a, b in zip(ours, theirs, strict=True):
        difference = a[:, :, None] - b[:, None, :]
        parts.append(((difference > 0) + 0.5 * (difference == 0)).mean(axis=(1, 2)))
    mean: Array = np.mean(parts, axis=0)
    return mean

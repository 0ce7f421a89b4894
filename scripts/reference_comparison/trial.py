"""One run: evaluations are counted, and those are noted at which a target was reached."""

from __future__ import annotations

import math

import numpy as np

from reference_comparison.problems import Problem

TARGETS = (100.0, 10.0, 1.0, 0.1, 0.001)
"""Values above the optimum, the easiest first; the last ends the run."""


class FinishedError(Exception):
    """The budget is spent, or the last target reached."""


class Trial:
    """What a contestant calls to evaluate its points.

    Args:
        problem: what is minimised.
        budget: evaluations; of a generation that goes past it only the first points are evaluated.

    >>> from reference_comparison.problems import own
    >>> trial = Trial(own("sphere", 4, 1), budget=3)
    >>> trial(np.zeros((2, 4))).round(6).tolist(), trial.evaluations, round(trial.best, 6)
    ([1000.0, 1000.0], 2, 1000.0)
    """

    def __init__(self, problem: Problem, budget: int) -> None:
        self.problem = problem
        self.budget = budget
        self.evaluations = 0
        self.best = math.inf
        self.reached = [math.nan] * len(TARGETS)

    @property
    def remaining(self) -> int:
        """Evaluations left."""
        return self.budget - self.evaluations

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Losses float64 ``[n]`` of points ``[n, d]``; raises FinishedError at the end of the run."""
        values = self.problem.excess(np.asarray(points[: self.remaining], dtype=np.float64))
        for place, target in enumerate(TARGETS):
            if math.isnan(self.reached[place]) and (hits := np.flatnonzero(values <= target)).size:
                self.reached[place] = self.evaluations + int(hits[0]) + 1
        self.evaluations += len(values)
        self.best = float(np.fmin.reduce(values, initial=self.best))
        if not math.isnan(self.reached[-1]) or self.remaining == 0:
            raise FinishedError
        return values

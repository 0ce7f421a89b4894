"""Gaussian smoothing."""

from __future__ import annotations

from algorithms.gradient_estimators.zeroth_order import ZerothOrder
from algorithms.options import Count, Positive, Units
from algorithms.steps import StepRule
from harness.core import Budget, Space, ranges


class GaussianSmoothing(ZerothOrder):
    """Descend along ``g = 1/q sum_j (L(x + sigma u_j) - L(x)) / sigma u_j`` with normal directions u.

    g is on average the gradient of L smoothed by a normal blur of width sigma. A single difference is off by
    half sigma times the curvature along u_j, which pairs of evaluations would cancel; in return a step costs
    q + 1 evaluations for q directions.

    Args:
        sigma: radius of a perturbation.
        lr: learning rate.
        queries: q, directions per step, one evaluation each and one for the center.
        step: ``sgd``, ``momentum``, ``adam``, ``sign``, ``normalised`` or ``clipup``.
        units: ``scale`` or ``raw``.

    ``best()`` is the center.

    Source: Nesterov & Spokoiny, Random Gradient-Free Minimization of Convex Functions, 2017 (q = 1).

    >>> from harness.core import Block
    >>> search = GaussianSmoothing(Space([Block("x", (4,), "vector")]), Budget(100), seed=0, queries=3)
    >>> asked = search.ask(remaining=100)
    >>> asked.members.tolist(), asked.signs.tolist()
    ([0, 1, 2, 0], [1, 1, 1, 0])
    """

    source = "Nesterov & Spokoiny 2017"
    search = ranges(sigma=(0.025, 2.5), lr=(0.06, 60.0))

    def __init__(
        self,
        space: Space,
        budget: Budget,
        seed: int,
        *,
        sigma: Positive = 0.25,
        lr: Positive = 2.0,
        queries: Count = 4,
        step: StepRule = "sgd",
        units: Units = "scale",
    ) -> None:
        super().__init__(
            space,
            budget,
            seed,
            estimator="forward",
            direction="gaussian",
            queries=queries,
            sigma=sigma,
            lr=lr,
            step=step,
            units=units,
        )

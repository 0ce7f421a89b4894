"""Two-point estimates along directions of one length."""

from __future__ import annotations

from algorithms.gradient_estimators.zeroth_order import ZerothOrder
from algorithms.options import Count, Positive, Units
from algorithms.steps import StepRule
from harness.core import Budget, Space, ranges


class SphereSmoothing(ZerothOrder):
    """Descend along ``g = 1/q sum_j d/(2 mu) (L(x + mu v_j) - L(x - mu v_j)) v_j``, v on the unit sphere.

    With ``sigma = mu / sqrt(d)`` and u = sqrt(d) v, which is what is drawn, this is MeZO's estimate. It is on
    average the gradient of L smoothed over a ball, and ``E|g|^2`` is (d + q - 1)/q times the squared
    gradient. A step costs 2q evaluations.

    Args:
        sigma: radius of a perturbation, mu over sqrt(d).
        lr: learning rate.
        queries: q, directions per step, two evaluations each.
        step: ``sgd``, ``momentum``, ``adam``, ``sign``, ``normalised`` or ``clipup``.
        units: ``scale`` or ``raw``.

    ``best()`` is the center.

    Source: Shamir, An Optimal Algorithm for Bandit and Zero-Order Convex Optimization with Two-Point
    Feedback, 2017.

    >>> from harness.core import Block
    >>> search = SphereSmoothing(Space([Block("x", (4,), "vector")]), Budget(100), seed=0, sigma=0.5)
    >>> [round(float(point.norm()), 5) for point in search.ask(remaining=100).coordinates()]
    [1.0, 1.0]
    """

    source = "Shamir 2017"
    search = ranges(sigma=(0.05, 5.0), lr=(0.03, 30.0))

    def __init__(
        self,
        space: Space,
        budget: Budget,
        seed: int,
        *,
        sigma: Positive = 0.5,
        lr: Positive = 1.0,
        queries: Count = 1,
        step: StepRule = "sgd",
        units: Units = "scale",
    ) -> None:
        super().__init__(
            space,
            budget,
            seed,
            estimator="antithetic",
            direction="sphere",
            queries=queries,
            sigma=sigma,
            lr=lr,
            step=step,
            units=units,
        )

"""One-point estimates."""

from __future__ import annotations

from typing import ClassVar

from algorithms.gradient_estimators.zeroth_order import ZerothOrder
from algorithms.options import Count, Positive, Units
from algorithms.steps import StepRule
from harness.core import Budget, Space, ranges


class OnePointSmoothing(ZerothOrder):
    """Descend along ``g = 1/q sum_j d/mu L(x + mu v_j) v_j``, v on the unit sphere.

    With ``sigma = mu / sqrt(d)`` and u = sqrt(d) v, which is what is drawn, ``g = 1/q sum_j L_j/sigma u_j``.
    It is on average the gradient of L smoothed over a ball, but its length is that of the loss, not of a
    difference of losses: the method for one evaluation per step, and the measure of what a baseline is
    worth. A constant added to the loss changes the run.

    Args:
        sigma: radius of a perturbation, mu over sqrt(d).
        lr: learning rate.
        queries: q, directions per step, one evaluation each.
        step: ``sgd``, ``momentum``, ``adam``, ``sign``, ``normalised`` or ``clipup``.
        units: ``scale`` or ``raw``.

    ``best()`` is the center.

    Source: Flaxman, Kalai & McMahan, Online Convex Optimization in the Bandit Setting: Gradient Descent
    without a Gradient, 2005.

    >>> import torch
    >>> from harness.core import Block
    >>> search = OnePointSmoothing(Space([Block("x", (4,), "vector")]), Budget(100), seed=0, sigma=0.5)
    >>> asked = search.ask(remaining=100)
    >>> search.tell(asked, torch.ones(1))
    >>> round(float(search.best().coordinates().norm()), 4) == round(4 * search.lr, 4)  # lr |u| / sigma
    True
    """

    source = "Flaxman et al. 2005"
    search = ranges(sigma=(0.1, 10.0), lr=(0.0015, 1.5))
    smallest_budget = 1
    expected_failures: ClassVar[dict[str, str]] = {
        "better-than-random-at-500": "its noise is the loss times sqrt(d): 300 evaluations are too few"
    }

    def __init__(
        self,
        space: Space,
        budget: Budget,
        seed: int,
        *,
        sigma: Positive = 1.0,
        lr: Positive = 0.05,
        queries: Count = 1,
        step: StepRule = "sgd",
        units: Units = "scale",
    ) -> None:
        super().__init__(
            space,
            budget,
            seed,
            estimator="one-point",
            direction="sphere",
            queries=queries,
            sigma=sigma,
            lr=lr,
            step=step,
            units=units,
        )

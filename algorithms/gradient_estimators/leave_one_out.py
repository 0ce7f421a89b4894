"""One-sided estimates with a leave-one-out baseline."""

from __future__ import annotations

from algorithms.gradient_estimators.zeroth_order import ZerothOrder
from algorithms.options import Pairs, Positive, Units
from algorithms.steps import StepRule
from harness.core import Budget, Space, ranges


class LeaveOneOutSmoothing(ZerothOrder):
    """Descend along ``g = 1/q sum_j (L_j - mean_{i != j} L_i) / sigma u_j`` with normal directions u.

    L_j is L(x + sigma u_j). g is on average the gradient of L smoothed by a normal blur of width sigma. The
    baseline costs no evaluation of its own: a step takes q of them.

    Args:
        sigma: radius of a perturbation.
        lr: learning rate.
        queries: q, directions per step, one evaluation each, at least two.
        step: ``sgd``, ``momentum``, ``adam``, ``sign``, ``normalised`` or ``clipup``.
        units: ``scale`` or ``raw``.

    ``best()`` is the center.

    Source: Kool, van Hoof & Welling, Buy 4 REINFORCE Samples, Get a Baseline for Free!, 2019.

    >>> from harness.core import Block
    >>> search = LeaveOneOutSmoothing(Space([Block("x", (4,), "vector")]), Budget(100), seed=0, queries=3)
    >>> asked = search.ask(remaining=100)
    >>> asked.members.tolist(), asked.signs.tolist()
    ([0, 1, 2], [1, 1, 1])
    """

    source = "Kool et al. 2019"
    search = ranges(sigma=(0.05, 5.0), lr=(0.1, 90.0))

    def __init__(
        self,
        space: Space,
        budget: Budget,
        seed: int,
        *,
        sigma: Positive = 0.5,
        lr: Positive = 3.0,
        queries: Pairs = 8,
        step: StepRule = "sgd",
        units: Units = "scale",
    ) -> None:
        super().__init__(
            space,
            budget,
            seed,
            estimator="leave-one-out",
            direction="gaussian",
            queries=queries,
            sigma=sigma,
            lr=lr,
            step=step,
            units=units,
        )

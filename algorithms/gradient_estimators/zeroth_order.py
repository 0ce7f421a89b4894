"""Zeroth-order descent of any estimator, law of directions and step rule."""

from __future__ import annotations

import inspect
from functools import partial
from typing import Any, Literal

from algorithms.descent import Descent, Law
from algorithms.estimators import (
    Antithetic,
    Damped,
    Estimator,
    Forward,
    LeaveOneOut,
    OnePoint,
    Residual,
    Standardised,
)
from algorithms.gradient_estimators.small_weights import SmallWeights
from algorithms.options import Count, Positive, Share, Units, chosen
from algorithms.steps import StepRule
from harness.core import (
    Budget,
    Gaussian,
    HeldLowRank,
    LowRank,
    Orthogonal,
    Rademacher,
    Space,
    Sphere,
    Subspace,
    ranges,
)

EstimatorName = Literal[
    "antithetic", "forward", "one-point", "residual", "leave-one-out", "damped", "standardised"
]
Direction = Literal[
    "gaussian", "rademacher", "sphere", "orthogonal", "low-rank", "held-low-rank", "subspace", "sparse"
]

_ESTIMATORS: dict[str, type[Estimator]] = {
    "antithetic": Antithetic,
    "forward": Forward,
    "one-point": OnePoint,
    "residual": Residual,
    "leave-one-out": LeaveOneOut,
    "damped": Damped,
    "standardised": Standardised,
}


class ZerothOrder(Descent):
    """Step along ``g = sum_j w_j u_j`` over q directions u, the weights w from losses at ``x + sigma u_j``.

    Write f for the losses. Evaluations per step in brackets:

    - ``antithetic``: w_j = (f_j+ - f_j-) / (2 q sigma) [2q]
    - ``forward``: w_j = (f_j - f(x)) / (q sigma) [q + 1]
    - ``one-point``: w_j = f_j / (q sigma) [q]
    - ``residual``: w_j = (f_j - p) / (q sigma), p the mean loss of the step before [q]
    - ``leave-one-out``: w_j = (f_j - b_j) / (q sigma), b_j the mean loss of the other directions [q]
    - ``damped``: the antithetic w_j, divided by max(1, |c_j|^.1) with c_j the curvature along u_j [2q + 1]
    - ``standardised``: w_j = (f_j - f(x)) / (q s), s the deviation of the q losses [q + 1]

    All but the last two are right on average, up to what sigma smooths away, under every law whose entries
    are uncorrelated with mean 0 and variance 1. ``|g|^2`` of the first, as sigma goes to 0, is on average
    (d + q - 1)/q times the squared gradient for signs and the sphere, (d + q + 1)/q for normal directions,
    and d/q for orthogonal ones. A radius mu published for unit directions is sqrt(d) sigma.

    The named methods are choices of these options with defaults of their own.

    Args:
        estimator: as above.
        direction: ``gaussian``; ``rademacher``, random signs; ``sphere``, of length sqrt(d); ``orthogonal``
            to each other, of length sqrt(d), in groups of d; ``sparse``, normal where a weight is small; and
            for matrices ``low-rank``, A B^T / sqrt(rank), ``held-low-rank``, the same with B held, and
            ``subspace``, U Z V^T with U and V held.
        queries: q, directions per step.
        sigma: radius of a perturbation.
        lr: learning rate.
        step: ``sgd``, ``momentum``, ``adam``, ``sign``, ``normalised`` or ``clipup``.
        units: ``scale`` or ``raw``.
        rank: of the three laws for matrices.
        hold: steps for which the last two of them keep their factors.
        share: of each block's weights that ``sparse`` searches, the smallest.

    ``best()`` is the center x.

    Source: Liu, Chen, Kailkhura, Zhang, Hero & Varshney, A Primer on Zeroth-Order Optimization in Signal
    Processing and Machine Learning, 2020; and each named method's.

    >>> from harness.core import Block
    >>> space = Space([Block("x", (4,), "vector")])
    >>> descent = ZerothOrder(space, Budget(100), seed=0, estimator="forward", direction="sphere", queries=2)
    >>> asked = descent.ask(remaining=100)
    >>> asked.members.tolist(), asked.signs.tolist(), round(float(asked.coordinates()[0].norm()), 4)
    ([0, 1, 0], [1, 1, 0], 1.0)
    """

    family = "gradient estimators"
    source = "Liu et al. 2020"
    search = ranges(sigma=(0.05, 5.0), lr=(0.03, 30.0))

    def __init__(
        self,
        space: Space,
        budget: Budget,
        seed: int,
        *,
        estimator: EstimatorName = "antithetic",
        direction: Direction = "gaussian",
        queries: Count = 2,
        sigma: Positive = 0.5,
        lr: Positive = 1.0,
        step: StepRule = "sgd",
        units: Units = "scale",
        rank: Count = 4,
        hold: Count = 50,
        share: Share = 0.25,
    ) -> None:
        super().__init__(
            space,
            budget,
            seed,
            estimator=_ESTIMATORS[estimator](),
            queries=queries,
            sigma=sigma,
            lr=lr,
            units=units,
            step=step,
        )
        self.law = SmallWeights(self.center, share) if direction == "sparse" else law(direction, rank, hold)

    @classmethod
    def misfit(cls, dimension: int, budget: int, **options: Any) -> str | None:
        if "estimator" in inspect.signature(cls).parameters:
            kind = _ESTIMATORS[chosen(cls, options, "estimator")]
            if budget < (price := kind.price(kind.fewest)):
                return f"a budget of {budget} is under the {price} evaluations of a step"
        return super().misfit(dimension, budget)

    def state(self) -> dict[str, Any]:
        small = {"thresholds": dict(self.law.thresholds)} if isinstance(self.law, SmallWeights) else {}
        return super().state() | small

    def load_state(self, state: dict[str, Any]) -> None:
        super().load_state(state)
        if isinstance(self.law, SmallWeights):
            self.law.thresholds = dict(state["thresholds"])


def law(direction: Direction, rank: int, hold: int) -> Law:
    """The law of that name, which must not be ``sparse``: that one needs a center.

    >>> from harness.core import Block
    >>> law("low-rank", rank=3, hold=1)(Space([Block("w", (5, 4), "matrix")]), 0, 0).rank
    3
    """
    laws: dict[str, Law] = {
        "gaussian": Gaussian,
        "rademacher": Rademacher,
        "sphere": Sphere,
        "orthogonal": Orthogonal,
        "low-rank": partial(LowRank, rank=rank),
        "held-low-rank": partial(HeldLowRank, rank=rank, hold=hold),
        "subspace": partial(Subspace, rank=rank, hold=hold),
    }
    return laws[direction]

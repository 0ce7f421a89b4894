"""1.5-SPSA: random signs, weighted by the curvature along them."""

from __future__ import annotations

from algorithms.gradient_estimators.zeroth_order import ZerothOrder
from algorithms.options import Count, Positive, Units
from algorithms.steps import StepRule
from harness.core import Budget, Space, ranges


class DampedSPSA(ZerothOrder):
    """Descend along ``g = 1/2q sum_j (L_j+ - L_j-) / (sigma max(1, |c_j|^.1)) u_j`` with random signs u.

    ``c_j = (L_j+ - 2 L(x) + L_j-) / sigma^2`` is the curvature along u_j, so that sharp directions count for
    less. A step costs 2q + 1 evaluations. ``lr`` is tied to sigma: left out, they are equal, and a step along
    u_j is half the difference of its two losses over q, whatever sigma is.

    The published values, with ``units=raw``: sigma and lr both 1e-4, 40 queries.

    Args:
        sigma: radius of a perturbation.
        lr: learning rate; None for sigma.
        queries: q, directions per step, two evaluations each and one for the center.
        step: ``sgd``, ``momentum``, ``adam``, ``sign``, ``normalised`` or ``clipup``.
        units: ``scale`` or ``raw``.

    ``best()`` is the center.

    Source: Chaubard, Probe-Space Preconditioning (1.5-SPSA), 2025.

    >>> from harness.core import Block
    >>> search = DampedSPSA(Space([Block("x", (4,), "vector")]), Budget(100), seed=0, sigma=0.5, queries=1)
    >>> search.lr, search.ask(remaining=100).signs.tolist()
    (0.5, [1, -1, 0])
    """

    source = "Chaubard 2025"
    search = ranges(sigma=(0.1, 10.0))
    smallest_budget = 3

    def __init__(
        self,
        space: Space,
        budget: Budget,
        seed: int,
        *,
        sigma: Positive = 1.0,
        lr: Positive | None = None,
        queries: Count = 1,
        step: StepRule = "sgd",
        units: Units = "scale",
    ) -> None:
        super().__init__(
            space,
            budget,
            seed,
            estimator="damped",
            direction="rademacher",
            queries=queries,
            sigma=sigma,
            lr=sigma if lr is None else lr,
            step=step,
            units=units,
        )

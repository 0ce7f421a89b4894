"""SPSA: simultaneous perturbation stochastic approximation."""

from __future__ import annotations

import math

from algorithms.descent import Descent
from algorithms.estimators import Antithetic
from algorithms.options import Count, NonNegative, Positive, UnitInterval, Units
from harness.core import Budget, Rademacher, Space, ranges


class SPSA(Descent):
    """Descend along ``g_i = (L(x + c_k D) - L(x - c_k D)) / (2 c_k D_i)`` with random signs D.

    Step k = 0, 1, ... is ``x <- x - a_k g`` with the gains ``c_k = c / (k + 1)^gamma`` and
    ``a_k = a / (k + 1 + A)^alpha``, where c = ``sigma``, A = ``stability`` times the number of steps that
    the budget allows, and a is such that ``a_0 = lr``. As D_i is a sign, 1/D_i = D_i.

    Spall gives the exponents, A = .1 of the steps, c of about the standard deviation of the noise in L,
    and a for a desired first change; published a and c are given with ``units=raw``,
    ``lr = a / (1 + A)^alpha``.

    Args:
        sigma: c, the first radius.
        lr: a_0, the first gain.
        queries: directions averaged in a step (one as published), two evaluations each.
        alpha: exponent of the gain.
        gamma: exponent of the radius.
        stability: A as a share of all steps.
        units: ``scale`` or ``raw``.

    ``best()`` is the center.

    Source: Spall, Multivariate Stochastic Approximation Using a Simultaneous Perturbation Gradient
    Approximation, 1992; Implementation of the Simultaneous Perturbation Algorithm, 1998.

    >>> from harness.core import Block
    >>> spsa = SPSA(Space([Block("x", (4,), "vector")]), Budget(100), seed=0, sigma=0.5)
    >>> spsa.ask(remaining=100).coordinates().abs()[0].tolist()
    [0.5, 0.5, 0.5, 0.5]
    """

    family = "gradient estimators"
    source = "Spall 1992"
    search = ranges(sigma=(0.05, 5.0), lr=(0.06, 60.0))

    def __init__(
        self,
        space: Space,
        budget: Budget,
        seed: int,
        *,
        sigma: Positive = 0.5,
        lr: Positive = 2.0,
        queries: Count = 1,
        alpha: NonNegative = 0.602,
        gamma: NonNegative = 0.101,
        stability: UnitInterval = 0.1,
        units: Units = "scale",
    ) -> None:
        super().__init__(
            space,
            budget,
            seed,
            estimator=Antithetic(),
            law=Rademacher,
            queries=queries,
            sigma=sigma,
            lr=lr,
            units=units,
            step="sgd",
        )
        self.alpha, self.gamma = alpha, gamma
        self.offset = stability * (budget.total // (2 * queries))

    def sigma(self) -> float:
        return self.radius / math.pow(self.generation + 1, self.gamma)

    def rate(self) -> float:
        return self.lr * math.pow((1 + self.offset) / (self.generation + 1 + self.offset), self.alpha)

"""MeZO: memory-efficient zeroth-order optimisation."""

from __future__ import annotations

from algorithms.descent import Descent
from algorithms.estimators import Antithetic
from algorithms.options import Count, Positive, Units
from algorithms.steps import StepRule
from harness.core import Budget, Space, ranges


class MeZO(Descent):
    """Descend along ``g = 1/q sum_j (L(x + sigma u_j) - L(x - sigma u_j)) / (2 sigma) u_j``.

    u_j are normal, q = ``queries``, and the ``step`` rule is plain SGD with ``lr`` as published. The
    estimate is not normalised, so that lr has to suit the slope of the loss: E|g|^2 is about
    (d + q + 1)/q times the squared gradient. A pair with a failed evaluation counts its other side's
    loss when no other is known, and so does not move the center.

    The published values, with ``units=raw``: full tuning sigma 1e-3 and lr 1e-7..1e-5; LoRA sigma 1e-3 or
    1e-2 and lr 1e-5..1e-4; prefix sigma 1e-1 and lr 1e-3..1e-2; always one query, for 20,000 to 100,000
    steps. The defaults are for some hundred steps on a loss of order one, in units of scale.

    Args:
        sigma: radius of a perturbation.
        lr: learning rate.
        queries: directions per step, two evaluations each.
        step: ``sgd``, ``momentum``, ``adam``, ``sign``, ``normalised`` or ``clipup``.
        units: ``scale`` or ``raw``.

    ``best()`` is the center.

    Source: Malladi, Gao, Nichani, Damian, Lee, Chen & Arora, Fine-Tuning Language Models with Just
    Forward Passes, 2023.

    >>> from harness.core import Block
    >>> mezo = MeZO(Space([Block("x", (4,), "vector")]), Budget(100), seed=0)
    >>> asked = mezo.ask(remaining=100)
    >>> len(asked), asked.signs.tolist()
    (2, [1, -1])
    """

    family = "gradient estimators"
    source = "Malladi et al. 2023"
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
            estimator=Antithetic(),
            queries=queries,
            sigma=sigma,
            lr=lr,
            units=units,
            step=step,
        )

"""Augmented random search."""

from __future__ import annotations

from algorithms.descent import Descent
from algorithms.estimators import TopDirections
from algorithms.options import Pairs, Positive, Share, Units
from algorithms.steps import StepRule
from harness.core import Budget, Space, ranges


class ARS(Descent):
    """Random search along the best mirrored directions, in steps divided by the losses' deviation.

    Of q = population/2 pairs the b = ``kept`` q with the least ``min(L+, L-)`` are kept:
    ``x <- x - lr / (b s) sum_kept (L+ - L-) u``, where s is the standard deviation of their 2b losses.

    The states of the published method's environments have no counterpart here, so there is no V2. As the
    step is divided by s, which shrinks with sigma as the differences do, lr is a length: the step is about
    ``lr sqrt(2 d / b)`` long.

    Args:
        sigma: radius of a perturbation.
        lr: learning rate.
        population: members in a generation, in mirrored pairs (an odd one is rounded down).
        kept: share of the pairs that count.
        step: ``sgd``, ``momentum``, ``adam``, ``sign``, ``normalised`` or ``clipup``.
        units: ``scale`` or ``raw``.

    ``best()`` is the center.

    Source: Mania, Guy & Recht, Simple Random Search of Static Linear Policies is Competitive for
    Reinforcement Learning, 2018 (V1-t).

    >>> from harness.core import Block
    >>> ars = ARS(Space([Block("x", (4,), "vector")]), Budget(100), seed=0, population=8)
    >>> asked = ars.ask(remaining=100)
    >>> ars.tell(asked, ((asked.coordinates().double() - 1) ** 2).sum(1))
    >>> len(asked), bool(ars.center.parameters["x"].any())
    (8, True)
    """

    family = "evolution strategies"
    source = "Mania et al. 2018"
    search = ranges(sigma=(0.05, 5.0), lr=(0.015, 15.0))

    def __init__(
        self,
        space: Space,
        budget: Budget,
        seed: int,
        *,
        sigma: Positive = 0.5,
        lr: Positive = 0.5,
        population: Pairs = 20,
        kept: Share = 0.5,
        step: StepRule = "sgd",
        units: Units = "scale",
    ) -> None:
        super().__init__(
            space,
            budget,
            seed,
            estimator=TopDirections(kept),
            queries=population // 2,
            sigma=sigma,
            lr=lr,
            units=units,
            step=step,
        )

"""The evolution strategy of "Evolution Strategies at Scale"."""

from __future__ import annotations

from algorithms.descent import Descent
from algorithms.estimators import OnePoint
from algorithms.options import Pairs, Positive, Units
from algorithms.shaping import Shaping
from algorithms.steps import StepRule
from harness.core import Budget, Space, ranges


class ESAtScale(Descent):
    """Plain evolution strategy: independent normal directions, z-scored losses, no mirroring, Adam or decay.

    ``x <- x - lr/n sum_i z_i eps_i`` with z_i the z-score of member i's loss (a published reward is minus a
    loss). 1/sigma is absorbed in ``lr``, as published: dividing again would be a step 1/sigma times too
    large.

    The published values, with ``units=raw``: sigma 1e-3, lr 5e-4, population 30. The defaults of sigma and lr
    are for some ten generations in units of scale.

    Args:
        sigma: radius of a perturbation.
        lr: learning rate; the z-scored estimate has entries of about 1/sqrt(n).
        population: n, members in a generation.
        shaping: ``z-score``, ``centred-rank`` or ``raw``.
        step: ``sgd``, ``momentum``, ``adam``, ``sign``, ``normalised`` or ``clipup``.
        units: ``scale`` or ``raw``.

    ``best()`` is the center.

    Source: Qiu et al., Evolution Strategies at Scale: LLM Fine-Tuning Beyond Reinforcement Learning,
    arXiv 2509.24372, 2025.

    >>> from harness.core import Block
    >>> es = ESAtScale(Space([Block("x", (4,), "vector")]), Budget(100), seed=0)
    >>> asked = es.ask(remaining=100)
    >>> len(asked), asked.signs.unique().tolist()
    (30, [1])
    """

    family = "evolution strategies"
    source = "Qiu et al. 2025"
    search = ranges(sigma=(0.03, 3.0), lr=(0.05, 45.0))

    def __init__(
        self,
        space: Space,
        budget: Budget,
        seed: int,
        *,
        sigma: Positive = 0.3,
        lr: Positive = 1.5,
        population: Pairs = 30,
        shaping: Shaping = "z-score",
        step: StepRule = "sgd",
        units: Units = "scale",
    ) -> None:
        super().__init__(
            space,
            budget,
            seed,
            estimator=OnePoint(shaping),
            queries=population,
            sigma=sigma,
            lr=lr,
            units=units,
            step=step,
            absorbed=True,
        )

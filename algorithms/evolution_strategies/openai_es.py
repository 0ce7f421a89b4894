"""OpenAI's evolution strategy."""

from __future__ import annotations

from algorithms.descent import Descent
from algorithms.estimators import Antithetic
from algorithms.options import NonNegative, Pairs, Positive, Units
from algorithms.shaping import Shaping
from algorithms.steps import StepRule
from harness.core import Budget, Space, ranges


class OpenAIES(Descent):
    """Antithetic Gaussian evolution strategy with shaped losses, Adam and weight decay.

    ``g = 1/(n sigma) sum_i w_i s_i eps_i + decay z``, where w are the losses under ``shaping`` and
    s_i = +1, -1 the signs of the n = ``population`` mirrored members; then the ``step`` rule with ``lr``.

    The published values, with ``units=raw``: sigma .02, lr .01, and a decay of .25, since the published
    code leaves 1/sigma out of g and decays by .005. The defaults here are for some ten generations in
    units of scale.

    Args:
        sigma: radius of a perturbation.
        lr: of the step rule; with Adam about the change of a coordinate in one step.
        population: members in a generation, in mirrored pairs (an odd one is rounded down).
        decay: weight decay, to the start in units of scale and to zero in raw units.
        shaping: ``centred-rank``, ``z-score`` or ``raw``; with two pairs only raw keeps the scale of losses.
        step: ``adam``, ``sgd``, ``momentum``, ``sign``, ``normalised`` or ``clipup``.
        units: ``scale`` or ``raw``.

    ``best()`` is the center.

    Source: Salimans, Ho, Chen, Sidor & Sutskever, Evolution Strategies as a Scalable Alternative to
    Reinforcement Learning, 2017.

    >>> import torch
    >>> from harness.core import Block
    >>> es = OpenAIES(Space([Block("x", (4,), "vector")]), Budget(100), seed=0, population=6)
    >>> asked = es.ask(remaining=100)
    >>> asked.members.tolist(), asked.signs.tolist()
    ([0, 0, 1, 1, 2, 2], [1, -1, 1, -1, 1, -1])
    >>> es.tell(asked, (asked.coordinates().double() ** 2).sum(1))
    """

    family = "evolution strategies"
    source = "Salimans et al. 2017"
    search = ranges(sigma=(0.1, 10.0), lr=(0.015, 15.0))

    def __init__(
        self,
        space: Space,
        budget: Budget,
        seed: int,
        *,
        sigma: Positive = 1.0,
        lr: Positive = 0.5,
        population: Pairs = 20,
        decay: NonNegative = 0.005,
        shaping: Shaping = "centred-rank",
        step: StepRule = "adam",
        units: Units = "scale",
    ) -> None:
        super().__init__(
            space,
            budget,
            seed,
            estimator=Antithetic(shaping),
            queries=population // 2,
            sigma=sigma,
            lr=lr,
            units=units,
            step=step,
            decay=decay,
        )

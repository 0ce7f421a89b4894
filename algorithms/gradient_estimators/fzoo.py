"""FZOO: steps normalised by the deviation of the losses."""

from __future__ import annotations

from algorithms.gradient_estimators.zeroth_order import ZerothOrder
from algorithms.options import Pairs, Positive, Units
from algorithms.steps import StepRule
from harness.core import Budget, Space, ranges


class FZOO(ZerothOrder):
    """Descend along ``g = 1/(q s) sum_j (L(x + sigma u_j) - L(x)) u_j`` with random signs u.

    s is the (population) standard deviation of the q perturbed losses, so that a step's length does not
    depend on the loss's slope, as in normalised descent; 1/sigma is absorbed in ``lr``, as in the published
    code. A step costs q + 1 evaluations. The published code can also take part of the losses from the step
    before; this does not.

    The published values, with ``units=raw``: sigma 1e-4 or 1e-3, lr 1e-5 or 5e-5, eight queries.

    Args:
        sigma: radius of a perturbation.
        lr: learning rate.
        queries: q, directions per step, one evaluation each and one for the center; at least two.
        step: ``sgd``, ``momentum``, ``adam``, ``sign``, ``normalised`` or ``clipup``.
        units: ``scale`` or ``raw``.

    ``best()`` is the center.

    Source: Dang et al., FZOO: Fast Zeroth-Order Optimizer for Fine-Tuning Large Language Models towards
    Adam-Scale Speed, arXiv 2506.09034, 2025.

    >>> from harness.core import Block
    >>> search = FZOO(Space([Block("x", (4,), "vector")]), Budget(100), seed=0, sigma=0.5, queries=2)
    >>> search.ask(remaining=100).coordinates().abs().tolist()
    [[0.5, 0.5, 0.5, 0.5], [0.5, 0.5, 0.5, 0.5], [0.0, 0.0, 0.0, 0.0]]
    """

    source = "Dang et al. 2025"
    search = ranges(sigma=(0.05, 5.0), lr=(0.01, 9.0))
    smallest_budget = 3

    def __init__(
        self,
        space: Space,
        budget: Budget,
        seed: int,
        *,
        sigma: Positive = 0.5,
        lr: Positive = 0.3,
        queries: Pairs = 8,
        step: StepRule = "sgd",
        units: Units = "scale",
    ) -> None:
        super().__init__(
            space,
            budget,
            seed,
            estimator="standardised",
            direction="rademacher",
            queries=queries,
            sigma=sigma,
            lr=lr,
            step=step,
            units=units,
        )

"""One-point estimates with residual feedback."""

from __future__ import annotations

from algorithms.gradient_estimators.zeroth_order import ZerothOrder
from algorithms.options import Count, Positive, Units
from algorithms.steps import StepRule
from harness.core import Budget, Space, ranges


class ResidualFeedback(ZerothOrder):
    """Descend along ``g_t = (L(x_t + sigma u_t) - L(x_{t-1} + sigma u_{t-1})) / sigma u_t``, u normal.

    One evaluation per step: the loss of the step before is the baseline, and the first step moves nothing.
    As u_t is independent of that loss, g is on average the gradient of the smoothed L. With q queries, an
    extension, the baseline is the mean loss of the step before, and g the mean over the q directions. Where
    each step has a minibatch of its own, their difference is in the residual.

    Args:
        sigma: radius of a perturbation.
        lr: learning rate.
        queries: q, directions per step, one evaluation each.
        step: ``sgd``, ``momentum``, ``adam``, ``sign``, ``normalised`` or ``clipup``.
        units: ``scale`` or ``raw``.

    ``best()`` is the center.

    Source: Zhang, Zhou, Ji & Zavlanos, A New One-Point Residual-Feedback Oracle for Black-Box Learning and
    Control, 2022.

    >>> import torch
    >>> from harness.core import Block
    >>> search = ResidualFeedback(Space([Block("x", (4,), "vector")]), Budget(100), seed=0)
    >>> for loss in (3.0, 3.0):
    ...     search.tell(search.ask(remaining=100), torch.tensor([loss]))
    >>> search.best().coordinates().tolist()
    [[0.0, 0.0, 0.0, 0.0]]
    """

    source = "Zhang et al. 2022"
    search = ranges(sigma=(0.1, 10.0), lr=(0.01, 9.0))

    def __init__(
        self,
        space: Space,
        budget: Budget,
        seed: int,
        *,
        sigma: Positive = 1.0,
        lr: Positive = 0.3,
        queries: Count = 1,
        step: StepRule = "sgd",
        units: Units = "scale",
    ) -> None:
        super().__init__(
            space,
            budget,
            seed,
            estimator="residual",
            direction="gaussian",
            queries=queries,
            sigma=sigma,
            lr=lr,
            step=step,
            units=units,
        )

"""Adam, a first-order reference."""

from __future__ import annotations

from algorithms.first_order.descent import FirstOrder
from algorithms.options import Fraction, Positive
from algorithms.steps import Adam as AdamStep
from harness.core import Budget, Space, ranges


class Adam(FirstOrder):
    """Gradient descent with Adam on the coordinates z; a marked reference that sees gradients.

    ``m <- beta1 m + (1 - beta1) g``, ``v <- beta2 v + (1 - beta2) g^2``,
    ``z <- z - lr m/(1 - beta1^t) / (sqrt(v/(1 - beta2^t)) + 1e-8)``. A gradient costs as much as three
    evaluations. A step whose gradient is not finite is left out.

    Args:
        lr: about the change of a coordinate in one step, in units of scale.
        beta1: decay of the mean.
        beta2: decay of the mean square.

    ``best()`` is the current point.

    Source: Kingma & Ba, Adam: A Method for Stochastic Optimization, 2015.

    >>> import torch
    >>> from harness.core import Block
    >>> adam = Adam(Space([Block("x", (2,), "vector")]), Budget(30), seed=0, lr=0.5)
    >>> asked = adam.ask(remaining=30)
    >>> adam.tell(asked, torch.ones(1), gradients=torch.tensor([[3.0, -0.1]]))
    >>> adam.best().values.round(decimals=5)
    tensor([[-0.5000,  0.5000]])
    """

    source = "Kingma & Ba 2015"
    search = ranges(lr=(0.001, 0.9))

    def __init__(
        self,
        space: Space,
        budget: Budget,
        seed: int,
        *,
        lr: Positive = 0.03,
        beta1: Fraction = 0.9,
        beta2: Fraction = 0.999,
    ) -> None:
        super().__init__(space, budget, seed, lr=lr, step=AdamStep(beta1, beta2))

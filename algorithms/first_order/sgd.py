"""Stochastic gradient descent, a first-order reference."""

from __future__ import annotations

from algorithms.first_order.descent import FirstOrder
from algorithms.options import Fraction, Positive
from algorithms.steps import Momentum, step_rule
from harness.core import Budget, Space, ranges


class SGD(FirstOrder):
    """Gradient descent on the coordinates z; a marked reference that sees gradients.

    ``m <- momentum m + g``, ``z <- z - lr m``. A gradient costs as much as three evaluations. A step whose
    gradient is not finite is left out.

    Args:
        lr: change of a coordinate, in units of scale, for a gradient of one.
        momentum: decay of m; 0 for plain gradient descent.

    ``best()`` is the current point.

    Source: Robbins & Monro, A Stochastic Approximation Method, 1951; momentum: Polyak, Some Methods of
    Speeding Up the Convergence of Iteration Methods, 1964.

    >>> import torch
    >>> from harness.core import Block
    >>> sgd = SGD(Space([Block("x", (2,), "vector")]), Budget(30), seed=0, lr=0.5, momentum=0.5)
    >>> for _ in range(2):
    ...     sgd.tell(sgd.ask(remaining=30), torch.ones(1), gradients=torch.tensor([[1.0, -2.0]]))
    >>> sgd.best().values
    tensor([[-1.2500,  2.5000]])
    """

    source = "Robbins & Monro 1951"
    search = ranges(lr=(0.003, 3.0))

    def __init__(
        self,
        space: Space,
        budget: Budget,
        seed: int,
        *,
        lr: Positive = 0.1,
        momentum: Fraction = 0.9,
    ) -> None:
        step = Momentum(momentum) if momentum else step_rule("sgd")
        super().__init__(space, budget, seed, lr=lr, step=step)

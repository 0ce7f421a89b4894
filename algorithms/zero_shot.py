"""No tuning at all."""

from __future__ import annotations

from torch import Tensor

from harness.core import Algorithm, Budget, Population, Space


class ZeroShot(Algorithm):
    """The untouched model: asks nothing and spends nothing. A marked reference.

    >>> from harness.core import Block
    >>> untouched = ZeroShot(Space([Block("x", (2,), "vector")]), Budget(20), seed=0)
    >>> untouched.ask(remaining=20) is None, untouched.best() is None
    (True, True)
    """

    family = "references"
    reference = True
    smallest_budget = 0

    def __init__(self, space: Space, budget: Budget, seed: int) -> None:
        super().__init__(space, budget, seed)

    def ask(self, remaining: int) -> None:
        return None

    def tell(self, population: Population, losses: Tensor, gradients: Tensor | None = None) -> None:
        raise ValueError("zero-shot asks for nothing, so there is nothing to tell it")

    def best(self) -> None:
        return None

"""No tuning at all."""

from __future__ import annotations

from algorithms.references.reference import Reference
from harness.core import Budget, Space


class ZeroShot(Reference):
    """The untouched model: asks nothing and spends nothing. A marked reference.

    >>> from harness.core import Block
    >>> untouched = ZeroShot(Space([Block("x", (2,), "vector")]), Budget(20), seed=0)
    >>> untouched.ask(remaining=20) is None, untouched.best() is None
    (True, True)
    """

    def __init__(self, space: Space, budget: Budget, seed: int) -> None:
        super().__init__(space, budget, seed)

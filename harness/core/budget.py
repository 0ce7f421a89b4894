"""How much a run may spend, in candidate evaluations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from harness.core.population import Gradients, Population


@dataclass
class Budget:
    """Counts candidate evaluations. The runner spends it; algorithms only read it.

    Args:
        total: candidate evaluations, positive. A candidate evaluated on one minibatch is one evaluation;
            a gradient counts ``GRADIENT_PRICE`` (a backward pass costs two forwards).

    >>> budget = Budget(10)
    >>> budget.spend(4)
    >>> budget.remaining
    6
    >>> import torch
    >>> Budget.price(Gradients(torch.zeros(2, 5)))
    6
    """

    GRADIENT_PRICE: ClassVar[int] = 3

    total: int
    spent: int = 0

    def __post_init__(self) -> None:
        if self.total < 1:
            raise ValueError(f"a budget must be positive, got {self.total}")

    @property
    def remaining(self) -> int:
        """Evaluations left."""
        return self.total - self.spent

    def spend(self, evaluations: int) -> None:
        """Take evaluations off; raises ValueError when more are asked for than remain."""
        if evaluations > self.remaining:
            raise ValueError(f"{evaluations} evaluations asked for, {self.remaining} remain")
        self.spent += evaluations

    @classmethod
    def price(cls, population: Population) -> int:
        """What evaluating a population costs, in evaluations."""
        return len(population) * (cls.GRADIENT_PRICE if isinstance(population, Gradients) else 1)

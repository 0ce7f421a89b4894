"""What all references have in common that tune nothing."""

from __future__ import annotations

from torch import Tensor

from harness.core import Algorithm, Untuned


class Reference(Algorithm):
    """Asks nothing, spends nothing, and reports its way of answering without tuning."""

    family = "references"
    reference = True
    smallest_budget = 0

    def ask(self, remaining: int) -> None:
        return None

    def tell(self, population: object, losses: Tensor, gradients: Tensor | None = None) -> None:
        raise ValueError(f"{type(self).__name__} asks for nothing, so there is nothing to tell it")

    def best(self) -> Untuned | None:
        return self.untuned

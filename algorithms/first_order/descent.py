"""The one loop of the first-order references: a gradient, and a step along it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from algorithms.steps import Step
from harness.core import Algorithm, Budget, Gradients, Points, Population, Space


class FirstOrder(Algorithm):
    """Descend along the gradient with respect to the coordinates z, by a step rule.

    A gradient costs as much as three evaluations. A step whose gradient is not finite is left out.

    Args:
        lr: of the step rule.
        step: the step rule.
    """

    family = "references"
    reference = True
    needs_gradient = True
    largest_dimension = 100_000_000
    smallest_budget = Budget.GRADIENT_PRICE

    def __init__(self, space: Space, budget: Budget, seed: int, *, lr: float, step: Step) -> None:
        super().__init__(space, budget, seed)
        self.lr = lr
        self.step = step
        self.current = torch.zeros(space.size, device=space.device)

    def ask(self, remaining: int) -> Gradients | None:
        if remaining < Budget.GRADIENT_PRICE:
            return None
        return Gradients(self.current.clone()[None])

    def tell(self, population: Population, losses: Tensor, gradients: Tensor | None = None) -> None:
        if gradients is None:
            raise ValueError("a first-order method asked for gradients and was told none")
        gradient = gradients[0].to(self.current)
        if bool(gradient.isfinite().all()):
            self.current += self.step.whole(gradient, self.lr)

    def best(self) -> Points:
        return Points(self.current.clone()[None])

    def state(self) -> dict[str, Any]:
        return {"current": self.current.clone(), "step": self.step.state()}

    def load_state(self, state: dict[str, Any]) -> None:
        self.current = state["current"].clone()
        self.step.load_state(state["step"])

"""Forward gradient: the derivative along one random direction."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from algorithms.gradient_estimators.zeroth_order import law
from algorithms.options import Positive
from algorithms.steps import StepRule, step_rule
from harness.core import Algorithm, Budget, Gradients, Points, Population, Space, ranges


class ForwardGradient(Algorithm):
    """Descend along ``g = (grad L . v) v``: what a forward-mode derivative gives; a marked reference.

    It is what two-point estimates tend to as sigma goes to 0, with no cancellation and no bias:
    ``E|g|^2`` is d + 2 times the squared gradient for normal v. A forward-mode pass is what the method needs;
    here grad L . v is taken of a gradient, which is asked and paid for as one, three evaluations.

    Args:
        lr: learning rate.
        direction: law of v: ``gaussian``, ``rademacher`` or ``sphere``, of length sqrt(d).
        step: ``sgd``, ``momentum``, ``adam``, ``sign``, ``normalised`` or ``clipup``.

    ``best()`` is the current point.

    Source: Baydin, Pearlmutter, Syme, Wood & Torr, Gradients without Backpropagation, arXiv 2202.08587, 2022.

    >>> from harness.core import Block
    >>> space = Space([Block("x", (1,), "vector")])
    >>> search = ForwardGradient(space, Budget(9), seed=0, direction="rademacher", lr=0.5)
    >>> search.tell(search.ask(remaining=9), torch.ones(1), gradients=torch.tensor([[3.0]]))
    >>> search.best().values
    tensor([[-1.5000]])
    """

    family = "references"
    source = "Baydin et al. 2022"
    search = ranges(lr=(0.03, 30.0))
    reference = True
    needs_gradient = True
    largest_dimension = 100_000_000
    smallest_budget = Budget.GRADIENT_PRICE

    def __init__(
        self,
        space: Space,
        budget: Budget,
        seed: int,
        *,
        lr: Positive = 1.0,
        direction: Literal["gaussian", "rademacher", "sphere"] = "gaussian",
        step: StepRule = "sgd",
    ) -> None:
        super().__init__(space, budget, seed)
        self.lr, self.law, self.step = lr, law(direction, rank=1, hold=1), step_rule(step)
        self.current = torch.zeros(space.size, device=space.device)
        self.generation = 0

    def ask(self, remaining: int) -> Gradients | None:
        if remaining < Budget.GRADIENT_PRICE:
            return None
        return Gradients(self.current.clone()[None])

    def tell(self, population: Population, losses: Tensor, gradients: Tensor | None = None) -> None:
        if gradients is None:
            raise ValueError("forward-gradient asked for gradients and was told none")
        noise = self.law(self.space, self.seed, self.generation)
        direction = torch.cat([noise.draw(0, block.name).flatten() for block in self.space.blocks])
        gradient = gradients[0].to(self.current)
        if bool(gradient.isfinite().all()):
            self.current += self.step.whole(torch.dot(gradient, direction) * direction, self.lr)
        self.generation += 1

    def best(self) -> Points:
        return Points(self.current.clone()[None])

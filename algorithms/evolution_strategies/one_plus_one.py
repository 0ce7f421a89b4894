"""The (1+1) evolution strategy with the one-fifth success rule."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from algorithms.evolution_strategies.natural import LARGEST, SMALLEST
from algorithms.options import Positive
from harness.core import Algorithm, Budget, Points, Population, Space, ranges


class OnePlusOne(Algorithm):
    """One parent, one child ``parent + sigma N(0, I)``; the better of the two is the next parent.

    When the child is better sigma is multiplied by ``exp(0.8/s)``, when it is worse by ``exp(-0.2/s)``, with
    the damping ``s = sqrt(d + 1)``: sigma stays where one child in five succeeds. When neither is better (a
    tie, or both failed) nothing changes.

    As each ask is evaluated on its own minibatch, the parent is evaluated anew beside its child, at two
    evaluations per step, unless ``reevaluate`` is off: then the parent keeps the loss that it was chosen by,
    which is right for a loss without noise, and a step costs one evaluation (the first one two).

    Args:
        sigma: initial step size, in units of scale.
        reevaluate: whether the parent is evaluated anew beside each child (counted).

    ``best()`` is the parent.

    Source: Hansen, Arnold & Auger, Evolution Strategies, 2015.

    >>> from harness.core import Block
    >>> es = OnePlusOne(Space([Block("x", (3,), "vector")]), Budget(100), seed=0)
    >>> asked = es.ask(remaining=100)
    >>> es.tell(asked, torch.tensor([1.0, 0.5]).double())
    >>> len(asked), bool((es.best().values == asked.values[1]).all()), round(es.sigma, 4)
    (2, True, 1.4918)
    """

    family = "evolution strategies"
    source = "Hansen, Arnold & Auger 2015"
    search = ranges(sigma=(0.1, 10.0))
    largest_dimension = 100_000_000
    smallest_budget = 2

    def __init__(
        self, space: Space, budget: Budget, seed: int, *, sigma: Positive = 1.0, reevaluate: bool = True
    ) -> None:
        super().__init__(space, budget, seed)
        self.generator = torch.Generator(space.device).manual_seed(seed)
        self.sigma, self.reevaluate = float(sigma), reevaluate
        self.damping = math.sqrt(space.size + 1)
        self.parent = torch.zeros(space.size, device=space.device)
        # Of the parent, where its loss is kept.
        self._evaluated, self._loss = False, math.inf

    def ask(self, remaining: int) -> Points | None:
        both = not self._evaluated
        if remaining < 1 + both:
            return None
        values = self.parent.repeat(1 + both, 1)
        draw = torch.randn(self.space.size, generator=self.generator, device=values.device)
        values[-1].add_(draw, alpha=self.sigma)
        return Points(values)

    def tell(self, population: Population, losses: Tensor, gradients: Tensor | None = None) -> None:
        assert isinstance(population, Points)
        told = [math.inf if math.isnan(loss) else loss for loss in losses.tolist()]
        parent, child = told if len(told) == 2 else (self._loss, told[0])
        if child != parent:
            change = (0.8 if child < parent else -0.2) / self.damping
            self.sigma = min(max(self.sigma * math.exp(change), SMALLEST), LARGEST)
        if child < parent:
            self.parent = population.values[-1].clone()
        if not self.reevaluate:
            self._evaluated, self._loss = True, min(parent, child)

    def best(self) -> Points:
        return Points(self.parent.clone()[None])

    def state(self) -> dict[str, Any]:
        return {
            "parent": self.parent.clone(),
            "sigma": self.sigma,
            "evaluated": self._evaluated,
            "loss": self._loss,
            "generator": self.generator.get_state(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        self.parent, self.sigma = state["parent"].clone(), state["sigma"]
        self._evaluated, self._loss = state["evaluated"], state["loss"]
        self.generator.set_state(state["generator"])

"""Finite differences along coordinate axes."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from algorithms.options import Count, Positive, chosen
from algorithms.shaping import finite, informative
from algorithms.steps import StepRule, step_rule
from harness.core import Algorithm, Budget, Points, Population, Space, ranges

Scheme = Literal["forward", "central"]


class FiniteDifference(Algorithm):
    """Gradient descent on differences along s = ``coordinates`` axes, drawn anew for every step.

    ``forward``: ``(L(z + sigma e_i) - L(z)) / sigma``, s + 1 evaluations, bias O(sigma). ``central``:
    ``(L(z + sigma e_i) - L(z - sigma e_i)) / (2 sigma)``, 2s evaluations, exact on quadratics. Where s < d
    the estimate is multiplied by d/s, so that it is right on average. With s = d or more all axes
    are used: the full gradient. A shorter last generation keeps the factor d/s: it is a shorter step.

    Args:
        scheme: ``forward`` or ``central``.
        coordinates: axes per step, at most d of them.
        sigma: distance along an axis, in units of scale.
        lr: learning rate. One axis moves the loss far less than a dense direction of the same sigma, and
            a step on s axes of d has d/s times the gradient's squared length: lr grows with s.
        step: ``sgd``, ``momentum``, ``adam``, ``sign``, ``normalised`` or ``clipup``.

    ``best()`` is the current point.

    Source: Kiefer & Wolfowitz, Stochastic Estimation of the Maximum of a Regression Function, 1952; random
    coordinates: Nesterov, Efficiency of Coordinate Descent Methods on Huge-Scale Optimization Problems, 2012.

    >>> from harness.core import Block
    >>> space = Space([Block("x", (3,), "vector")])
    >>> descent = FiniteDifference(space, Budget(100), seed=0, coordinates=3, lr=0.5)
    >>> asked = descent.ask(remaining=100)
    >>> descent.tell(asked, ((asked.values.double() - 1) ** 2).sum(1))
    >>> descent.best().values
    tensor([[1., 1., 1.]])
    """

    family = "gradient estimators"
    source = "Kiefer & Wolfowitz 1952"
    search = ranges(sigma=(0.1, 10.0), lr=(0.15, 150.0))
    largest_dimension = 10_000_000
    smallest_budget = 2

    def __init__(
        self,
        space: Space,
        budget: Budget,
        seed: int,
        *,
        scheme: Scheme = "central",
        coordinates: Count = 10,
        sigma: Positive = 1.0,
        lr: Positive = 5.0,
        step: StepRule = "sgd",
    ) -> None:
        super().__init__(space, budget, seed)
        self.scheme, self.sigma, self.lr = scheme, sigma, lr
        self.coordinates = min(coordinates, space.size)
        self.step = step_rule(step)
        self.current = torch.zeros(space.size, dtype=torch.float64, device=space.device)
        self._axes = torch.zeros(0, dtype=torch.int64)

    @classmethod
    def misfit(cls, dimension: int, budget: int, **options: Any) -> str | None:
        axes = min(chosen(cls, options, "coordinates"), dimension)
        price = axes + 1 if chosen(cls, options, "scheme") == "forward" else 2 * axes
        if price > budget:
            return (
                f"one step along {axes:,} coordinates costs {price:,} evaluations of a budget of {budget:,}"
            )
        return super().misfit(dimension, budget)

    def ask(self, remaining: int) -> Points | None:
        central = self.scheme == "central"
        affordable = remaining // 2 if central else remaining - 1
        if affordable < 1:
            return None
        self._axes = torch.randperm(self.space.size, generator=self.generator)[
            : min(self.coordinates, affordable)
        ].to(self.space.device)
        count = len(self._axes)
        values = self.current.float().repeat(2 * count if central else count + 1, 1)
        row = torch.arange(count, device=values.device)
        values[row, self._axes] += self.sigma
        if central:
            values[count + row, self._axes] -= self.sigma
        return Points(values)

    def tell(self, population: Population, losses: Tensor, gradients: Tensor | None = None) -> None:
        if not informative(losses):
            return
        clean, count = finite(losses).to(self.current.device), len(self._axes)
        # The last of a forward generation is the current point itself.
        apart = 2 * self.sigma if self.scheme == "central" else self.sigma
        slopes = (clean[:count] - clean[count:]) / apart
        gradient = torch.zeros_like(self.current)
        gradient[self._axes] = slopes * self.space.size / self.coordinates
        self.current += self.step.whole(gradient, self.lr)

    def best(self) -> Points:
        return Points(self.current.float()[None])

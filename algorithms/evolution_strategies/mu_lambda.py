"""The (mu, lambda) and (mu + lambda) evolution strategies with self-adapted step sizes."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from algorithms.options import Count, Pairs, Positive, generation_size
from algorithms.shaping import informative, log_rank_weights, ranks
from harness.core import Algorithm, Budget, Points, Population, Space, ranges


class MuLambda(Algorithm):
    """Initialise, evaluate, select parents, mutate, and again until the budget is spent.

    An offspring takes over its origin's step sizes s and point z, and mutates both (the log-normal rule):
    ``s_k <- s_k exp(tau0 N + tau N_k)``, ``z_k <- z_k + s_k N'_k`` with tau0 = 1/sqrt(2d) shared by all
    coordinates and tau = 1/sqrt(2 sqrt d) for each. The mu = ``parents`` best survive:

    - ``selection=comma``, (mu/mu_w, lambda): only offspring survive. The origin of all offspring is the
      parents' mean with weights proportional to ln(mu + 1/2) - ln(rank) (of s the mean logarithm).
    - ``selection=plus``, (mu + lambda): parents compete with their offspring, and each offspring comes from
      one parent drawn at random. As losses of different generations are taken on different minibatches,
      parents are evaluated anew in each generation, unless ``reevaluate`` is off.

    The last generation takes up to half a population more or less, so that the budget is spent.

    Args:
        selection: ``comma`` or ``plus``.
        population: lambda, offspring in a generation.
        parents: mu; None for lambda/4.
        sigma: initial step size of every coordinate, in units of scale.
        reevaluate: whether plus selection evaluates its parents anew (counted).

    ``best()`` is the weighted mean under comma selection, the best parent under plus selection.

    Source: Beyer & Schwefel, Evolution Strategies: A Comprehensive Introduction, 2002.

    >>> from harness.core import Block
    >>> es = MuLambda(Space([Block("x", (4,), "vector")]), Budget(100), seed=0, population=8)
    >>> asked = es.ask(remaining=100)
    >>> es.tell(asked, (asked.values.double() ** 2).sum(1))
    >>> es.parents.shape
    torch.Size([2, 4])
    """

    family = "evolution strategies"
    source = "Beyer & Schwefel 2002"
    search = ranges(sigma=(0.1, 10.0))
    largest_dimension = 10_000_000
    smallest_budget = 2

    def __init__(
        self,
        space: Space,
        budget: Budget,
        seed: int,
        *,
        selection: Literal["comma", "plus"] = "comma",
        population: Pairs = 20,
        parents: Count | None = None,
        sigma: Positive = 1.0,
        reevaluate: bool = True,
    ) -> None:
        super().__init__(space, budget, seed)
        self.plus = selection == "plus"
        self.population, self.reevaluate = population, reevaluate
        self.mu = min(parents or max(1, population // 4), population)
        # Of a single parent, the start: every offspring of the first generation comes from it.
        self.parents = torch.zeros(1, space.size)
        self.deviations = torch.full((1, space.size), float(sigma))
        self._parent_losses = torch.full((1,), torch.inf, dtype=torch.float64)
        self._points = torch.zeros(0, space.size)
        self._steps = torch.zeros(0, space.size)

    def ask(self, remaining: int) -> Points | None:
        again = len(self.parents) if self.plus and self.reevaluate else 0
        offspring = generation_size(self.population, remaining - again)
        if offspring < 1:
            return None
        d = self.space.size
        if self.plus:
            origin = torch.randint(len(self.parents), (offspring,), generator=self.generator)
            points, steps = self.parents[origin], self.deviations[origin]
        else:
            points, steps = (part.expand(offspring, d) for part in self._recombined())
        common = torch.randn(offspring, 1, generator=self.generator) / math.sqrt(2 * d)
        own = torch.randn(offspring, d, generator=self.generator) / math.sqrt(2 * math.sqrt(d))
        steps = steps * (common + own).exp()
        points = points + steps * torch.randn(offspring, d, generator=self.generator)
        self._points = torch.cat([self.parents[:again], points])
        self._steps = torch.cat([self.deviations[:again], steps])
        return Points(self._points.to(self.space.device, copy=True))

    def tell(self, population: Population, losses: Tensor, gradients: Tensor | None = None) -> None:
        points, steps = self._points, self._steps
        if self.plus and not self.reevaluate:
            points, steps = torch.cat([self.parents, points]), torch.cat([self.deviations, steps])
            losses = torch.cat([self._parent_losses, losses])
        if not informative(losses):
            return
        kept = ranks(losses).argsort(stable=True)[: self.mu]
        self.parents, self.deviations, self._parent_losses = points[kept], steps[kept], losses[kept]

    def best(self) -> Points:
        point = self.parents[:1] if self.plus else self._recombined()[0]
        return Points(point.to(self.space.device, copy=True))

    def _recombined(self) -> tuple[Tensor, Tensor]:
        """The parents' weighted mean ``[1, d]``, and the weighted geometric mean of their step sizes."""
        weights = log_rank_weights(len(self.parents))
        return (weights @ self.parents)[None], (weights @ self.deviations.log()).exp()[None]

"""Template, a first version to be changed: a hill climber that adapts its step."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from harness import Algorithm, Budget, Points, Population, Space


class Template(Algorithm):
    """Draw points around the best one so far; farther away after a success, nearer after a failure.

    Args:
        sigma: standard deviation of the first points, in units of scale.
        population: points evaluated together.

    ``best()`` is the point of least loss; as each is evaluated once, that loss is biased under noise.

    >>> from harness import Block
    >>> search = Template(Space([Block("x", (2,), "vector")]), Budget(20), seed=0, population=4)
    >>> len(search.ask(remaining=20))
    4
    """

    family = "hill climbing"
    source = "this package"

    def __init__(
        self,
        space: Space,
        budget: Budget,
        seed: int,
        *,
        sigma: Annotated[float, Field(gt=0)] = 1.0,
        population: Annotated[int, Field(ge=1)] = 10,
    ) -> None:
        super().__init__(space, budget, seed)
        self.sigma = sigma
        self.population = population
        self.lowest = math.inf
        self.found = torch.zeros(1, space.size, device=space.device)

    def ask(self, remaining: int) -> Points | None:
        """A generation that fits into what remains of the budget; None when nothing is left."""
        count = min(self.population, remaining)
        if count < 1:
            return None
        draws = torch.randn(count, self.space.size, generator=self.generator)
        return Points(self.found + self.sigma * draws.to(self.space.device))

    def tell(self, population: Population, losses: Tensor, gradients: Tensor | None = None) -> None:
        """Losses are float64 [n], lower is better, nan where an evaluation failed."""
        assert isinstance(population, Points)
        losses = losses.nan_to_num(nan=math.inf, posinf=math.inf, neginf=-math.inf)
        least = int(losses.argmin())
        if float(losses[least]) < self.lowest:
            self.lowest, self.found = float(losses[least]), population.values[least : least + 1].clone()
            self.sigma *= 1.2
        else:
            self.sigma *= 0.7

    def best(self) -> Points:
        """What would be reported now: the start, until losses are known."""
        return Points(self.found)

"""What the relatives of CMA-ES share: a normal distribution that is sampled, ranked and moved."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor

from algorithms.options import chosen, default_population, generation_size
from algorithms.shaping import informative
from harness.core import Algorithm, Budget, Points, Population, Space

_BOUND = 1e30


class NormalSearch(Algorithm):
    """Asks for ``mean + sigma * A z``, ``z ~ N(0, I)``, and moves mean, sigma and A by the losses' ranks.

    A subclass says what A is, and how a generation moves it. All numbers are float64 on the space's device,
    where the draws are made too; points are handed out in float32. The last generation takes up to half a
    population more or less, with the constants of its own size; it is left out if smaller. A generation of
    equal or of failed losses alone changes nothing.

    When a standard deviation grows beyond 1e30 times the first one, or a number is not finite any more,
    the search starts again from its mean with the first sigma; sigma is held above 1e-30 times the first.

    Args:
        space: what is searched.
        budget: not read.
        seed: of the draws.
        sigma: the first step size, in units of scale.
        population: candidates in a generation; None for 4 + floor(3 ln d).
    """

    family = "evolution strategies"
    smallest_budget = 2
    multiple: ClassVar[int] = 1
    """A generation is a multiple of so many candidates."""
    kept: ClassVar[tuple[str, ...]] = ()
    """Attributes, tensors and numbers, that a snapshot holds besides mean, sigma and draws."""

    def __init__(
        self, space: Space, budget: Budget, seed: int, *, sigma: float, population: int | None
    ) -> None:
        super().__init__(space, budget, seed)
        self.generator = torch.Generator(device=space.device).manual_seed(seed)
        self.population = self._population(space.size, population)
        self.first_sigma = self.sigma = float(sigma)
        self.mean = self._zeros(space.size)
        self._draws = self._zeros(0, space.size)
        self._begin()

    @classmethod
    def misfit(cls, dimension: int, budget: int, **options: Any) -> str | None:
        population = cls._population(dimension, chosen(cls, options, "population"))
        if population > budget:
            return f"a budget of {budget} is under one population of {population}"
        return super().misfit(dimension, budget)

    def ask(self, remaining: int) -> Points | None:
        size = generation_size(self.population, remaining)
        if size < max(2, self.population / 2):
            return None
        self._draws = self._draw(size - size % self.multiple)
        steps = self._transformed(self._draws)
        self._keep(steps)
        return Points((self.mean + self.sigma * steps).float())

    def tell(self, population: Population, losses: Tensor, gradients: Tensor | None = None) -> None:
        if informative(losses):
            self._move(losses)
        self._draws = self._zeros(0, self.space.size)
        self._keep(self._draws)

    def best(self) -> Points:
        return Points(self.mean.float()[None])

    def state(self) -> dict[str, Any]:
        """The generator's state, and copies of all numbers; also right between an ask and its tell."""
        values = {name: getattr(self, name) for name in (*self.kept, "mean", "sigma", "_draws")}
        copies = {name: v.clone() if isinstance(v, Tensor) else v for name, v in values.items()}
        return {"generator": self.generator.get_state(), **copies}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take up a snapshot, made on any device of the same kind."""
        self.generator.set_state(state["generator"])
        for name in (*self.kept, "mean", "sigma", "_draws"):
            value = state[name]
            setattr(
                self, name, value.to(self.space.device, copy=True) if isinstance(value, Tensor) else value
            )

    @abstractmethod
    def _begin(self) -> None:
        """Make A and the paths what they are at the start."""

    @abstractmethod
    def _transformed(self, draws: Tensor) -> Tensor:
        """``A z`` for draws ``[n, d]``."""

    def _keep(self, steps: Tensor) -> None:
        """Hold ``A z`` of the members ``[n, d]`` that are asked for, for their update."""

    @abstractmethod
    def _update(self, draws: Tensor, losses: Tensor) -> None:
        """Move mean, sigma and A; the losses tell something."""

    @abstractmethod
    def _spread(self) -> float:
        """The largest standard deviation of a coordinate, or a bound of it; not finite where A is not."""

    def _move(self, losses: Tensor) -> None:
        """Update, and start again where that led out of all bounds."""
        before = self.mean
        self._update(self._draws, losses)
        if not (math.isfinite(float(self.mean.sum())) and self._spread() <= _BOUND * self.first_sigma):
            self.mean = self.mean if bool(self.mean.isfinite().all()) else before
            self.sigma = self.first_sigma
            self._begin()
        self.sigma = max(self.sigma, self.first_sigma / _BOUND)

    def _draw(self, size: int) -> Tensor:
        # Drawn in float32: twice as fast, and its granularity is far below what ranks can tell.
        shape = (size, self.space.size)
        return torch.randn(shape, generator=self.generator, device=self.space.device).double()

    def _zeros(self, *shape: int) -> Tensor:
        return torch.zeros(shape, dtype=torch.float64, device=self.space.device)

    @classmethod
    def _population(cls, dimension: int, given: int | None) -> int:
        population = given or default_population(dimension)
        return population + -population % cls.multiple

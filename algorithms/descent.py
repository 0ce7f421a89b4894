"""The one loop of OpenAI-ES, EGGROLL, MeZO, SPSA and their kin: directions, an estimator, a step."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

import torch
from torch import Tensor

from algorithms.center import Center
from algorithms.estimators import Estimator
from algorithms.options import Units, generation_size
from algorithms.steps import StepRule, step_rule
from harness.core import (
    Algorithm,
    Budget,
    Gaussian,
    Noise,
    Perturbations,
    Population,
    Range,
    Space,
    UserError,
)

_LARGEST = 1e30  # of a weight, so that a step stays within float32
Law = Callable[[Space, int, int], Noise]
"""A law of directions, given a space, a seed and a generation."""


class Descent(Algorithm):
    """Estimate a gradient ``g = sum_j w_j u_j`` around a center, and move the center by a step rule.

    Nothing of the space's size is kept but the center and the step rule's buffers: directions are drawn
    again by row ranges for the step. A subclass chooses the parts, and may let sigma and lr vary.

    Args:
        estimator: gives the members of a generation and their directions' weights w.
        law: of the directions u.
        queries: q, directions in a generation; half as many more or less in the last one.
        sigma: radius of a perturbation.
        lr: of the step rule.
        units: ``scale`` (of each block) or ``raw``.
        step: the step rule.
        decay: pulls the coordinates (in raw units the parameters) to zero, added to g.
        absorbed: leave 1/sigma out of g, as in publications that take it into lr.
    """

    smallest_budget = 2

    def __init__(
        self,
        space: Space,
        budget: Budget,
        seed: int,
        *,
        estimator: Estimator,
        law: Law = Gaussian,
        queries: int,
        sigma: float,
        lr: float,
        units: Units,
        step: StepRule,
        decay: float = 0.0,
        absorbed: bool = False,
    ) -> None:
        super().__init__(space, budget, seed)
        if decay and space.in_place and units == "scale":
            raise UserError("weights moved in place decay to zero, not to a start: use units=raw, or decay=0")
        self.estimator, self.law = estimator, law
        self.queries = max(queries, estimator.fewest)
        self.radius, self.lr = sigma, lr
        self.decay, self.absorbed = decay, absorbed
        self.center = Center(space, units, seed)
        self.step = step_rule(step)
        self.generation = 0
        self._relative: dict[str, float | Tensor] = {}

    @classmethod
    def searched(cls, **options: Any) -> Mapping[str, Range]:
        # The ranges are in units of scale: raw values are a publication's, and stay.
        return {} if options.get("units") == "raw" else super().searched(**options)

    @classmethod
    def points_kept(cls, **options: Any) -> int:
        parameter = inspect.signature(cls).parameters.get("step")
        step = options.get("step", parameter.default if parameter else "sgd")
        return super().points_kept() + step_rule(step).buffers

    def sigma(self) -> float:
        """The radius in this generation."""
        return self.radius

    def rate(self) -> float:
        """The learning rate in this generation."""
        return self.lr

    def relative(self, block: str) -> float | Tensor:
        """What directions are multiplied by in a block: a number, or a tensor of its shape; 0 for none."""
        return 1.0

    def ask(self, remaining: int) -> Perturbations | None:
        queries = generation_size(self.queries, self.estimator.affordable(remaining))
        if queries < self.estimator.fewest:
            return None
        self._keep_relative()
        return self._around(self.center.parameters, *self.estimator.members(queries))

    def tell(self, population: Population, losses: Tensor, gradients: Tensor | None = None) -> None:
        assert isinstance(population, Perturbations)
        if self.estimator.informative(losses):
            weights = self.estimator.weights(losses, 1.0 if self.absorbed else self.sigma())
            if within_bounds(weights):
                self._descend(population, weights)
        self.generation += 1

    def best(self) -> Perturbations:
        """The center: a copy, which later steps do not move; itself, where the space is ``in_place``."""
        law = self.law(self.space, self.seed, self.generation)
        alone = torch.zeros(1, dtype=torch.int64)
        return Perturbations(self.center.copy(), law, 0.0, alone, alone.to(torch.int8))

    def state(self) -> dict[str, Any]:
        return {
            "generation": self.generation,
            "center": self.center.state(),
            "step": self.step.state(),
            "estimator": self.estimator.state(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        self.generation = state["generation"]
        self.center.load_state(state["center"])
        self.step.load_state(state["step"])
        self.estimator.load_state(state["estimator"])

    def _keep_relative(self) -> None:
        """For the step, which has to go along the very directions that are evaluated."""
        self._relative = {block.name: self.relative(block.name) for block in self.space.blocks}

    def _around(self, center: Mapping[str, Tensor], members: Tensor, signs: Tensor) -> Perturbations:
        law = self.law(self.space, self.seed, self.generation)
        return Perturbations(center, law, self._sizes(), members, signs)

    def _sizes(self) -> float | dict[str, Any]:
        """The radius of every block as Perturbations take it."""
        sizes = self.center.sigma(self.sigma())
        if all(_is(factor, 1.0) for factor in self._relative.values()):
            return sizes
        each = sizes if isinstance(sizes, dict) else dict.fromkeys(self._relative, sizes)
        return {name: each[name] * factor for name, factor in self._relative.items()}

    def _descend(self, population: Perturbations, weights: list[float]) -> None:
        self._move(self.rate(), [(population.noise, weights)])

    def _move(self, lr: float, terms: Sequence[tuple[Noise, list[float]]]) -> None:
        """A step along the sum of terms."""
        self.center.descend(self.step, lr, self._gradient(terms))

    def _gradient(self, terms: Sequence[tuple[Noise, list[float]]]) -> Callable[[str, slice], Tensor | None]:
        """The sum of ``w_j u_j`` over the terms' directions 0, 1, ..., with decay, by block and rows."""

        def gradient(block: str, rows: slice) -> Tensor | None:
            factor = self._relative[block]
            if _is(factor, 0.0):
                return None
            parts = (noise.weighted_sum(block, range(len(ws)), ws, rows) for noise, ws in terms)
            estimate = reduce(torch.add, parts)
            if not _is(factor, 1.0):
                estimate *= factor[rows] if isinstance(factor, Tensor) else factor
            return estimate + self.decay * self.center.position(block, rows) if self.decay else estimate

        return gradient


def within_bounds(weights: Sequence[float]) -> bool:
    """Whether a step with these weights stays within float32; not so where a search diverges.

    >>> within_bounds([1.0, -2.0]), within_bounds([1e50]), within_bounds([float("nan")])
    (True, False, False)
    """
    return all(abs(weight) <= _LARGEST for weight in weights)


def _is(factor: float | Tensor, number: float) -> bool:
    return not isinstance(factor, Tensor) and factor == number

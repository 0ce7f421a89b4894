"""Analytic functions: tasks without a language model, for tests and for studying algorithms."""

from __future__ import annotations

import hashlib
import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from harness.core import (
    Block,
    Candidate,
    Cost,
    Evaluation,
    Gradients,
    Points,
    Population,
    Request,
    Signature,
    Space,
    Split,
    Task,
    point,
)

LARGEST = 10**9
"""Coordinates of a function: four gigabytes for a point."""


class AnalyticFunction(Task):
    """A function of the coordinates whose optimum lies at a random place, another in each repetition.

    Args:
        dimension: d.
        noise: standard deviation of normal noise added to each loss, another for each point and generation.
    """

    metric = "loss"
    metric_direction = "min"
    has_gradients = True

    def __init__(
        self,
        *,
        dimension: Annotated[int, Field(ge=1, le=LARGEST)] = 10,
        noise: Annotated[float, Field(ge=0)] = 0.0,
    ) -> None:
        self.space = Space([Block("x", (dimension,), "vector")])
        self.noise = noise

    @abstractmethod
    def value(self, offset: Tensor) -> Tensor:
        """``[n, d]`` offsets from the optimum to ``[n]`` values, 0 at the optimum."""

    def optimum(self, repetition: int) -> Tensor:
        """Where the least value lies: float64 ``[d]``."""
        generator = torch.Generator().manual_seed(repetition)
        return torch.randn(self.space.size, generator=generator, dtype=torch.float64)

    def evaluate(self, requests: Sequence[Request]) -> list[Evaluation]:
        return [self._evaluate(request) for request in requests]

    def score(self, candidates: Sequence[tuple[Candidate, int]], split: Split) -> list[dict[str, float]]:
        untouched = Points(torch.zeros(1, self.space.size))
        pairs = [(point(candidate) or untouched, repetition) for candidate, repetition in candidates]
        return [
            {"loss": float(self.value(_coordinates(candidate) - self.optimum(repetition)))}
            for candidate, repetition in pairs
        ]

    def signature(self) -> Signature:
        ones = torch.ones(1, self.space.size, dtype=torch.float64)
        name = f"{type(self).__name__} {self.space.size} {self.noise}"
        return Signature(hashlib.sha256(name.encode()).hexdigest(), (float(self.value(ones)),))

    def _evaluate(self, request: Request) -> Evaluation:
        points = _coordinates(request.population).requires_grad_()
        values = self.value(points - self.optimum(request.repetition))
        gradients = None
        if isinstance(request.population, Gradients):
            (gradients,) = torch.autograd.grad(values.sum(), points)
        values = values.detach()
        if self.noise:
            key = f"{request.repetition} {request.generation}".encode()
            values += self.noise * torch.stack([_normal(key, point) for point in points.detach()])
        return Evaluation(values, gradients, Cost(sequences=len(values)))


def _normal(key: bytes, point: Tensor) -> Tensor:
    """A standard normal number that is a function of a key and a point, not of the point's neighbours."""
    digest = hashlib.sha256(key + point.numpy().tobytes()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:4], "little"))
    return torch.randn((), generator=generator, dtype=torch.float64)


def _coordinates(population: Population) -> Tensor:
    values = population.values if isinstance(population, Points) else population.coordinates()
    return values.detach().double()


class Sphere(AnalyticFunction):
    """The sum of squares.

    >>> Sphere(dimension=3).value(torch.ones(1, 3))
    tensor([3.])
    """

    def value(self, offset: Tensor) -> Tensor:
        return offset.square().sum(-1)


class Rosenbrock(AnalyticFunction):
    """The banana valley: ``sum 100 (y[i+1] - y[i]^2)^2 + (1 - y[i])^2`` with y = 1 + offset.

    >>> Rosenbrock(dimension=3).value(torch.zeros(1, 3))
    tensor([0.])
    """

    def value(self, offset: Tensor) -> Tensor:
        y = 1 + offset
        first, second = y[..., :-1], y[..., 1:]
        return (100 * (second - first.square()).square() + (1 - first).square()).sum(-1)


class Rastrigin(AnalyticFunction):
    """A sphere under a grid of local minima: ``sum 10 + z^2 - 10 cos(2 pi z)``.

    >>> Rastrigin(dimension=3).value(torch.zeros(1, 3))
    tensor([0.])
    """

    def value(self, offset: Tensor) -> Tensor:
        return (10 + offset.square() - 10 * torch.cos(2 * math.pi * offset)).sum(-1)

"""Driving an algorithm by hand: analytic losses for any population, and a runner of a few lines."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any

import torch
from torch import Tensor

from harness.core import Algorithm, Block, Budget, Gradients, Points, Population, Space

REGISTERED = {entry.name: entry for entry in entry_points(group="gradfree.algorithms")}
CONTESTANTS = sorted(name for name, entry in REGISTERED.items() if not entry.load().reference)

Loss = Callable[[Tensor], Tensor]


def space_of(dimension: int = 10) -> Space:
    """Two matrices of one shape and a vector, with unequal scales."""
    side = (dimension - 2) // 2
    return Space(
        [
            Block("first", (side, 1), "matrix", 0.5),
            Block("second", (side, 1), "matrix", 2.0),
            Block("bias", (dimension - 2 * side,), "vector", 1.0),
        ]
    )


def sphere(points: Tensor) -> Tensor:
    """``|z - 1|^2 / 2d``: of order one, as the losses of language models are."""
    return 0.5 * (points - 1.0).square().mean(1)


def coordinates(population: Population) -> Tensor:
    """Coordinates ``[n, d]`` float64 of any population."""
    values = population.values if isinstance(population, Points) else population.coordinates()
    return values.double()


def make(name: str, space: Space, budget: int, seed: int = 0, **options: Any) -> Algorithm:
    """A registered algorithm."""
    return REGISTERED[name].load()(space, Budget(budget), seed, **options)


def drive(
    algorithm: Algorithm,
    budget: int,
    loss: Loss = sphere,
    spoil: Callable[[int, Tensor], Tensor] = lambda generation, losses: losses,
) -> list[Tensor]:
    """Run to the end of the budget; the coordinates of every population.

    Args:
        algorithm: freshly made.
        budget: checked in every generation.
        loss: of coordinates ``[n, d]``.
        spoil: changes the losses of a generation before they are told.
    """
    asked, spent = [], 0
    while (population := algorithm.ask(budget - spent)) is not None and len(population):
        price = Budget.price(population)
        assert spent + price <= budget, f"asked for {price} with {budget - spent} left"
        spent += price
        points = coordinates(population)
        gradients = None
        if isinstance(population, Gradients):
            points.requires_grad_(True)
            (gradients,) = torch.autograd.grad(loss(points).sum(), points)
            points = points.detach()
        algorithm.tell(population, spoil(len(asked), loss(points).double()), gradients)
        asked.append(points)
    return asked


def final_loss(algorithm: Algorithm, loss: Loss = sphere) -> float:
    """The loss of what the algorithm would report."""
    best = algorithm.best()
    assert best is not None
    return float(loss(coordinates(best)))

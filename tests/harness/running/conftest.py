"""A toy task, well-behaved and flaky algorithms, and a way to run cells of them without any plugin."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.core import (
    Algorithm,
    Block,
    Cost,
    Evaluation,
    Gaussian,
    Gradients,
    Perturbations,
    Points,
    Protocol,
    Signature,
    Space,
    Task,
)
from harness.running.observer import Observer
from harness.running.plan import Cell
from harness.running.results import Results, load_results
from harness.running.runner import Workshop, run_cells
from harness.running.store import Store
from harness.running.sweeping import write_tables


class Quadratic(Task):
    """|z - 1|^2 in three dimensions, ten tokens a candidate; the metric is the negative loss."""

    metric = "score"

    def __init__(self, digest: str = "quadratic") -> None:
        self.space = Space([Block("x", (3,), "vector")])
        self.digest = digest
        self.calls: list[int] = []
        self.generations: list[int] = []
        self.scored: list[tuple[str, int]] = []

    def losses(self, population: Any) -> torch.Tensor:
        values = population.values if isinstance(population, Points) else population.coordinates()
        return ((values.double() - 1) ** 2).sum(1)

    def evaluate(self, requests):
        self.calls.append(len(requests))
        self.generations += [request.generation for request in requests]
        answers = []
        for request in requests:
            losses = self.losses(request.population) + 0.01 * (request.generation % 3) + request.repetition
            gradients = None
            if isinstance(request.population, Gradients):
                gradients = 2 * (request.population.values - 1)
            flops = 0.1 + request.generation / 7
            answers.append(Evaluation(losses, gradients, Cost(len(losses), 10 * len(losses), flops)))
        return answers

    def score(self, candidates, split):
        self.scored += [(split, repetition) for _, repetition in candidates]
        shift = {"train": 0.0, "dev": 0.25, "test": 0.5}[split]
        found = []
        for candidate, repetition in candidates:
            values = torch.zeros(1, 3) if candidate is None else candidate
            loss = self.losses(Points(values) if isinstance(values, torch.Tensor) else values)
            found.append({"score": -float(loss) - shift - repetition, "loss": float(loss)})
        return found

    def score_cost(self, split, repetition):
        return Cost(2, {"train": 20, "dev": 30, "test": 50}[split], 0.5)

    def signature(self):
        return Signature(self.digest, (3.0,))


class Walk(Algorithm):
    """Points around the best one so far."""

    population = 4

    def __init__(self, space, budget, seed):
        super().__init__(space, budget, seed)
        self.center, self.lowest = torch.zeros(1, space.size), math.inf

    def ask(self, remaining):
        steps = torch.randn(min(self.population, remaining), self.space.size, generator=self.generator)
        return Points(self.center + 0.3 * steps)

    def tell(self, population, losses, gradients=None):
        if losses.min() < self.lowest:
            at = int(losses.argmin())
            self.lowest, self.center = float(losses[at]), population.values[at : at + 1].clone()

    def best(self):
        return Points(self.center.clone())


class Restless(Walk):
    """The same, but a run cannot be repeated from its losses."""

    deterministic = False


class Directions(Walk):
    """Asks for perturbations of its center."""

    def ask(self, remaining):
        n = min(self.population, remaining)
        noise = Gaussian(self.space, self.seed, self.budget.spent)
        center = {"x": self.center[0]}
        return Perturbations(center, noise, 0.1, torch.arange(n), torch.ones(n, dtype=torch.int8))

    def tell(self, population, losses, gradients=None):
        super().tell(Points(population.coordinates()), losses)


class Descent(Walk):
    """Asks for gradients."""

    needs_gradient = True
    reference = True

    def ask(self, remaining):
        return Gradients(self.center.clone()) if remaining >= 3 else None

    def tell(self, population, losses, gradients=None):
        self.center = self.center - 0.1 * gradients


class Untouched(Walk):
    """Asks nothing: the model as it is."""

    reference = True
    smallest_budget = 0

    def ask(self, remaining):
        return None

    def best(self):
        return None


class Early(Walk):
    """Stops after 10 evaluations."""

    def ask(self, remaining):
        return super().ask(min(remaining, 10 - self.budget.spent)) if self.budget.spent < 10 else None


class Raises(Walk):
    """Raises in its third generation."""

    def ask(self, remaining):
        if self.budget.spent >= 8:
            raise RuntimeError("out of ideas\nsecond line")
        return super().ask(remaining)


class OddlyNamed(Walk):
    """Fails on a file whose name is no text, as Python spells it."""

    def ask(self, remaining):
        raise FileNotFoundError("/data/caf\udce9.bin " + 9000 * "x")


class TellRaises(Walk):
    def tell(self, population, losses, gradients=None):
        raise ZeroDivisionError("told badly")


class BestRaises(Walk):
    def best(self):
        raise LookupError("nothing is best")


class InitRaises(Walk):
    def __init__(self, space, budget, seed):
        raise ValueError("cannot start")


class Greedy(Walk):
    def ask(self, remaining):
        return Points(torch.zeros(remaining + 1, self.space.size))


class Misshapen(Walk):
    def ask(self, remaining):
        return Points(torch.zeros(1, self.space.size + 1))


class Nonsense(Walk):
    def ask(self, remaining):
        return torch.zeros(1, 3)


class Smuggler(Walk):
    def ask(self, remaining):
        return Gradients(torch.zeros(1, 3))


class Twins(Walk):
    def best(self):
        return Points(torch.zeros(2, 3))


class Spender(Walk):
    """Spends by itself, which is the runner's business."""

    def ask(self, remaining):
        return super().ask(self.budget.remaining)

    def tell(self, population, losses, gradients=None):
        super().tell(population, losses)
        self.budget.spent = 0


class Vandal(Walk):
    """Writes into what it is told."""

    def tell(self, population, losses, gradients=None):
        super().tell(population, losses)
        losses.fill_(-1.0)


class Piecemeal(Walk):
    """Asks for a generation in three pieces."""

    @property
    def same_minibatch(self):
        return self.budget.spent % 12 != 0


class Poison(Walk):
    """Asks for a point that the task cannot evaluate."""

    def ask(self, remaining):
        return Points(torch.full((1, 3), math.inf))


class PoisonedQuadratic(Quadratic):
    """Raises for the whole pack when any point is infinite, and answers nan for points far out."""

    def losses(self, population):
        losses = super().losses(population)
        if losses.isinf().any():
            raise FloatingPointError("an infinite point")
        return losses


class NanQuadratic(Quadratic):
    """The first member of every population fails."""

    def losses(self, population):
        losses = super().losses(population)
        if len(losses) > 1:
            losses[0] = math.nan
        return losses


KINDS: dict[str, type[Algorithm]] = {
    kind.__name__.lower(): kind
    for kind in list(globals().values())
    if isinstance(kind, type) and issubclass(kind, Algorithm) and kind is not Algorithm
}


def cell(algorithm: str, repetition: int = 0, budget: int = 40, task: str = "quadratic", **more: Any) -> Cell:
    """A planned cell of a toy algorithm."""
    kind = KINDS[algorithm.partition("[")[0]]
    text = f"{task} {algorithm} {repetition} {budget}"
    fields = {
        "id": hashlib.sha256(text.encode()).hexdigest()[:12],
        "task": task,
        "algorithm": algorithm,
        "repetition": repetition,
        "budget": budget,
        "evaluations": budget if kind.smallest_budget else 0,
        "data_seed": repetition,
        "algorithm_seed": 7 + repetition,
        "dimension": 3,
        "reference": kind.reference,
        "skip": None,
    }
    return Cell(**{**fields, **more})


def run(
    out: Path,
    cells: Sequence[Cell],
    task: Task | None = None,
    protocol: Protocol | None = None,
    make: Callable[[Cell, Task, Any], Algorithm] | None = None,
    observer: Observer | None = None,
    tasks: Mapping[str, Task] | None = None,
    **options: Any,
) -> Results:
    """Run toy cells into a folder and read the tables; ``tasks`` by name, where there is more than one."""
    shared = task or Quadratic()

    def algorithm(planned: Cell, of: Task, budget: Any) -> Algorithm:
        return KINDS[planned.algorithm.partition("[")[0]](of.space, budget, planned.algorithm_seed)

    with Store(out) as store:
        store.begin('{"cells": []}', "tasks: []\n")
        run_cells(
            cells,
            store,
            Workshop(lambda planned: tasks[planned.task] if tasks is not None else shared, make or algorithm),
            protocol or Protocol(dev_points=5),
            observer=observer,
            **options,
        )
        write_tables(store, cells)
    return load_results(out)


@pytest.fixture
def toys() -> Any:
    """This module: its toys, ``cell`` and ``run``."""
    import sys

    return sys.modules[__name__]

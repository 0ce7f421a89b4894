"""The form of an algorithm: options, populations, budget, and what is passed in and out."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from harness.core.algorithm import Algorithm
from harness.core.algorithm_spec import AlgorithmSpec
from harness.core.budget import Budget
from harness.core.errors import UserError
from harness.core.population import Gradients, Perturbations, Points, Population
from harness.core.space import Space
from harness.core.untuned import Untuned
from harness.plugins.build import algorithm_spec
from harness.plugins.conformance.driving import Subject, coordinates, space_of, sphere
from harness.plugins.conformance.report import (
    BreachError,
    Checks,
    fingerprint,
    seed_globally,
)
from harness.plugins.options import REQUIRED, describe_options, typed_options

CHECKS: Checks[Subject] = Checks()

READ: Mapping[type, Callable[[str], Any]] = {AlgorithmSpec: algorithm_spec}
"""How text becomes an option that is an algorithm."""


@CHECKS.add("take options as keyword-only arguments with an annotation and a default that fits it")
def options(subject: Subject) -> None:
    parameters = inspect.signature(subject.kind).parameters.values()
    positional = [
        each.name for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)
    ]
    if positional != ["space", "budget", "seed"]:
        raise BreachError(f"its positional parameters are {', '.join(positional)}, not space, budget, seed")
    for option in describe_options(subject.kind):
        if option.default is REQUIRED:
            raise BreachError(f"option {option.name!r} has no default")
        if option.type == "Any":
            raise BreachError(f"option {option.name!r} has no annotation")
        if isinstance(option.default, tuple(READ)):
            continue  # an object already, and no text to be read
        try:
            typed_options(subject.kind, {option.name: option.default}, "default", READ)
        except UserError as error:
            raise BreachError(f"its own default is refused: {error}") from error


@CHECKS.add("say what it is: a docstring, `family`, and `source` (author and year) unless it is a reference")
def description(subject: Subject) -> None:
    kind = subject.kind
    if inspect.getdoc(kind) in (None, "", inspect.getdoc(Algorithm)):
        raise BreachError("the class has no docstring of its own")
    if kind.family == Algorithm.family:
        raise BreachError(f"its family is {kind.family!r}, which is nobody's")
    if not (kind.source or kind.reference):
        raise BreachError("its source is empty")


@CHECKS.add("ask for Points[n, d] or Perturbations of the space it was made for, and report one of them")
def contract(subject: Subject) -> None:
    budget = subject.budget(200)
    seed_globally(0)
    algorithm = subject.make(budget)
    remaining = budget
    for _ in range(3):
        population = algorithm.ask(remaining)
        if population is None or not len(population):
            break
        _require_form(population, algorithm, "ask() returned")
        remaining -= Budget.price(population)
        if remaining < 0:
            break
        points = coordinates(population, algorithm.space)
        gradients = torch.zeros_like(points) if isinstance(population, Gradients) else None
        algorithm.tell(population, sphere(points), gradients)
        best = algorithm.best()
        if best is not None and not isinstance(best, Untuned):
            _require_form(best, algorithm, "best() returned")
            if len(best) != 1:
                raise BreachError(f"best() returned {len(best)} candidates, not one")


def _require_form(population: Population, algorithm: Algorithm, what: str) -> None:
    space = algorithm.space
    if not isinstance(population, (Points, Perturbations)):
        raise BreachError(f"{what} a {type(population).__name__}")
    if isinstance(population, Gradients) and not algorithm.needs_gradient:
        raise BreachError(f"{what} Gradients without declaring needs_gradient")
    if isinstance(population, Points):
        if population.values.shape[1] != space.size or not population.values.is_floating_point():
            shape, dtype = tuple(population.values.shape), population.values.dtype
            raise BreachError(f"{what} {dtype} values of shape {shape} for {space.size} coordinates")
    else:
        shapes = {name: tuple(value.shape) for name, value in population.center.items()}
        if shapes != {block.name: block.shape for block in space.blocks}:
            raise BreachError(f"{what} a center of shapes {shapes}")
        if population.members.dtype != torch.int64 or population.signs.dtype != torch.int8:
            raise BreachError(f"{what} members {population.members.dtype} and signs {population.signs.dtype}")
        if not bool(population.signs.abs().le(1).all()) or bool(population.members.lt(0).any()):
            raise BreachError(f"{what} signs beyond -1, 0, +1 or members below 0")
    if not bool(coordinates(population, space).isfinite().all()):
        raise BreachError(f"{what} coordinates that are not finite")


@CHECKS.add("name a way of answering without tuning as class data, if it reports one", after=["contract"])
def untuned(subject: Subject) -> None:
    declared, reported = subject.kind.untuned, subject.make(subject.budget(60)).best()
    if declared is None and not isinstance(reported, Untuned):
        return
    if reported != declared:
        raise BreachError(f"it declares untuned = {declared} and reports {reported}")
    if not subject.kind.reference or subject.kind.smallest_budget:
        raise BreachError("it tunes nothing, and is no reference with smallest_budget = 0")


class WatchedSpace(Space):
    """Counts how often its start is asked for."""

    reads = 0

    def start(self) -> dict[str, Tensor]:
        self.reads += 1
        return super().start()


@CHECKS.add("leave all work to the first ask", after=["contract"])
def construction(subject: Subject) -> None:
    plain = space_of(subject.dimension)
    space, budget, before = WatchedSpace(plain.blocks, plain.start()), subject.budget(60), fingerprint()
    algorithm = subject.make(budget, seed=5, space=space)
    if space.reads:
        raise BreachError("constructing it read the space's start, which may be a whole model")
    if algorithm.budget.spent:
        raise BreachError("constructing it spent evaluations")
    fresh = torch.Generator().manual_seed(5)
    if fingerprint() != before or not torch.equal(algorithm.generator.get_state(), fresh.get_state()):
        raise BreachError("constructing it drew random numbers")


@CHECKS.add("ask for min(population, remaining), to the end of the budget", after=["contract"])
def budget(subject: Subject) -> None:
    if not subject.kind.smallest_budget:
        population = subject.make(50).ask(50)
        if population is not None and len(population):
            raise BreachError("it declares smallest_budget = 0 and asks all the same")
        return
    for total in sorted(set(map(subject.budget, (1, 30, 47, 101)))):
        algorithm, left, largest = subject.make(total), total, 0
        while (population := algorithm.ask(left)) is not None and len(population):
            price = Budget.price(population)
            if price > left:
                raise BreachError(f"it asked for {price} evaluations when {left} remained")
            left, largest = left - price, max(largest, price)
            _tell(algorithm, population)
        if not largest:
            raise BreachError(f"it asked for nothing with a budget of {total}")
        if left >= largest:
            raise BreachError(
                f"it left {left} of {total} evaluations, and its largest generation was {largest}"
            )
    for remaining in range(4):
        population = subject.make(subject.budget(50)).ask(remaining)
        if population is not None and Budget.price(population) > remaining:
            raise BreachError(f"its first ask cost {Budget.price(population)} when {remaining} remained")


def _tell(algorithm: Algorithm, population: Population) -> None:
    points = coordinates(population, algorithm.space)
    gradients = None
    if isinstance(population, Gradients):
        (gradients,) = torch.autograd.grad(sphere(points.requires_grad_()).sum(), points)
    algorithm.tell(population, sphere(points.detach()), gradients)


@CHECKS.add("return None or the start until losses are known", after=["contract"])
def best_before_the_first_tell(subject: Subject) -> None:
    algorithm = subject.make(subject.budget(60))
    for when in ("before the first ask", "between the first ask and its tell"):
        if bool(coordinates(algorithm.best(), algorithm.space).any()):
            raise BreachError(f"best() was away from the start {when}")
        algorithm.ask(subject.budget(60))


@CHECKS.add("work on clones of what is passed in", after=["contract"])
def inputs_unmodified(subject: Subject) -> None:
    subject.require_search()
    space, total = space_of(subject.dimension), subject.budget(200)
    start = {name: value.clone() for name, value in space.start().items()}
    algorithm = subject.make(total, space=space)
    for _ in range(3):
        population = algorithm.ask(total)
        if population is None or not len(population):
            break
        losses = torch.arange(len(population)).double().flip(0)
        gradients = torch.ones(len(population), space.size).double()
        passed = {"losses": losses, "gradients": gradients, **_tensors(population)}
        before = {name: value.clone() for name, value in passed.items()}
        algorithm.tell(population, losses, gradients if isinstance(population, Gradients) else None)
        algorithm.best()
        for name, value in passed.items():
            if not torch.equal(value, before[name]):
                raise BreachError(f"tell() wrote to the {name}")
        total -= Budget.price(population)
    if any(not torch.equal(value, start[name]) for name, value in space.start().items()):
        raise BreachError("it wrote to the start of the space")


def _tensors(population: Population) -> dict[str, Tensor]:
    if isinstance(population, Points):
        return {"population's values": population.values}
    return {"population's members": population.members, "population's signs": population.signs}


@CHECKS.add("report a copy: best().values.clone()", after=["inputs-unmodified"])
def best_is_stable(subject: Subject) -> None:
    trace = subject.run(100)
    for generation, (kept, then) in enumerate(zip(trace.kept, trace.reported, strict=True)):
        if not torch.equal(coordinates(kept, trace.algorithm.space), then):
            raise BreachError(
                f"what best() returned after generation {generation} moved when the search went on"
            )

"""What a search reaches, and how much memory it takes."""

from __future__ import annotations

import time

import torch

from harness.core.population import Perturbations
from harness.core.space import Block, Space
from harness.plugins.conformance.driving import Loss, Subject, random_search, sphere
from harness.plugins.conformance.memory import peak_of_tensors
from harness.plugins.conformance.report import BreachError, Checks, NotApplicableError

CHECKS: Checks[Subject] = Checks()

LARGE = 10_000_000
"""Coordinates at which the memory of those that ask for Perturbations is measured."""
TENSORS = 6
"""Float32 tensors of all coordinates that such an algorithm may hold at once."""
PATIENCE = 5
"""Seconds of the processor after which a search in many dimensions is not waited for."""


@CHECKS.add("look at the step size and at the sign of the step", after=["budget", "best-is-stable"])
def better_than_random_at_10(subject: Subject) -> None:
    _require_descent(subject, 10, sphere)


@CHECKS.add(
    "scale steps with the dimension, or declare largest_dimension", after=["budget", "best-is-stable"]
)
def better_than_random_at_500(subject: Subject) -> None:
    # So far away that a normal step (of length 22) is shorter than the way to the optimum (67).
    _require_descent(subject, 500, lambda points: sphere(points / 3.0))


def _require_descent(subject: Subject, dimension: int, loss: Loss) -> None:
    """Two of three seeds end below the start and below the best of five random searches."""
    subject.require_search()
    total, begun = subject.budget(300, dimension), time.process_time()

    def be_quick(generation: int) -> None:
        if time.process_time() - begun > PATIENCE:
            raise NotApplicableError(f"{total} evaluations take it more than {PATIENCE} seconds")

    bound = min(random_search(loss, dimension, total, seed) for seed in range(5))
    reached: list[float] = []
    for seed in range(3):
        trace = subject.run(300, seed, loss, dimension=dimension, after_tell=be_quick)
        reached.append(float(loss(trace.reported[-1])))
        below = sum(each < bound for each in reached)
        if below == 2:
            return
        if len(reached) - below == 2:
            break
    losses = ", ".join(f"{each:.3g}" for each in reached)
    raise BreachError(
        f"on the sphere with {dimension} coordinates and {total} evaluations it reported losses of {losses}; "
        f"the best of five random searches reaches {bound:.3g}, and the start has 0.5"
    )


@CHECKS.add("work through blocks by row slices, and hold no population", after=["inputs-unmodified"])
def memory(subject: Subject) -> None:
    subject.require_search()
    if not isinstance(subject.make(subject.budget(60)).ask(subject.budget(60)), Perturbations):
        raise NotApplicableError("it asks for Points, whose memory is n times d")
    blocks = [Block(f"w{i}", (1000, LARGE // 10_000), "matrix", 0.01) for i in range(10)]
    space = Space(blocks, {block.name: torch.zeros(block.shape) for block in blocks})
    total = subject.budget(16)

    def generation() -> None:
        algorithm = subject.make(total, space=space)
        population = algorithm.ask(total)
        assert population is not None
        algorithm.tell(population, torch.linspace(0.4, 0.6, len(population), dtype=torch.float64))
        algorithm.ask(max(total - len(population), 0))
        algorithm.best()

    tensors = peak_of_tensors(generation) / (4 * space.size)
    if tensors > TENSORS:
        raise BreachError(
            f"with {space.size:,} coordinates it held {tensors:.1f} float32 tensors of that size at once, "
            f"more than {TENSORS}"
        )

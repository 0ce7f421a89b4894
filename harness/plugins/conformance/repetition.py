"""The same run again: by its seed, by replay, from a stored state, in pieces."""

from __future__ import annotations

import dataclasses
import io
from typing import Any

import torch

from harness.core.budget import Budget
from harness.plugins.conformance.driving import Subject, Trace, coordinates, drive
from harness.plugins.conformance.report import (
    BreachError,
    Checks,
    NotApplicableError,
    fingerprint,
    seed_globally,
)

CHECKS: Checks[Subject] = Checks()


@CHECKS.add("draw from self.generator, or from generators made of `seed`, only", after=["contract"])
def same_seed_same_run(subject: Subject) -> None:
    if not subject.kind.deterministic:
        raise NotApplicableError("it declares deterministic = False")
    first, second = subject.run(seed=3), subject.run(seed=3)
    _require_same(first, second, "two runs of one seed")
    if not torch.equal(torch.cat(first.reported), torch.cat(second.reported)):
        raise BreachError("two runs of one seed asked for the same points and reported others")


@CHECKS.add("derive every draw from `seed`", after=["contract"])
def other_seed_other_run(subject: Subject) -> None:
    if subject.kind.reference:
        raise NotApplicableError("it is a reference")
    first, second = subject.run(seed=3, global_seed=1), subject.run(seed=4, global_seed=2)
    if first.differs_from(second) is None:
        raise BreachError("seeds 3 and 4 gave the same run")


def _require_same(first: Trace, second: Trace, what: str) -> None:
    at = first.differs_from(second)
    if at is not None:
        raise BreachError(f"{what} differ in generation {at}")


@CHECKS.add(
    "give libraries a generator of their own, or swap the global state in and out", after=["contract"]
)
def global_random_state(subject: Subject) -> None:
    subject.require_search()
    traces = []
    for global_seed in (1, 2):
        seed_globally(global_seed)
        before = fingerprint()
        total = subject.budget(60)
        trace = drive(subject.make(total), total)
        for library, mine, theirs in zip(("random", "numpy", "torch"), before, fingerprint(), strict=True):
            if mine != theirs:
                raise BreachError(f"it touched the global random state of {library}")
        traces.append(trace)
    if subject.kind.deterministic:
        _require_same(traces[0], traces[1], "runs that begin with another global random state")


@CHECKS.add("make every draw a pure function of its key", after=["contract"])
def members_apart(subject: Subject) -> None:
    subject.require_search()
    algorithm = subject.make(subject.budget(60))
    population = algorithm.ask(subject.budget(60))
    assert population is not None
    space = algorithm.space
    whole = coordinates(population, space)
    pieces = [slice(0, 1), slice(1, None)] if len(population) > 1 else [slice(None)]
    backwards = torch.arange(len(population)).flip(0)
    if not torch.equal(torch.cat([coordinates(population[piece], space) for piece in pieces]), whole):
        raise BreachError("members evaluated in pieces are other points than those evaluated at once")
    if not torch.equal(coordinates(population[backwards], space), whole.flip(0)):
        raise BreachError("members evaluated in another order are other points")


@CHECKS.add(
    "let ask() and tell() alone move the state: not best(), nor whether populations are evaluated;"
    " or declare deterministic = False",
    after=["same-seed-same-run", "global-random-state", "members-apart"],
)
def replay_equals_run(subject: Subject) -> None:
    kind = subject.kind
    if not kind.deterministic or kind.needs_gradient:
        raise NotApplicableError("it is not resumed by replay")
    trace = subject.run()
    algorithm, left = subject.make(subject.budget(60)), subject.budget(60)
    for generation, (points, losses) in enumerate(zip(trace.points, trace.losses, strict=True)):
        population = algorithm.ask(left)
        if population is None or not torch.equal(coordinates(population, algorithm.space), points):
            raise BreachError(
                f"told the stored losses again, it asked for other points in generation {generation}"
            )
        left -= len(population)
        algorithm.tell(population, losses.clone())


@CHECKS.add(
    "let state() hold all that tell() changes and the generator, in tensors, numbers, strings and lists",
    after=["same-seed-same-run", "global-random-state", "members-apart", "best-is-stable"],
)
def state_round_trip(subject: Subject) -> None:
    subject.require_search()
    total, saved = subject.budget(60), io.BytesIO()
    algorithm = subject.make(total)
    held: list[Any] = []

    def halfway(generation: int) -> None:
        if generation == 2:
            held.append(algorithm.state())

    seed_globally(0)
    trace = drive(algorithm, total, after_tell=halfway)
    if not held:
        raise NotApplicableError("its run has one generation")
    if held[0] is None:
        raise NotApplicableError("it keeps no state: it is resumed by replay")
    try:
        torch.save(held[0], saved)
        saved.seek(0)
        state = torch.load(saved, weights_only=True)
    except Exception as error:
        raise BreachError(
            f"its state cannot be stored as plain data: {str(error).splitlines()[0]}"
        ) from error
    fresh = subject.make(total)
    fresh.load_state(state)
    price = Budget.GRADIENT_PRICE if subject.kind.needs_gradient else 1
    resumed = drive(fresh, total - price * sum(map(len, trace.points[:2])))
    expected = dataclasses.replace(trace, points=trace.points[2:])
    if (at := resumed.differs_from(expected)) is not None:
        raise BreachError(f"with the state after 2 generations loaded, generation {at + 2} is another one")
    if not torch.equal(coordinates(fresh.best(), fresh.space), trace.reported[-1]):
        raise BreachError("with the state after 2 generations loaded, another point is reported at the end")


@CHECKS.add("draw in one stream whatever the number of threads", after=["same-seed-same-run"])
def threads(subject: Subject) -> None:
    traces = []
    for count in (1, 3):
        torch.set_num_threads(count)
        traces.append(subject.run())
    _require_same(traces[0], traces[1], "runs with 1 and 3 threads")

"""What holds for every task, as named checks."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast, get_args

import torch
from torch import Tensor

from harness.core.noise import Gaussian
from harness.core.population import Gradients, Perturbations, Points, Population
from harness.core.space import Space
from harness.core.task import Evaluation, Request, Signature, Split, Task
from harness.core.untuned import Demonstrations, Majority, Probe, Untuned
from harness.plugins.build import Builder
from harness.plugins.conformance.report import (
    BreachError,
    Checks,
    NotApplicableError,
    Report,
    fingerprint,
    seed_globally,
)
from harness.plugins.functions import as_task, positional

MEMBERS = 5
GENERATIONS = 8
TOLERANCE = 1e-4
"""By how much losses at the same parameters may differ when these come as points or as directions."""


@dataclass(frozen=True)
class Subject:
    """A task under check.

    Args:
        task: the one that is asked.
        again: makes another one of the same name; None where that cannot be done.
    """

    task: Task
    again: Callable[[], Task] | None

    def points(self, seed: int = 0) -> Points:
        """The start, and points around it: ``[MEMBERS, d]``."""
        generator = torch.Generator().manual_seed(seed)
        values = 0.5 * torch.randn(MEMBERS, self.task.space.size, generator=generator)
        values[0] = 0.0
        return Points(values.to(self.task.space.device))

    def losses(self, population: Population, repetition: int = 0, generation: int = 0) -> Tensor:
        """Of one request alone, from one global random state."""
        seed_globally(0)
        return self.task.evaluate([Request(population, repetition, generation)])[0].losses

    def require_same(self, mine: Tensor, other: Tensor, what: str) -> None:
        """Equal bits in float32 on the CPU, where products have one order of summation; else nearly equal."""
        if self.task.space.device.type == "cpu":
            same = torch.equal(mine.nan_to_num(nan=-1e30), other.nan_to_num(nan=-1e30))
        else:
            same = torch.allclose(mine, other, rtol=1e-3, atol=1e-3, equal_nan=True)
        if not same:
            raise BreachError(f"{what}: {mine.tolist()} and {other.tolist()}")


CHECKS: Checks[Subject] = Checks()


def check_task(task: str | Task | Callable[..., Any], **options: Any) -> Report:
    """Check a task; for tests of one's own.

    Args:
        task: a name (``sphere[dimension=3]`` or dataset/model/tuning), a Task, a class or factory of one, or
            a function ``loss(point)``.
        options: of a class or function.

    Raises:
        AssertionError: listing every failed check, with what was seen and how to mend it.
        UserError: for a name that is unknown.

    >>> check_task("sphere[dimension=3]").ok
    True
    """
    return examine_task(task, **options).require()


def examine_task(task: str | Task | Callable[..., Any], **options: Any) -> Report:
    """The same checks; failures are in the report only."""
    subject, label = _subject(task, options)
    return CHECKS.report(label, subject, getattr(subject.task, "expected_failures", {}))


def _subject(task: str | Task | Callable[..., Any], options: dict[str, Any]) -> tuple[Subject, str]:
    if isinstance(task, Task):
        return Subject(task, None), type(task).__name__
    if isinstance(task, str):
        name = task
        return Subject(Builder().task(name), lambda: Builder().task(name)), name
    factory = task
    if not isinstance(factory, type) and positional(factory):
        factory = as_task(factory)
    return Subject(factory(**options), lambda: cast(Task, factory(**options))), factory.__name__


@CHECKS.add("answer each request with an Evaluation of float64 losses [n], and score with a dict of metrics")
def contract(subject: Subject) -> None:
    task = subject.task
    if not isinstance(task, Task) or not isinstance(task.space, Space):
        raise BreachError(f"it is a {type(task).__name__}, or its space is none")
    if task.dimension != task.space.size:
        raise BreachError(
            f"its dimension is {task.dimension} and its space has {task.space.size} coordinates"
        )
    if task.metric_direction not in ("max", "min"):
        raise BreachError(f"its metric_direction is {task.metric_direction!r}, not max or min")
    if task.evaluate([]) or task.score([], "dev"):
        raise BreachError("asked for nothing, it answered something")
    points = subject.points()
    answers = task.evaluate([Request(points, 0, 0), Request(points[:2], 0, 0)])
    if len(answers) != 2:
        raise BreachError(f"it gave {len(answers)} answers to 2 requests")
    for answer, count in zip(answers, (MEMBERS, 2), strict=True):
        _require_form(answer, count)
    if task.has_gradients:
        (answer,) = task.evaluate([Request(Gradients(points.values[:2]), 0, 0)])
        if answer.gradients is None or tuple(answer.gradients.shape) != (2, task.space.size):
            raise BreachError("it declares has_gradients and answers Gradients without gradients [n, d]")


def _require_form(answer: Evaluation, count: int) -> None:
    if not isinstance(answer, Evaluation):
        raise BreachError(f"it answered with a {type(answer).__name__}")
    if tuple(answer.losses.shape) != (count,) or answer.losses.dtype != torch.float64:
        raise BreachError(
            f"its losses of {count} candidates are {answer.losses.dtype}{list(answer.losses.shape)}"
        )
    if not bool(answer.losses.isfinite().all()):
        raise BreachError("a loss at or near the start is not finite")
    if min(answer.cost.sequences, answer.cost.tokens, answer.cost.flops) < 0:
        raise BreachError(f"its cost is {answer.cost}")


@CHECKS.add("hash what the losses depend on, and nothing that changes from one object to the next")
def signature(subject: Subject) -> None:
    mine = subject.task.signature()
    if not isinstance(mine, Signature) or not all(map(math.isfinite, mine.losses)):
        raise BreachError(f"its signature is {mine}")
    if subject.task.signature() != mine:
        raise BreachError("asked twice, its signature is another one")
    if subject.again is not None and not mine.agrees(subject.again().signature()):
        raise BreachError("made twice, its signature is another one")


@CHECKS.add("let a loss depend on the point, the repetition and the generation only", after=["contract"])
def deterministic(subject: Subject) -> None:
    points = subject.points()
    first = subject.losses(points)
    subject.require_same(first, subject.losses(points), "one request asked twice has two answers")
    subject.losses(subject.points(1), 0, 1)
    subject.task.score([(None, 0)], "dev")
    subject.require_same(first, subject.losses(points), "after other requests, one has another answer")
    if subject.again is not None:
        other = Subject(subject.again(), None).losses(points)
        subject.require_same(first, other, "made twice, it answers one request with")


@CHECKS.add("draw from generators of its own", after=["deterministic"])
def global_random_state(subject: Subject) -> None:
    answers = []
    for seed in (1, 2):
        seed_globally(seed)
        before = fingerprint()
        answers.append(subject.task.evaluate([Request(subject.points(), 0, 0)])[0].losses)
        subject.task.score([(None, 0)], "dev")
        for library, mine, theirs in zip(("random", "numpy", "torch"), before, fingerprint(), strict=True):
            if mine != theirs:
                raise BreachError(f"it touched the global random state of {library}")
    subject.require_same(answers[0], answers[1], "under another global random state losses are")


@CHECKS.add("give every product a shape that depends on one candidate only", after=["global-random-state"])
def chunk_and_order(subject: Subject) -> None:
    points = subject.points()
    whole = subject.losses(points)
    pieces = torch.cat([subject.losses(points[:1]), subject.losses(points[1:3]), subject.losses(points[3:])])
    subject.require_same(whole, pieces, "candidates at once and in pieces have other losses")
    backwards = subject.losses(points[torch.arange(MEMBERS).flip(0)]).flip(0)
    subject.require_same(whole, backwards, "candidates in another order have other losses")


@CHECKS.add("keep the requests of one call apart", after=["global-random-state"])
def requests_together(subject: Subject) -> None:
    requests = [
        Request(subject.points(seed), repetition, generation)
        for seed, repetition, generation in ((0, 0, 0), (1, 0, 3), (2, 1, 0))
    ]
    alone = torch.cat([subject.task.evaluate([request])[0].losses for request in requests])
    together = torch.cat([answer.losses for answer in subject.task.evaluate(requests)])
    subject.require_same(alone, together, "requests alone and together have other losses")
    again = torch.cat([answer.losses for answer in subject.task.evaluate(requests[::-1])[::-1]])
    subject.require_same(alone, again, "requests in another order have other losses")


@CHECKS.add(
    "answer nan for a candidate that cannot be evaluated, and as ever for the others",
    after=["chunk-and-order"],
)
def failed_candidates(subject: Subject) -> None:
    points = subject.points()
    whole = subject.losses(points)
    values = points.values.clone()
    values[1] = torch.nan
    losses = subject.losses(Points(values))
    if not bool(losses[1].isnan()):
        raise BreachError(f"the loss of a candidate that is nan is {float(losses[1])}")
    others = torch.tensor([0, 2, 3, 4])
    subject.require_same(
        whole[others], losses[others], "beside a candidate that is nan the others' losses are"
    )


@CHECKS.add("work on clones of what is passed in", after=["contract"])
def inputs_unmodified(subject: Subject) -> None:
    space, points = subject.task.space, subject.points()
    start = {name: value.clone() for name, value in space.start().items()}
    directions = _directions(space)
    passed = {
        "points": points.values,
        "center": torch.cat([value.reshape(-1) for value in directions.center.values()]),
        "members": directions.members,
        "signs": directions.signs,
    }
    before = {name: value.clone() for name, value in passed.items()}
    subject.task.evaluate([Request(points, 0, 0), Request(directions, 0, 0)])
    subject.task.score([(points[1:2], 0)], "dev")
    passed["center"] = torch.cat([value.reshape(-1) for value in directions.center.values()])
    for name, value in passed.items():
        if not torch.equal(value, before[name]):
            raise BreachError(f"it wrote to the {name}")
    if any(not torch.equal(value, start[name]) for name, value in space.start().items()):
        raise BreachError("it wrote to the start of the space")


def _directions(space: Space) -> Perturbations:
    members, signs = torch.tensor([0, 0, 3, 3]), torch.tensor([1, -1, 1, 0], dtype=torch.int8)
    center = {name: value.clone() for name, value in space.start().items()}
    return Perturbations(center, Gaussian(space, 0, 0), 0.5, members, signs)


@CHECKS.add("give score() the entry that `metric` names, a number on every split", after=["contract"])
def score(subject: Subject) -> None:
    task = subject.task
    candidates = [(None, 0), (subject.points()[1:2], 0)]
    for split in get_args(Split):
        scores = task.score(candidates, split)
        if len(scores) != len(candidates):
            raise BreachError(f"it gave {len(scores)} scores to {len(candidates)} candidates on {split}")
        for metrics in scores:
            if task.metric not in metrics:
                raise BreachError(
                    f"on {split} it scores {sorted(metrics)}, and its metric is {task.metric!r}"
                )
            if not math.isfinite(metrics[task.metric]):
                raise BreachError(f"on {split} its {task.metric} is {metrics[task.metric]}")


@dataclass(frozen=True)
class Unheard(Untuned):
    """A way of answering without tuning that no task knows."""


@CHECKS.add("answer without tuning in the ways that it knows, and say why not in the others", after=["score"])
def untuned(subject: Subject) -> None:
    task = subject.task
    if not task.misfit(Unheard()):
        raise BreachError("it has no reason against a way of answering that nobody has described")
    for way in (Majority(), Demonstrations(), Probe()):
        if task.misfit(way) is not None:
            continue
        for split in get_args(Split):
            alone, together = task.score([(way, 0)], split)[0], task.score([(None, 0), (way, 0)], split)[1]
            if not math.isfinite(alone.get(task.metric, math.nan)):
                raise BreachError(f"on {split} {way} scores {alone}, and the metric is {task.metric!r}")
            if alone != together:
                raise BreachError(f"on {split} {way} scores {alone} alone, and {together} beside another")
            cost = task.untuned_cost(way, split, 0)
            if min(cost.sequences, cost.tokens, cost.flops) < 0:
                raise BreachError(f"on {split} {way} costs {cost}")


@CHECKS.add("score None as the untouched model, where coordinates are zero", after=["score"])
def start_is_none(subject: Subject) -> None:
    task = subject.task
    zero = Points(torch.zeros(1, task.space.size, device=task.space.device))
    center = _directions(task.space)[3:4]
    none, points, directions = (
        metrics[task.metric] for metrics in task.score([(None, 0), (zero, 0), (center, 0)], "dev")
    )
    for value, what in ((points, "zero coordinates"), (directions, "a center without perturbation")):
        if abs(value - none) > TOLERANCE * max(1.0, abs(none)):
            raise BreachError(f"on dev None scores {none} and {what} {value}")


@CHECKS.add("choose rows by (repetition, generation), anew for each", after=["global-random-state"])
def minibatches(subject: Subject) -> None:
    points = subject.points()
    seen = [tuple(subject.losses(points, 0, generation).tolist()) for generation in range(GENERATIONS)]
    if len(set(seen)) == 1:
        raise NotApplicableError("its losses are the same in every generation")
    if len(set(seen)) < GENERATIONS // 2:
        raise BreachError(f"{GENERATIONS} generations share {len(set(seen))} minibatches")


@CHECKS.add("evaluate Perturbations as the points that coordinates() gives", after=["global-random-state"])
def perturbations(subject: Subject) -> None:
    directions = _directions(subject.task.space)
    losses = subject.losses(directions)
    if tuple(losses.shape) != (len(directions),):
        raise BreachError(
            f"it answered {len(directions)} directions with losses of shape {tuple(losses.shape)}"
        )
    points = subject.losses(Points(directions.coordinates()))
    if not torch.allclose(losses, points, rtol=TOLERANCE, atol=TOLERANCE):
        raise BreachError(f"directions have losses {losses.tolist()}, and the same points {points.tolist()}")

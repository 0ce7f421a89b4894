"""The cells of a sweep: every task, algorithm and repetition, with what can be decided before running."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from harness.core.errors import UserError
from harness.plugins.build import DEFAULT_OBJECTIVE, Builder, algorithm_class, naming
from harness.plugins.messages import complaint, did_you_mean, shown
from harness.plugins.registry import DATASETS, MODELS, OBJECTIVES
from harness.plugins.spec import Spec, TaskSpec, parse_task
from harness.running.checksums import check_seal, sealed
from harness.running.schema import SCHEMA_VERSION
from harness.running.smoke import BUDGETS, least_budget, smoked
from harness.running.sweep_file import Sweep
from harness.running.sweep_keys import ExceptionKeys
from harness.running.tuning import SPLIT, variants

if TYPE_CHECKING:
    from harness.core.algorithm import Algorithm
    from harness.core.task import Task

_ID = re.compile(r"[0-9a-f]{12}")

Kind = Literal["default", "trial", "tuned"]
KINDS: tuple[Kind, ...] = ("default", "trial", "tuned")
"""What a cell runs: an algorithm as it is listed, a trial of other options, or the best trial's options."""

UNTUNED = ("zero-shot", "majority-class", "in-context", "linear-probe")
"""The references that every sweep has, listed or not: the model as it is, and what can be had without tuning
where a task knows that way."""


@dataclass(frozen=True)
class Cell:
    """One run: a task, an algorithm and a repetition.

    Args:
        id: 12 hexadecimal digits, a hash of everything the result depends on.
        task: canonical name, the objective with it where it is not the usual one.
        algorithm: canonical name with options.
        repetition: counted from 0.
        budget: candidate evaluations that may be spent.
        evaluations: that are spent at most: the budget, or 0 for an algorithm that asks nothing, and for
            tuned cells of one whose options leave nothing to tune.
        data_seed: of the data split; the same for every algorithm of a repetition.
        algorithm_seed: of the algorithm, in 1 .. 2**31 - 1.
        dimension: d of the task's space.
        reference: a marked reference row, not a contestant.
        skip: why the algorithm does not fit the task, in one sentence; None for a cell that runs.
        kind: ``default`` with the options as listed, ``trial`` of others, ``tuned`` with the best ones.
        trial: number of a trial, or of the one that a tuned cell follows; None before it is known.
        variant: canonical name of what is run, where that is not ``algorithm``.
        effort: evaluations that were spent on the trials of a tuned cell.
        smoke: of a smoke run, whose figures mean nothing.
        family: the algorithm's heading, taken down so that reading results imports no plugin.
    """

    id: str
    task: str
    algorithm: str
    repetition: int
    budget: int
    evaluations: int
    data_seed: int
    algorithm_seed: int
    dimension: int
    reference: bool
    skip: str | None
    kind: Kind = "default"
    trial: int | None = None
    variant: str | None = None
    effort: int = 0
    smoke: bool = False
    family: str | None = None

    @property
    def spec(self) -> str:
        """Canonical name of the algorithm that is built."""
        return self.variant or self.algorithm

    @property
    def looks_at_test(self) -> bool:
        """Whether its reported candidate is scored on train and test; a trial is judged on dev alone."""
        return self.kind != "trial"


@dataclass(frozen=True)
class Plan:
    """A sweep and its cells: tasks, then algorithms, then repetitions."""

    sweep: Sweep
    cells: tuple[Cell, ...]

    def cells_of_task(self) -> dict[str, tuple[Cell, ...]]:
        """The cells by canonical task name, in the plan's order."""
        groups = itertools.groupby(self.cells, lambda cell: cell.task)
        return {task: tuple(cells) for task, cells in groups}

    def to_json(self) -> str:
        """The plan as JSON text with a checksum, the same bytes for the same plan."""
        cells = [dataclasses.asdict(cell) for cell in self.cells]
        content = sealed({"sweep": self.sweep.to_dict(), "cells": cells})
        return json.dumps(content, indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """The plan that ``to_json`` wrote; raises UserError for any other text."""
        try:
            data = json.loads(text)
            _check_unaltered(data)
            cells = tuple(Cell(**cell) for cell in data["cells"])
            _check_types(data["cells"])
            return cls(Sweep.from_dict(data["sweep"]), cells)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            said = " ".join(str(error).split())
            raise UserError(
                f"plan.json: not a plan of this version ({said}); plan the sweep again"
            ) from error


def make_plan(sweep: Sweep, builder: Builder | None = None) -> Plan:
    """All cells of a sweep; nothing is written, and no model is run.

    Args:
        sweep: what is to be run.
        builder: that builds the tasks, to share its data and models with the run; by default a new one.

    Raises:
        UserError: naming the file, the key and the remedy, for any name, option or path that is wrong.

    >>> plan = make_plan(Sweep.from_flags(tasks="sphere[dimension=3]", algorithms="random", repetitions=2))
    >>> [(cell.algorithm, cell.repetition, cell.dimension) for cell in plan.cells]
    [('random', 0, 3), ('random', 1, 3), ('zero-shot', 0, 3), ('zero-shot', 1, 3)]
    """
    _refuse_shadows(sweep)
    with sweep.naming("objective"):
        OBJECTIVES.load(sweep.objective)
    algorithms = _Algorithms(sweep)
    algorithms.listed(sweep.algorithms, "algorithms")
    with sweep.naming("tasks"):
        names = [canonical_task(name, sweep.objective) for name in sweep.tasks]
        _refuse_twice([str(task) for task in names])
    own = _exceptions(sweep, [str(task) for task in names])
    builder = builder or builder_of(sweep)
    planned: list[tuple[TaskSpec | Spec, ExceptionKeys, _Fit]] = []
    for task in names:
        exception = own.get(str(task), ExceptionKeys(tasks=(str(task),)))
        with sweep.naming("tasks"), naming(str(task)):
            task = smoked(task, builder) if sweep.smoke else task
            if str(task) in (str(other) for other, _, _ in planned):
                continue  # two that differ in per_class alone are one smoke run
            made = builder.task(task)
            _ = made.dimension  # a space that cannot be had is said here
            if made.repetitions is not None and sweep.repetitions > made.repetitions:
                raise UserError(
                    f"its data are given for {made.repetitions} repetitions; lower repetitions to that"
                )
        listed = algorithms.listed(exception.algorithms or sweep.algorithms, "exceptions")
        for name in listed:
            fit = _Fit(sweep, name, *listed[name], made)
            if not fit.left_out:
                planned.append((task, exception, fit))
    usual = sweep.budget
    if sweep.smoke:
        usual = least_budget(usual, [{b: fit.skip(b) for b in BUDGETS} for _, _, fit in planned])
    contents: dict[str, Any] = {}
    cells: list[Cell] = []
    for task, exception, fit in planned:
        if str(task) not in contents:
            with sweep.naming("tasks"), naming(str(task)):
                contents[str(task)] = builder.content(task)
        budget = exception.budget or usual
        cells += _cells(sweep, builder, task, contents[str(task)], budget, exception.sizes, fit)
    return Plan(sweep, tuple(cells))


class _Algorithms:
    """The algorithms of a sweep, each looked up once."""

    def __init__(self, sweep: Sweep) -> None:
        self.sweep = sweep
        self._known: dict[str, tuple[type[Algorithm], dict[str, Any]]] = {}

    def listed(
        self, names: Sequence[str], key: str
    ) -> dict[str, tuple[bool, type[Algorithm], dict[str, Any]]]:
        """Whether they are asked for, classes and typed options by canonical name, ``UNTUNED`` among them."""
        with self.sweep.naming(key):
            asked = [Spec.parse(name) for name in names]
            own = {spec.name for spec in asked}
            specs = [*asked, *(Spec(name) for name in UNTUNED if name not in own)]
            _refuse_twice([str(spec) for spec in specs])
            for spec in specs:
                if str(spec) not in self._known:
                    self._known[str(spec)] = algorithm_class(spec)
        return {str(spec): (spec in asked, *self._known[str(spec)]) for spec in specs}


@dataclass(frozen=True)
class _Fit:
    """An algorithm on a task."""

    sweep: Sweep
    algorithm: str
    asked: bool
    kind: type[Algorithm]
    options: dict[str, Any]
    task: Task

    @property
    def left_out(self) -> bool:
        """Whether it has no row at all: nobody asked for it, and the task does not know its way."""
        return not self.asked and self._unknown is not None

    @cached_property
    def _unknown(self) -> str | None:
        """Why the task cannot be answered in its way without tuning."""
        return None if self.kind.untuned is None else self.task.misfit(self.kind.untuned)

    def skip(self, budget: int) -> str | None:
        """Why it does not fit, in one sentence."""
        with self.sweep.naming("algorithms"), naming(self.algorithm):
            if self._unknown is not None:
                return self._unknown
            if self.kind.needs_gradient and not self.task.has_gradients:
                return "it needs gradients, and this task's objective has none"
            return self.kind.misfit(self.task.dimension, budget, **self.options)

    def trials_split(self) -> int:
        """The repetition on whose split trials run: one of their own, or the first where splits are given."""
        return SPLIT if self.task.repetitions is None else 0


def _exceptions(sweep: Sweep, tasks: Sequence[str]) -> dict[str, ExceptionKeys]:
    """What differs on a task, by its canonical name."""
    found: dict[str, ExceptionKeys] = {}
    with sweep.naming("exceptions"):
        for each in sweep.exceptions:
            for name in (str(canonical_task(name, sweep.objective)) for name in each.tasks):
                if name in found:
                    raise UserError(f"{name!r} is in two exceptions; make one of them")
                # Other tasks may have been asked for by a flag.
                if name not in tasks and not sweep.flagged("tasks"):
                    raise UserError(f"{name!r} is none of the tasks: {did_you_mean(name, tasks)}")
                found[name] = each
    return found


def _cells(
    sweep: Sweep,
    builder: Builder,
    task: TaskSpec | Spec,
    content: Any,
    budget: int,
    sizes: dict[str, int],
    fit: _Fit,
) -> list[Cell]:
    """The cells of a task and an algorithm: defaults, and where options are tuned trials and tuned ones."""
    skip = fit.skip(budget)
    # Without the timeout: a cell that ended is the same cell under a longer one.
    protocol = sweep.protocol.model_dump(exclude={"timeout"}, exclude_none=True) | sizes
    if isinstance(task, TaskSpec) and task.per_class is not None:
        protocol["per_class"] = int(task.per_class)
    device = builder.device.partition(":")[0]
    identity = [SCHEMA_VERSION, str(task), content, budget, protocol, sweep.dtype, device]
    identity += ["smoke"] * sweep.smoke

    def cell(repetition: int, *what: Any, evaluations: int | None = None, **more: Any) -> Cell:
        spent = budget if fit.kind.smallest_budget else 0
        return Cell(
            id=_digest([*identity, fit.algorithm, *what, repetition]).hex()[:12],
            task=str(task),
            algorithm=fit.algorithm,
            repetition=repetition,
            budget=budget,
            evaluations=spent if evaluations is None else evaluations,
            data_seed=sweep.protocol.seed + repetition,
            algorithm_seed=algorithm_seed(fit.algorithm, str(task), repetition),
            dimension=fit.task.dimension,
            reference=fit.kind.reference,
            skip=skip,
            smoke=sweep.smoke,
            family=str(fit.kind.family),
            **more,
        )

    cells = [cell(repetition) for repetition in range(sweep.repetitions)]
    if sweep.tuning is None or not fit.kind.smallest_budget:  # what asks nothing has nothing to tune
        return cells
    searched = fit.kind.searched(**fit.options)
    tried = variants(Spec.parse(fit.algorithm), searched, sweep.tuning.trials, sweep.protocol.seed)
    if skip is None and len(tried) > 1:
        cells += [
            cell(fit.trials_split(), "trial", number, name, kind="trial", trial=number, variant=name)
            for number, name in enumerate(tried)
        ]
    # Where nothing is left open, tuned cells are the default cells again, and cost nothing.
    spent = 0 if len(tried) == 1 else None
    return cells + [
        cell(repetition, "tuned", tried, kind="tuned", evaluations=spent)
        for repetition in range(sweep.repetitions)
    ]


def builder_of(sweep: Sweep, *, planning: bool = False) -> Builder:
    """What builds the sweep's tasks, on its device; for ``planning``, without weights where it can be."""
    usual = sweep.measured_by()
    with sweep.naming("exceptions"):
        protocols = {
            str(canonical_task(name, sweep.objective)): dataclasses.replace(usual, **each.sizes)
            for each in sweep.exceptions
            for name in each.tasks
            if each.sizes
        }
    device = device_of(sweep)
    return Builder(sweep.definitions, usual, device, sweep.dtype, planning=planning, protocols=protocols)


def device_of(sweep: Sweep) -> str:
    """The device that ``auto`` means here; raises UserError for one that this machine lacks."""
    import torch

    if sweep.device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, number = sweep.device.partition(":")
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        raise UserError(f"{sweep.where('device')}: this machine has no {sweep.device}; use cpu or auto")
    return sweep.device


def _check_unaltered(data: Any) -> None:
    try:
        check_seal(data)
    except ValueError as error:
        raise UserError(f"plan.json: {error}; plan the sweep again") from error


def _check_types(cells: list[dict[str, Any]]) -> None:
    """Raise ValueError for a value of another type, or an id that is none: ids become names of folders."""
    from pydantic import TypeAdapter, ValidationError

    try:
        TypeAdapter(list[Cell]).validate_json(json.dumps(cells), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise ValueError(f"cells.{place}: {complaint(first)}") from None
    for number, cell in enumerate(cells):
        if not _ID.fullmatch(cell["id"]):
            raise ValueError(f"cells.{number}.id: must be 12 hexadecimal digits, got {shown(cell['id'])}")


def canonical_task(name: str, objective: str) -> TaskSpec | Spec:
    """A task with its objective resolved, so that its name says all: the usual one is left out.

    >>> str(canonical_task("sst2/roberta-large/prompt", "accuracy"))
    'sst2/roberta-large/prompt[objective=accuracy]'
    >>> str(canonical_task("sst2/roberta-large/prompt[objective=cross-entropy]", "accuracy"))
    'sst2/roberta-large/prompt'
    """
    spec = parse_task(name)
    if isinstance(spec, Spec):
        return spec
    chosen = spec.objective or objective
    return dataclasses.replace(spec, objective=None if chosen == DEFAULT_OBJECTIVE else chosen)


def algorithm_seed(algorithm: str, task: str, repetition: int) -> int:
    """A seed in 1 .. 2**31 - 1 from canonical names; the same on every machine.

    >>> algorithm_seed("random", "sphere", 0) == algorithm_seed("random", "sphere", 0)
    True
    """
    # Not 0: some libraries take it for "choose one by the clock".
    return int.from_bytes(_digest([algorithm, task, repetition])[:8], "big") % (2**31 - 1) + 1


def _digest(content: Any) -> bytes:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).digest()


def _refuse_shadows(sweep: Sweep) -> None:
    for key, registry, defined in (("datasets", DATASETS, sweep.datasets), ("models", MODELS, sweep.models)):
        for name in defined:
            if name in registry.names():
                party = registry.provider(name)
                raise UserError(
                    f"{sweep.where(f'{key}.{name}')}: the name is registered by {party}; choose another"
                )


def _refuse_twice(names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"{name!r} is listed twice; remove one")

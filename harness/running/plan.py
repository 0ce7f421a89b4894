"""The cells of a sweep: every task, algorithm and repetition, with what can be decided before running."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.core.errors import UserError
from harness.plugins.build import DEFAULT_OBJECTIVE, Builder, algorithm_class, naming
from harness.plugins.registry import DATASETS, MODELS, OBJECTIVES
from harness.plugins.spec import Spec, TaskSpec, parse_task
from harness.running.schema import SCHEMA_VERSION
from harness.running.sweep_file import Sweep

UNTOUCHED = "zero-shot"
"""The reference that every sweep has: the model as it is."""


@dataclass(frozen=True)
class Cell:
    """One run: a task, an algorithm and a repetition.

    Args:
        id: 12 hexadecimal digits, a hash of everything the result depends on.
        task: canonical name, the objective with it where it is not the usual one.
        algorithm: canonical name with options.
        repetition: counted from 0.
        budget: candidate evaluations that may be spent.
        evaluations: that are spent at most: the budget, or 0 for an algorithm that asks nothing.
        data_seed: of the data split; the same for every algorithm of a repetition.
        algorithm_seed: of the algorithm, in 1 .. 2**31 - 1.
        dimension: d of the task's space.
        reference: a marked reference row, not a contestant.
        skip: why the algorithm does not fit the task, in one sentence; None for a cell that runs.
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
        """The plan as JSON text, the same bytes for the same plan."""
        cells = [dataclasses.asdict(cell) for cell in self.cells]
        return (
            json.dumps({"sweep": self.sweep.to_dict(), "cells": cells}, indent=1, ensure_ascii=False) + "\n"
        )

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """The plan that ``to_json`` wrote; raises UserError for any other text."""
        try:
            data = json.loads(text)
            return cls(Sweep.from_dict(data["sweep"]), tuple(Cell(**cell) for cell in data["cells"]))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(
                f"plan.json: not a plan of this version ({error}); plan the sweep again"
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
    with sweep.naming("algorithms"):
        names = [Spec.parse(name) for name in sweep.algorithms]
        if UNTOUCHED not in {name.name for name in names}:
            names.append(Spec(UNTOUCHED))
        _refuse_twice([str(name) for name in names])
        algorithms = {str(name): algorithm_class(name) for name in names}
    with sweep.naming("tasks"):
        tasks = [canonical_task(name, sweep.objective) for name in sweep.tasks]
        _refuse_twice([str(task) for task in tasks])
    builder = builder or builder_of(sweep)
    cells = []
    for task in tasks:
        with sweep.naming("tasks"), naming(str(task)):
            made = builder.task(task)
            dimension, has_gradients = made.dimension, made.has_gradients
            content = _content(sweep, builder, task)
        for algorithm, (kind, options) in algorithms.items():
            with sweep.naming("algorithms"), naming(algorithm):
                skip = kind.misfit(dimension, sweep.budget, **options)
                if kind.needs_gradient and not has_gradients:
                    skip = "it needs gradients, and this task's objective has none"
            for repetition in range(sweep.repetitions):
                identity = [*content, algorithm, repetition]
                cells.append(
                    Cell(
                        id=_digest(identity).hex()[:12],
                        task=str(task),
                        algorithm=algorithm,
                        repetition=repetition,
                        budget=sweep.budget,
                        evaluations=sweep.budget if kind.smallest_budget else 0,
                        data_seed=sweep.protocol.seed + repetition,
                        algorithm_seed=algorithm_seed(algorithm, str(task), repetition),
                        dimension=dimension,
                        reference=kind.reference,
                        skip=skip,
                    )
                )
    return Plan(sweep, tuple(cells))


def builder_of(sweep: Sweep) -> Builder:
    """What builds the sweep's tasks, on its device."""
    return Builder(sweep.definitions, sweep.measured_by(), device_of(sweep), sweep.dtype)


def device_of(sweep: Sweep) -> str:
    """The device that ``auto`` means here; raises UserError for one that this machine lacks."""
    import torch

    if sweep.device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, number = sweep.device.partition(":")
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        raise UserError(f"{sweep.where('device')}: this machine has no {sweep.device}; use cpu or auto")
    return sweep.device


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


def _content(sweep: Sweep, builder: Builder, task: TaskSpec | Spec) -> list[Any]:
    # Without the timeout: a cell that ended is the same cell under a longer one.
    protocol = sweep.protocol.model_dump(exclude={"timeout"})
    kind = builder.device.partition(":")[0]
    return [SCHEMA_VERSION, str(task), builder.content(task), sweep.budget, protocol, sweep.dtype, kind]


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

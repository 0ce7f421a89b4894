"""A smoke run: every part of a sweep in seconds, with tiny models and small samples of the data.

Its figures say nothing about the real ones. Names in its tables carry ``smoke=true`` wherever a model or a
data set is replaced, the column ``smoke`` marks every row, and its cells have ids of their own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from harness.plugins.spec import Spec, TaskSpec

if TYPE_CHECKING:
    from harness.plugins.build import Builder
    from harness.running.sweep_file import Sweep

LIMITS = {"per_class": 2, "minibatch": 2, "dev_points": 2, "test_rows": 8, "train_rows": 4, "dev_rows": 4}
"""At most so many, in the protocol and in the options of a data set."""
BUDGETS = (4, 8, 12, 16, 20, 24)
"""A smoke run's budget is the least of these that all algorithms accept."""
TRIALS = 2


def cut(sweep: Sweep) -> dict[str, Any]:
    """The keys of a sweep that a smoke run lowers, with their values.

    >>> from harness.running.sweep_file import Sweep
    >>> sweep = Sweep.from_flags(tasks="sphere", algorithms="random", budget=9000, smoke=True)
    >>> sweep.repetitions, sweep.budget, sweep.protocol.test_rows
    (1, 24, 8)
    """
    given = {name: getattr(sweep.protocol, name) for name in LIMITS}
    limits = {name: min(value, LIMITS[name]) for name, value in given.items() if value is not None}
    keys: dict[str, Any] = {
        "repetitions": 1,
        "budget": min(sweep.budget, BUDGETS[-1]),
        "protocol": sweep.protocol.model_copy(update=limits),
        "exceptions": tuple(
            each.model_copy(update={"budget": None, "train_rows": None, "dev_rows": None})
            for each in sweep.exceptions
        ),
    }
    if sweep.tuning is not None:
        trials = min(sweep.tuning.trials, TRIALS)
        keys["tuning"] = sweep.tuning.model_copy(update={"trials": trials})
    return keys


def smoked(task: TaskSpec | Spec, builder: Builder) -> TaskSpec | Spec:
    """The task with a small sample for its data set and a tiny model for its model, where they offer one.

    >>> from harness.plugins.build import Builder
    >>> str(smoked(TaskSpec.parse("sentiment/reference/prompt"), Builder()))
    'sentiment/reference/prompt'
    """
    if isinstance(task, Spec):
        return task
    options = dict(task.dataset.options)
    options |= {name: str(LIMITS[name]) for name in options if name in LIMITS}
    dataset = Spec(task.dataset.name, tuple(options.items()))
    return dataclasses.replace(
        task,
        per_class=None if task.per_class is None else str(LIMITS["per_class"]),
        dataset=_with(dataset, builder.takes(task.dataset, "dataset", "smoke")),
        model=_with(task.model, builder.takes(task.model, "model", "smoke")),
    )


def _with(spec: Spec, smoke: bool) -> Spec:
    return Spec(spec.name, (*(dict(spec.options) | {"smoke": "true"}).items(),)) if smoke else spec


def least_budget(most: int, reasons: Iterable[Mapping[int, str | None]]) -> int:
    """The least budget that is accepted by all who accept any.

    Args:
        most: the sweep's own.
        reasons: for each task and algorithm, why it does not fit under each budget; None where it does.

    >>> least_budget(24, [{4: None, 8: None}, {4: "too small", 8: None}, {4: "never", 8: "never"}])
    8
    """
    wanted = [entry for entry in reasons if any(reason is None for reason in entry.values())]
    for budget in BUDGETS:
        if budget <= most and all(entry.get(budget, "") is None for entry in wanted):
            return budget
    return most

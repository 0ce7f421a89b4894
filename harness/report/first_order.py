"""The first-order row of tables in which none was run: it is there, marked as missing."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import pandas as pd

from harness.core.errors import UserError
from harness.plugins.build import DEFAULT_OBJECTIVE, algorithm_class
from harness.plugins.registry import OBJECTIVES, TASKS, reading_results
from harness.plugins.spec import TaskSpec, parse_task
from harness.report.wording import listed

NAME = "first-order"
"""Of the row, where no algorithm gives it one."""

USUAL = "adam"
"""The first-order reference that a sweep is told to list."""

NOT_RUN = "not run"
"""What stands beside a row that no cell was planned for."""


def missing_first_order(cells: pd.DataFrame) -> dict[str, str]:
    """Of each task that has gradients and no first-order reference planned: why, and how to get one.

    Args:
        cells: as ``with_first_order`` gives them.

    >>> rows = [("sentiment/reference/prompt", "contestant"), ("topic/reference/prompt", "first-order"),
    ...         ("topic/reference/prompt[objective=accuracy]", "contestant")]
    >>> cells = pd.DataFrame(rows, columns=["task", "role"]).assign(dimension=10, budget=100)
    >>> missing_first_order(cells)
    {'sentiment/reference/prompt': "not run: list adam among the sweep's algorithms to have it"}
    """
    planned = set(cells.loc[cells["role"] == NAME, "task"])
    found = {}
    for task, rows in cells[~cells["task"].isin(planned)].groupby("task", sort=False):
        if has_gradients(str(task)):
            sizes = [rows[name].dropna() for name in ("dimension", "budget")]
            known = [int(each.iloc[0]) for each in sizes if len(each)]
            found[str(task)] = _why(*known) if len(known) == len(sizes) else _why(0, 1000)
    return found


@lru_cache
def has_gradients(task: str) -> bool:
    """Whether a task says that gradients may be asked for: by its objective, or by itself.

    Of a plugin that is not installed, or that nobody has asked for, nothing is known: it has none.

    >>> has_gradients("sst2/roberta-large/prompt"), has_gradients("sst2/roberta-large/prompt[objective=accuracy]")
    (True, False)
    >>> has_gradients("sphere"), has_gradients("nobody-has-this")
    (True, False)
    """  # noqa: E501
    try:
        spec = parse_task(task)
        with reading_results():
            if isinstance(spec, TaskSpec):
                objective = OBJECTIVES.load(spec.objective or DEFAULT_OBJECTIVE)
                return bool(getattr(objective, "differentiable", False))
            return bool(getattr(TASKS.load(spec.name), "has_gradients", False))
    except UserError:
        return False


@lru_cache
def _why(dimension: int, budget: int) -> str:
    misfit = algorithm_class(USUAL)[0].misfit(dimension, budget)
    if misfit:
        return f"{NOT_RUN}: {USUAL} does not fit, {misfit}"
    return f"{NOT_RUN}: list {USUAL} among the sweep's algorithms to have it"


def in_words(missing: Mapping[str, str], tasks: int) -> str:
    """The missing rows in one line; empty where none is.

    Args:
        missing: as ``missing_first_order`` gives it.
        tasks: how many tasks the line is about.

    >>> in_words({"a": "not run: why"}, 1), in_words({"a": "not run: why"}, 2)
    ('first-order reference not run: why', 'first-order reference on a not run: why')
    """
    said = []
    for reason in dict.fromkeys(missing.values()):
        own = [task for task, why in missing.items() if why == reason]
        place = "" if len(own) == tasks else f" on {listed(own)}"
        said.append(f"first-order reference{place} {reason}")
    return "; ".join(said)

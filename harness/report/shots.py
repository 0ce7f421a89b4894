"""One task at several numbers of examples: how much data a method needs."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, NamedTuple

from harness.core.errors import UserError
from harness.plugins.spec import Spec, TaskSpec, parse_task
from harness.running.files import DamagedError, read_json
from harness.running.store import PLAN

if TYPE_CHECKING:
    from harness.running.results import Results

_KEY = "per_class"


class Shots(NamedTuple):
    """A task as it would be named without its number of examples, and that number per class."""

    base: str
    k: int


def shots(results: Results) -> dict[str, Shots]:
    """The tasks that are there at several numbers of examples per class.

    A task says its number by ``per_class``, of the tuning or of the data set; else it is the protocol's.

    Args:
        results: of a sweep; without its plan, only tasks that say their number are known.

    >>> from pathlib import Path
    >>> from harness.running.results import Results
    >>> from harness.running.schema import make_table
    >>> rows = [{"task": f"sst2/roberta-large/prompt[per_class={k}]"} for k in (4, 16)]
    >>> shots(Results(Path("nowhere"), {"runs": make_table("runs", rows)}))["sst2/roberta-large/prompt[per_class=4]"]
    Shots(base='sst2/roberta-large/prompt', k=4)
    """  # noqa: E501
    usual = _protocol(results)
    found = {task: each for task in dict.fromkeys(results.runs["task"]) if (each := _shots(task, usual))}
    several = {each.base for each in found.values()}
    several = {base for base in several if len({each.k for each in found.values() if each.base == base}) > 1}
    return {task: each for task, each in found.items() if each.base in several}


def _shots(task: str, usual: int | None) -> Shots | None:
    try:
        spec = parse_task(task)
    except UserError:  # stored by others, under a name that is none here
        return None
    if not isinstance(spec, TaskSpec):
        return None
    of_data = dict(spec.dataset.options)
    said = spec.per_class or of_data.pop(_KEY, None)
    k = int(said) if said and said.isdecimal() else usual
    dataset = Spec(spec.dataset.name, tuple(of_data.items()))
    base = str(dataclasses.replace(spec, dataset=dataset, per_class=None))
    return None if k is None else Shots(base, k)


def _protocol(results: Results) -> int | None:
    """Rows per class of the sweep; None where it is unknown, or rows are drawn without regard to class."""
    try:
        sweep: Any = read_json(results.path / PLAN)["sweep"]
        protocol = sweep["protocol"]
        sized = [protocol, *(sweep.get("exceptions") or ())]
        if any(each.get(key) is not None for each in sized for key in ("train_rows", "dev_rows")):
            return None
        return int(protocol.get(_KEY, 16))
    except (DamagedError, KeyError, TypeError, ValueError, AttributeError):
        return None

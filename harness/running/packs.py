"""What goes to a task at once, and who is to blame where that fails."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from harness.core.task import Task
from harness.core.untuned import Untuned
from harness.running.cell import ContractError
from harness.running.member import Member

Item = TypeVar("Item")
Answer = TypeVar("Answer")
Entry = TypeVar("Entry", bound=tuple[Member, Any])


def packs(entries: Sequence[Entry]) -> list[tuple[Task, list[Entry]]]:
    """A round's entries task by task; one by one where a task's cells share no forward.

    Without a shared forward one clock over unlike paths (a gradient here, noise there) would say nothing. So
    with what is answered without tuning: its prompts may be many times as long.
    """
    found: list[tuple[Task, list[Entry]]] = []
    open_packs: dict[int, list[Entry]] = {}
    for entry in entries:
        task = entry[0].task
        if isinstance(entry[1], Untuned):
            found.append((task, [entry]))
        elif task.shares_forward and id(task) in open_packs:
            open_packs[id(task)].append(entry)
        else:
            open_packs[id(task)] = [entry]
            found.append((task, open_packs[id(task)]))
    return found


def packed(call: Callable[[list[Item]], Sequence[Answer]], items: list[Item]) -> list[Answer | Exception]:
    """Answers to all items from one call; where it raises, item by item, so that only culprits fail.

    >>> def inverses(numbers):
    ...     return [1 / number for number in numbers]
    >>> packed(inverses, [1, 0, 4])
    [1.0, ZeroDivisionError('division by zero'), 0.25]
    """
    try:
        answers = list(call(items))
        if len(answers) != len(items):
            raise ContractError(f"the task gave {len(answers)} answers to {len(items)} requests")
    except Exception as error:
        if len(items) == 1:
            return [error]
        return [packed(call, [item])[0] for item in items]
    return list(answers)

"""A follower's side: the same algorithms on the same losses, and slices of what they ask for."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch

from harness.core.algorithm import Algorithm
from harness.core.budget import Budget
from harness.core.population import Population
from harness.core.task import Request, Task
from harness.running.plan import Cell
from harness.running.runner import Workshop
from harness.running.sharding.messages import (
    Slice,
    answer_message,
    decoded,
    encoded,
    fingerprint,
)


@dataclass(eq=False)
class _Held:
    """An algorithm, the task it runs on, the budget it reads, and what it asked for last."""

    task: Task
    algorithm: Algorithm
    shown: Budget
    asked: Population | None = None


class Replica:
    """Acts on a leader's messages, one after another.

    What an algorithm raises is its leader's business, where it raises the same: here it only leaves a
    population that will not be the one that the leader means.

    Args:
        workshop: builds the same objects as the leader's.
    """

    def __init__(self, workshop: Workshop) -> None:
        self.workshop = workshop
        self._held: dict[int, _Held] = {}

    def act(self, message: bytes) -> bytes | None:
        """The answer to a message; None for those that want none."""
        content = decoded(message)
        kind = content.pop("kind")
        if kind == "evaluate":
            try:
                return self._evaluate([Slice(**each) for each in content["slices"]])
            except Exception as error:
                return encoded("error", reason=f"{type(error).__name__}: {error}")
        with suppress(Exception):
            getattr(self, f"_{kind}")(**content)
        return None

    def _load(self, cell: dict[str, Any]) -> None:
        _ = self.workshop.task(Cell(**cell)).space.device

    def _make(self, algorithm: int, cell: dict[str, Any]) -> None:
        planned = Cell(**cell)
        task, shown = self.workshop.task(planned), Budget(planned.budget)
        self._held[algorithm] = _Held(task, self.workshop.algorithm(planned, task, shown), shown)

    def _ask(self, algorithm: int, spent: int, remaining: int) -> None:
        held = self._told(algorithm, spent)
        held.asked = None
        held.asked = held.algorithm.ask(remaining)

    def _tell(self, algorithm: int, spent: int, losses: list[float]) -> None:
        held = self._told(algorithm, spent)
        if held.asked is not None:
            held.algorithm.tell(held.asked, torch.tensor(losses, dtype=torch.float64))

    def _best(self, algorithm: int, spent: int) -> None:
        self._told(algorithm, spent).algorithm.best()

    def _drop(self, algorithm: int) -> None:
        self._held.pop(algorithm, None)

    def _told(self, algorithm: int, spent: int) -> _Held:
        held = self._held[algorithm]
        held.shown.spent = spent
        return held

    def _evaluate(self, slices: list[Slice]) -> bytes:
        requests, task = [], None
        for each in slices:
            held = self._held.get(each.algorithm)
            if held is None or held.asked is None or fingerprint(held.asked) != each.fingerprint:
                return encoded("astray")
            part, task = held.asked[each.first : each.last], held.task  # all of a message are of one task
            requests.append(Request(part, each.repetition, each.generation))
        return answer_message(task.evaluate(requests) if task else [])

"""A workshop whose algorithms have replicas elsewhere, and whose tasks share the work with them."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, cast

from torch import Tensor

from harness.core.algorithm import Algorithm
from harness.core.budget import Budget
from harness.core.population import Population
from harness.core.task import Evaluation, Request, Task
from harness.running.runner import Workshop
from harness.running.sharding.leader import Leader

if TYPE_CHECKING:
    from harness.running.plan import Cell


def sharded(workshop: Workshop, leader: Leader) -> Workshop:
    """The same tasks and algorithms, with populations shared among the leader and its followers.

    An algorithm whose replicas would go other ways (``deterministic`` is False), or that is told gradients,
    which are of the space's size, is left to the leader alone; and so is scoring.
    """
    tasks: dict[str, Task] = {}

    def make_task(cell: Cell) -> Task:
        if str(cell.task) not in tasks:
            leader.tell_all("load", cell=asdict(cell))  # they load while this one does
            tasks[str(cell.task)] = cast("Task", ShardedTask(workshop.task(cell), leader))
        return tasks[str(cell.task)]

    def make_algorithm(cell: Cell, task: Task, budget: Budget) -> Algorithm:
        algorithm = workshop.algorithm(cell, task, budget)
        if algorithm.deterministic and not algorithm.needs_gradient:
            return cast("Algorithm", LedAlgorithm(algorithm, budget, leader, leader.enlist(cell)))
        return algorithm

    return Workshop(make_task, make_algorithm)


class LedAlgorithm:
    """An algorithm all of whose calls are passed on before they are made here; in all else itself.

    Args:
        inner: the algorithm.
        budget: that it reads.
        leader: who passes on.
        number: of the replicas.
    """

    def __init__(self, inner: Algorithm, budget: Budget, leader: Leader, number: int) -> None:
        self._inner, self._budget, self._leader, self._number = inner, budget, leader, number
        weakref.finalize(self, leader.tell_all, "drop", algorithm=number).atexit = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def ask(self, remaining: int) -> Population | None:
        """What the algorithm asks for; its population is known to the leader from then on."""
        self._pass_on("ask", remaining=remaining)
        population = self._inner.ask(remaining)
        if isinstance(population, Population):
            self._leader.asked(population, self._number)
        return population

    def tell(self, population: Population, losses: Tensor, gradients: Tensor | None = None) -> None:
        """Pass the losses on and take them in."""
        self._pass_on("tell", losses=losses.tolist())
        self._inner.tell(population, losses, gradients)

    def best(self) -> Any:
        """What would be reported now."""
        self._pass_on("best")  # it may change what is asked for next
        return self._inner.best()

    def _pass_on(self, kind: str, **content: Any) -> None:
        self._leader.tell_all(kind, algorithm=self._number, spent=self._budget.spent, **content)


class ShardedTask:
    """A task that evaluates together with its leader's followers; in all else itself.

    Args:
        inner: the task.
        leader: who shares the work out.
    """

    def __init__(self, inner: Task, leader: Leader) -> None:
        self._inner, self._leader = inner, leader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def evaluate(self, requests: Sequence[Request]) -> list[Evaluation]:
        """Losses of many populations, of which each rank has evaluated a part."""
        return self._leader.evaluate(self._inner, requests)

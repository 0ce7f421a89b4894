"""What a running sweep tells whoever is watching."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.running.plan import Cell


class Observer:
    """Called by the runner, in its thread; every method may be left out. This one is silent.

    >>> Observer().note("nothing is printed")
    """

    def begin(self, cells: Sequence[Cell], done: Sequence[Cell]) -> None:
        """The sweep starts; ``cells`` are all that can run, ``done`` those that need not run again."""

    def task_begins(self, task: str, cells: Sequence[Cell]) -> None:
        """The first of a task's cells is about to run; those of other tasks may go on beside them."""

    def advanced(self, cell: Cell, evaluations: int) -> None:
        """A cell has spent so many evaluations so far."""

    def ended(self, cell: Cell, status: str, reason: str | None) -> None:
        """A cell is over: finished, failed or timeout."""

    def note(self, line: str) -> None:
        """Something that the user should know, in one line."""

    def end(self) -> None:
        """The sweep is over, or was broken off."""

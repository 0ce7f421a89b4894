"""Showing how a sweep goes: bars on a terminal, an occasional line elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from harness.plugins.messages import visible
from harness.running.observer import Observer

if TYPE_CHECKING:
    from harness.running.plan import Cell

LINE_SECONDS = 30.0
"""Between two lines, where there are no bars."""


def watching(quiet: bool = False, stream: TextIO | None = None) -> Observer:
    """Bars where the stream (standard error) is a terminal, lines otherwise, nothing when quiet.

    >>> type(watching(quiet=True)).__name__
    'Observer'
    """
    stream = stream or sys.stderr
    if quiet:
        return Observer()
    return Bars(stream) if stream.isatty() else Lines(stream)


@dataclass
class _Count:
    """Of a task that runs: cells that have not ended, and evaluations."""

    cells: int
    total: int
    spent: int = 0


class _Counting(Observer):
    """Counts evaluations per task and in all; what is shown is left to others."""

    def __init__(self) -> None:
        self.total = self.spent = 0
        self.tasks: dict[str, _Count] = {}
        self._by_cell: dict[str, int] = {}

    def begin(self, cells: Sequence[Cell], done: Sequence[Cell]) -> None:
        """Sum up what there is to spend."""
        known = {cell.id for cell in done}
        self.total = sum(cell.evaluations for cell in cells if cell.id not in known)

    def task_begins(self, task: str, cells: Sequence[Cell]) -> None:
        """Start a task's own count."""
        self.tasks[task] = _Count(len(cells), sum(cell.evaluations for cell in cells))

    def advanced(self, cell: Cell, evaluations: int) -> None:
        """Count what a cell has spent more than before."""
        more = evaluations - self._by_cell.get(cell.id, 0)
        self._by_cell[cell.id] = evaluations
        self.spent += more
        self.tasks[cell.task].spent += more

    def ended(self, cell: Cell, status: str, reason: str | None) -> None:
        """A cell that stops early has nothing left to spend; a task is over with its last cell."""
        self.advanced(cell, cell.evaluations)
        self.tasks[cell.task].cells -= 1
        if not self.tasks[cell.task].cells:
            self.task_ends(cell.task)
            del self.tasks[cell.task]
        if status != "finished":
            self.note(f"{status}: {cell.task}, {cell.algorithm}, repetition {cell.repetition}: {reason}")

    def task_ends(self, task: str) -> None:
        """The last cell of a task is over."""


class Bars(_Counting):
    """A bar for the sweep and one for each task that runs, with the time left."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("evaluations"),
            TimeRemainingColumn(),
            console=Console(file=stream),
            transient=True,
        )
        self._all = self.progress.add_task("sweep", total=None)
        self._bars: dict[str, TaskID] = {}

    def begin(self, cells: Sequence[Cell], done: Sequence[Cell]) -> None:
        """Show the bar of the sweep."""
        super().begin(cells, done)
        self.progress.update(self._all, total=self.total)
        self.progress.start()

    def task_begins(self, task: str, cells: Sequence[Cell]) -> None:
        """Show the bar of the task."""
        super().task_begins(task, cells)
        self._bars[task] = self.progress.add_task(escape(visible(task)), total=self.tasks[task].total)

    def advanced(self, cell: Cell, evaluations: int) -> None:
        """Move both bars."""
        super().advanced(cell, evaluations)
        self.progress.update(self._all, completed=self.spent)
        self.progress.update(self._bars[cell.task], completed=self.tasks[cell.task].spent)

    def task_ends(self, task: str) -> None:
        """Take the bar of the task away."""
        self.progress.remove_task(self._bars.pop(task))

    def note(self, line: str) -> None:
        """A line above the bars."""
        self.progress.console.print(escape(visible(line)), highlight=False)

    def end(self) -> None:
        """Take the bars away."""
        self.progress.stop()


class Lines(_Counting):
    """Plain lines for logs: where each task begins, what failed, and now and then how far it is."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self.stream = stream
        self._said = time.monotonic()

    def begin(self, cells: Sequence[Cell], done: Sequence[Cell]) -> None:
        """Say how much there is."""
        super().begin(cells, done)
        self.note(f"{len(cells)} cells, {len(done)} of them done, {self.total} evaluations to go")

    def task_begins(self, task: str, cells: Sequence[Cell]) -> None:
        """Say which task it is."""
        super().task_begins(task, cells)
        self.note(f"{task}: {len(cells)} cells")

    def advanced(self, cell: Cell, evaluations: int) -> None:
        """Say how far it is, if that was long ago."""
        super().advanced(cell, evaluations)
        if time.monotonic() - self._said >= LINE_SECONDS:
            parts = [f"{task}: {count.spent}/{count.total}" for task, count in self.tasks.items()]
            self.note(f"{', '.join(parts)} evaluations")

    def note(self, line: str) -> None:
        """One line."""
        self._said = time.monotonic()
        print(visible(line), file=self.stream, flush=True)

"""What is handed to workers, and who is suspected when one of them dies."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.plugins.spec import Spec, parse_task

if TYPE_CHECKING:
    from harness.running.plan import Cell

LEAST = 4
"""Cells that a worker is handed at least, where there are more."""


@dataclass(frozen=True)
class Unit:
    """Cells that are handed to a worker at once.

    Args:
        cells: in the order in which they begin.
        alone: one that was suspected, and runs alone to show whether that was right.
    """

    cells: tuple[Cell, ...]
    alone: bool = False


class Work:
    """The units that wait.

    One worker is handed everything. Several are handed less the less is left, so that they end together;
    each goes on with the model that it has, while there is anything left to do with it.

    Args:
        cells: in their order.
        workers: how many share them.
    """

    def __init__(self, cells: Sequence[Cell], workers: int) -> None:
        self.workers = workers
        self._units: deque[Unit] = deque()
        self._groups: dict[str, deque[Cell]] = {}
        for cell in cells:
            self._groups.setdefault("" if workers == 1 else group(cell), deque()).append(cell)

    def __bool__(self) -> bool:
        return bool(self._units) or any(self._groups.values())

    def next(self, last: str | None = None, busy: Collection[str] = ()) -> Unit | None:
        """What a worker does next; None where nothing waits.

        Args:
            last: the group that it worked on.
            busy: groups that others work on.
        """
        groups = {name: cells for name, cells in self._groups.items() if cells}
        if not groups:
            return self._units.popleft() if self._units else None
        free = {name: cells for name, cells in groups.items() if name not in busy}
        name = last if last in groups else max(free or groups, key=lambda each: len(groups[each]))
        cells = groups[name]
        size = len(cells) if self.workers == 1 else max(LEAST, -(-len(cells) // (2 * self.workers)))
        return Unit(tuple(cells.popleft() for _ in range(min(size, len(cells)))))

    def died(self, unit: Unit, left: Sequence[Cell], acting: Collection[str]) -> Cell | None:
        """Put back what a worker left when it died; the culprit, where that is certain now.

        Args:
            unit: that it worked on.
            left: its cells that have not ended.
            acting: ids of those that acted when it died; where none did, each may have been the cause.
        """
        if unit.alone:
            return left[0] if left else None
        suspects = [cell for cell in left if cell.id in acting] or list(left)
        self.back([cell for cell in left if cell not in suspects])
        half = (len(suspects) + 1) // 2
        for part in (suspects[:half], suspects[half:]):
            if part:
                self._units.append(Unit(tuple(part), alone=len(part) == 1))
        return None

    def back(self, cells: Sequence[Cell]) -> None:
        """Put cells back before all others."""
        for cell in reversed(cells):
            self._groups.setdefault("" if self.workers == 1 else group(cell), deque()).appendleft(cell)


def group(cell: Cell) -> str:
    """What a worker keeps loaded between two units: the model of a cell's task, or the task."""
    task = parse_task(cell.task)
    return cell.task if isinstance(task, Spec) else str(task.model)

"""The cells of a plan in this process: nothing is started, and what breaks the process breaks the sweep."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from harness.running.environment import environment, environment_key
from harness.running.executors.base import Executor
from harness.running.files import DamagedError
from harness.running.fragments import CellState
from harness.running.observer import Observer
from harness.running.runner import Workshop, run_cells
from harness.running.store import Store

if TYPE_CHECKING:
    from harness.running.plan import Cell

LOOK_SECONDS = 0.5
"""Between two looks at cells that others run."""


class Inline(Executor):
    """Runs cells where it is called, to look at them with a debugger or in a notebook."""

    planning = False

    def run(self, cells: Sequence[Cell], retry: bool = False) -> None:
        """Run what is not done, and wait for others; see ``Executor.run``."""
        session = self.session
        machine = environment(session.builder.device, session.builder.dtype)
        session.store.add_environment(environment_key(machine), machine)
        run = partial(
            run_cells,
            store=session.store,
            workshop=Workshop.of(session.builder),
            protocol=session.builder.protocol,
            environment=environment_key(machine),
            observer=session.observer,
            breakdown=session.breakdown,
            retry=retry,
            flush_seconds=session.flush_seconds,
        )
        run_all(cells, session.store, session.observer, run)


def run_all(
    cells: Sequence[Cell], store: Store, observer: Observer, run: Callable[[Sequence[Cell]], None]
) -> None:
    """Run what can be claimed, and wait for the rest: should its owner die, it is run here.

    Args:
        cells: of a plan; skipped ones are not run.
        store: open.
        observer: is told that others are waited for.
        run: runs those of the cells that no other has claimed.

    >>> import tempfile
    >>> with Store(tempfile.mkdtemp()) as store:
    ...     run_all([], store, Observer(), run=print)
    """
    left, said = [cell for cell in cells if cell.skip is None], False
    while left:
        run(left)
        while left := unfinished(left, store):
            if any(store.claims.take(cell.id) for cell in left):
                break
            if not said:
                observer.note(f"{store.path}: another sweep runs {len(left)} of the cells; waiting for it")
                said = True
            time.sleep(LOOK_SECONDS)


def unfinished(cells: Sequence[Cell], store: Store) -> list[Cell]:
    """Those of the cells that have not ended."""
    return [cell for cell in cells if (state := stored(cell, store)) is None or not state.done]


def stored(cell: Cell, store: Store) -> CellState | None:
    """How a cell stands; None where it has not begun, or nothing of it can be read."""
    try:
        return store.cell(cell.id).state()
    except DamagedError:
        return None

"""A worker on a cluster: an actor of Ray beside which a process of its own runs the cells it is handed.

The process is that of ``harness.running.executors.local``: whatever an algorithm does to it, the actor lives
and says which cell it was. Results go to a temporary folder first, and from there to whoever looks.
"""

from __future__ import annotations

import os
import queue
import shutil
import tempfile
import threading
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.core.errors import UserError
from harness.running.clock import Breakdown
from harness.running.executors.base import Session
from harness.running.executors.local import Local, Workers
from harness.running.executors.ray_files import Changed, Sender, put
from harness.running.files import DamagedError, read_json
from harness.running.observer import Observer
from harness.running.plan import builder_of
from harness.running.store import ENVIRONMENT, Store
from harness.running.sweep_file import Sweep

if TYPE_CHECKING:
    from harness.running.plan import Cell

LOOK_SECONDS = 0.5
"""So long a look waits for something to happen."""


class Reporter(Observer):
    """Puts what an observer is told into a queue."""

    def __init__(self, events: queue.SimpleQueue[dict[str, Any]]) -> None:
        self.events = events

    def advanced(self, cell: Cell, evaluations: int) -> None:
        """A cell has spent so many evaluations so far."""
        self.events.put({"advanced": cell.id, "evaluations": evaluations})

    def ended(self, cell: Cell, status: str, reason: str | None) -> None:
        """A cell is over."""
        self.events.put({"ended": cell.id, "status": status, "reason": reason})

    def note(self, line: str) -> None:
        """For the user."""
        self.events.put({"note": line})


class Site:
    """Runs cells, and tells whoever looks what has happened since the last look.

    Args:
        sweep: as ``Sweep.to_dict`` makes it.
        threads: of its process, for computing.
        flush_seconds: how often unfinished cells are stored.
        memory: bytes that its process may hold; None for nine tenths of the machine's.
        followers: with whom its process shares populations (``harness.running.sharding.joining``).
    """

    def __init__(
        self,
        sweep: dict[str, Any],
        threads: int,
        flush_seconds: float,
        memory: int | None,
        followers: Sequence[dict[str, Any]],
    ) -> None:
        os.environ["OMP_NUM_THREADS"] = str(threads)  # for the process; some digits depend on it
        self._words, self._flush = sweep, flush_seconds
        self._workers = Workers(1, memory, tuple(followers)) if followers else Workers(1, memory)
        self._folder = Path(tempfile.mkdtemp(prefix="gradfree-"))
        self._store = Store(self._folder)
        self._sender = Sender()
        self._cells: list[str] = []
        self._todo: queue.SimpleQueue[Sequence[Cell]] = queue.SimpleQueue()  # nothing more after none
        self._events: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        # One thread for good: its process ends with the thread that has started it.
        self._thread = threading.Thread(target=self._live, name="site", daemon=True)
        self._thread.start()

    def ready(self) -> str:
        """The version of this package here."""
        return version("gradfree")

    def hand(self, cells: Sequence[Cell], stored: Mapping[str, Mapping[str, bytes]]) -> None:
        """Run cells; of some there is a beginning, the files of which are given by the cells' ids."""
        for identity in self._cells:
            self._store.cell(identity).clear()
        self._cells = [cell.id for cell in cells]
        for identity in self._cells:
            folder = self._store.cell(identity)
            folder.clear()
            if stored.get(identity):
                put(folder, Changed(identity, stored[identity], afresh=True))
            self._sender.know(folder)
        self._todo.put(tuple(cells))

    def look(self) -> tuple[list[dict[str, Any]], list[Changed], dict[str, Any]]:
        """Events in their order, what is new of the cells' files after them, and the environments by key."""
        events = []
        try:
            events.append(self._events.get(timeout=LOOK_SECONDS))
            while True:
                events.append(self._events.get_nowait())
        except queue.Empty:
            pass
        found = (self._sender.changed(self._store.cell(identity)) for identity in self._cells)
        changed = [each for each in found if each is not None]
        try:
            machines: dict[str, Any] = read_json(self._store.path / ENVIRONMENT)
        except DamagedError:  # no cell has begun
            machines = {}
        return events, changed, machines

    def stop(self) -> None:
        """Clean up; what runs is broken off by the end of this process."""
        self._todo.put(())
        self._thread.join(timeout=1.0)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _live(self) -> None:
        try:
            self._work()
        except UserError as error:
            self._events.put({"refused": str(error)})
        except Exception:
            self._events.put({"broken": traceback.format_exc()})

    def _work(self) -> None:
        words = Sweep.from_dict(self._words)
        session = Session(
            words,
            builder_of(words, planning=True),
            self._store,
            Reporter(self._events),
            Breakdown(),
            self._flush,
        )
        with self._store, Local(self._workers) as local:
            self._store.begin("{}", words.to_yaml())
            local.begin(session)
            while cells := self._todo.get():
                local.run(cells)
                tally = Breakdown(lambda: 0.0)
                local.session = replace(session, breakdown=tally)
                local.end()
                local.session = session
                self._events.put({"done": tally.session()})

"""A worker: a process that runs the cells it is handed, and tells its supervisor how it goes.

Lines of JSON come in by standard input: first the job, then units of cells, then an end. Events go out by
what was standard output; whatever an algorithm prints goes to the log instead. A worker ends with its
supervisor, and when told to it stores what it has before.
"""

from __future__ import annotations

import faulthandler
import json
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import torch

from harness.core.errors import UserError
from harness.running.clock import Breakdown
from harness.running.cohort import StoppedError
from harness.running.environment import environment, environment_key
from harness.running.executors.acting import Guard, Record
from harness.running.observer import Observer
from harness.running.plan import Cell, builder_of
from harness.running.runner import Workshop, run_cells
from harness.running.sharding.joining import led
from harness.running.store import Store
from harness.running.sweep_file import Sweep

if TYPE_CHECKING:
    from harness.plugins.build import Builder

ADVANCED_SECONDS = 0.2
"""Between two events that say how far cells are."""


class Events(Observer):
    """Tells the supervisor what an observer is told, a line of JSON each."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.breakdown = Breakdown()
        """Where this process's time goes."""
        self._advanced: dict[str, int] = {}
        self._sent = time.monotonic()

    def send(self, **event: Any) -> None:
        """Send an event, after what it might overtake."""
        if self._advanced:
            lines = [{"advanced": self._advanced}, event]
            self._advanced, self._sent = {}, time.monotonic()
        else:
            lines = [event]
        self.stream.write("".join(json.dumps(line) + "\n" for line in lines))
        self.stream.flush()

    def advanced(self, cell: Cell, evaluations: int) -> None:
        """Now and then: how far the cells are that have advanced."""
        self._advanced[cell.id] = evaluations
        if time.monotonic() - self._sent >= ADVANCED_SECONDS:
            advanced, self._advanced = self._advanced, {}
            self.send(advanced=advanced, session=self.breakdown.session())
            self._sent = time.monotonic()

    def ended(self, cell: Cell, status: str, reason: str | None) -> None:
        """The cell is stored."""
        self._advanced.pop(cell.id, None)
        self.send(ended=cell.id, status=status, reason=reason)

    def note(self, line: str) -> None:
        """For the user."""
        self.send(note=line)


class Feed:
    """What the supervisor sends; where it is gone, this process ends at once."""

    def __init__(self, stream: TextIO) -> None:
        self._lines: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._stream = stream
        threading.Thread(target=self._read, name="feed", daemon=True).start()

    def next(self) -> dict[str, Any]:
        """The next message."""
        return self._lines.get()

    def _read(self) -> None:
        for line in self._stream:
            self._lines.put(json.loads(line))
        os._exit(1)


class Job:
    """What stays the same from unit to unit: folder, sweep, models that are loaded.

    Args:
        words: of the supervisor.
        events: to it.
        guard: of this process.
    """

    def __init__(self, words: dict[str, Any], events: Events, guard: Guard) -> None:
        self.words = words
        self.events = events
        self.guard = guard
        self.store = Store.of(Path(words["folder"]), words["owner"])
        sweep = Sweep.from_dict(words["sweep"])
        self.builder: Builder = builder_of(sweep)
        self.workshop = led(Workshop.of(self.builder), sweep, words["followers"], events.note)
        machine = environment(self.builder.device, self.builder.dtype)
        self.environment = environment_key(machine)
        events.send(environment=machine)

    def run(self, cells: Sequence[Cell]) -> None:
        """Run a unit's cells to their ends; raises as ``run_cells``."""
        run_cells(
            cells,
            self.store,
            self.workshop,
            self.builder.protocol,
            environment=self.environment,
            observer=self.events,
            breakdown=self.events.breakdown,
            flush_seconds=self.words["flush_seconds"],
            watch=self.guard,
        )


def main() -> None:
    """Run what comes, until told to end."""
    events, feed = Events(_events_stream()), Feed(sys.stdin)
    with events.breakdown.paused():
        words = feed.next()
    sharing = words["workers"] * (1 + len(words["followers"]))
    torch.set_num_threads(words["threads"] or max(1, torch.get_num_threads() // sharing))
    guard = Guard(Record(Path(words["record"])), words["memory"])

    def stop(number: int, frame: object) -> None:
        guard.told_to_stop = True

    signal.signal(signal.SIGTERM, stop)
    try:
        job = Job(words, events, guard)
        while True:
            with events.breakdown.paused():
                unit = feed.next()
            job.run([Cell(**cell) for cell in unit["cells"]])
            events.send(done=True, session=events.breakdown.session())
    except StoppedError:
        events.send(stopped=True, session=events.breakdown.session())
    except UserError as error:
        events.send(refused=str(error))
    os._exit(0)  # whatever threads an algorithm has left behind


def _events_stream() -> TextIO:
    """What was standard output; from now on what is printed goes where errors go."""
    sys.stdout.flush()
    stream = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    faulthandler.enable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the supervisor is told, and says what is to be done
    if sys.platform == "linux":
        import ctypes

        with suppress(OSError, AttributeError):
            # PR_SET_PDEATHSIG: the feed's reader may have to wait for a library that holds Python's lock.
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    return stream


if __name__ == "__main__":
    main()

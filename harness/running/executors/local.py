"""Workers on this machine: each runs cells in a process of its own, which may die without harm to others."""

from __future__ import annotations

import queue
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal

from harness.core.errors import UserError
from harness.running.environment import environment_key
from harness.running.executors.base import Executor, Session
from harness.running.executors.inline import run_all, stored
from harness.running.executors.marks import mark
from harness.running.executors.process import Event, Process
from harness.running.executors.suspects import Unit, Work, group
from harness.running.memory import machine_memory
from harness.running.plan import Cell
from harness.running.results import run_row
from harness.running.runner import triage

LOOK_SECONDS = 0.2
"""Between two looks at whether a worker hangs."""
KNOWN = 3
"""Cells of a task that have ended, of which a worker is told."""
SHARE = 0.9
"""Of the machine's memory, that all workers together may hold."""


@dataclass(frozen=True)
class Workers:
    """How many processes run the cells of a sweep.

    Args:
        count: of them; each has its share of the threads, and one of the machine's GPUs where a GPU is used.
        memory: bytes that each may hold; by default its share of nine tenths of the machine's.
        followers: with whom each shares its populations (``harness.running.sharding.joining``).
        threads: with which each computes; by default its share of those that torch would use.
    """

    count: int = 1
    memory: int | None = None
    followers: tuple[dict[str, Any], ...] = ()
    threads: int | None = None

    @property
    def limit(self) -> int:
        """Bytes that a worker may hold."""
        return self.memory or int(SHARE * machine_memory() / self.count)


class Local(Executor):
    """Runs the cells of a sweep in workers; a context that starts them and sees to it that they end.

    When a worker dies, its cells are replayed without the one that acted, which runs alone afterwards; if it
    dies then too, that cell is the one marked as failed. An algorithm that does not come back within its
    timeout is stopped and marked.

    Args:
        workers: how many, and what they may hold.

    >>> import tempfile
    >>> from harness import Sweep, sweep
    >>> words = Sweep.from_flags(tasks="sphere", algorithms="random", budget=20, repetitions=1)
    >>> sweep(words, out=tempfile.mkdtemp(), executor=Local()).runs["status"].tolist()
    ['finished', 'finished']
    """

    def __init__(self, workers: Workers | None = None) -> None:
        self.workers = workers or Workers()
        self._inbox: queue.Queue[Event] = queue.Queue()
        self._processes: list[Process] = []

    def __enter__(self) -> Local:
        # They import what they need while the plan is made.
        self._processes = [Process(number, self._inbox) for number in range(self.workers.count)]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes:
            process.stop()

    def begin(self, session: Session) -> None:
        """The plan is made: say what the job is."""
        super().begin(session)
        self._timeout = session.sweep.protocol.timeout
        self._environment = ""
        self._over: set[str] = set()
        self._sessions: dict[tuple[int, int], dict[str, Any]] = {}
        self._job: dict[str, Any] = {
            "folder": str(session.store.path.absolute()),
            "owner": session.store.claims.id,
            "sweep": session.sweep.to_dict(),
            "workers": self.workers.count,
            "threads": self.workers.threads,
            "followers": self.workers.followers,
            "memory": self.workers.limit,
            "flush_seconds": session.flush_seconds,
        }

    def run(self, cells: Sequence[Cell], retry: bool = False) -> None:
        """Run what is not done, and wait for others; see ``Executor.run``."""
        wanted = [cell for cell in cells if cell.skip is None]
        with self.session.breakdown.phase("recording"):
            done = triage(wanted, self.session.store, self.session.observer, retry)
        self.session.observer.begin(wanted, [cell for cell in wanted if cell.id in done])
        self._tasks: dict[str, list[Cell]] = {}
        self._done: dict[str, list[Cell]] = {}
        for cell in wanted:
            (self._done if cell.id in done else self._tasks).setdefault(cell.task, []).append(cell)
        try:
            left = [cell for cell in wanted if cell.id not in done]
            run_all(left, self.session.store, self.session.observer, self._run)
        finally:
            self.session.observer.end()

    def end(self) -> None:
        """Put down where the workers' time went."""
        for session in self._sessions.values():
            self.session.breakdown.absorb(session)

    def _run(self, cells: Sequence[Cell]) -> None:
        work, looked = Work(cells, self.workers.count), time.monotonic()
        with self.session.breakdown.paused():
            while True:
                for process in self._processes:
                    while process.unit is None and work:
                        self._hand(process, work)
                if not any(process.unit for process in self._processes):
                    return
                try:
                    process, serial, event = self._inbox.get(timeout=LOOK_SECONDS)
                except queue.Empty:
                    pass
                else:
                    if serial == process.serial:
                        self._note(process, event, work)
                if time.monotonic() - looked > LOOK_SECONDS:
                    looked = time.monotonic()
                    for process in self._processes:
                        self._look(process)

    def _hand(self, process: Process, work: Work) -> None:
        busy = {other.group for other in self._processes if other.unit and other.group}
        unit = work.next(process.group, busy)
        assert unit is not None
        for task in dict.fromkeys(cell.task for cell in unit.cells):
            if begun := self._tasks.pop(task, None):
                self.session.observer.task_begins(task, begun)
        # By some that are done the worker sees whether data and model are still the same.
        tasks = dict.fromkeys(cell.task for cell in unit.cells)
        known = [cell for task in tasks for cell in self._done.get(task, [])[:KNOWN]]
        process.hand(unit, known, group(unit.cells[0]), self._job)

    def _look(self, process: Process) -> None:
        """Kill it where one of its algorithms does not come back."""
        acting = process.acting() if process.unit else None
        if acting is None or acting.doing == "score":  # which is the task's own
            return
        # What an evaluation takes is divided among those who share it.
        if time.monotonic() - acting.since > self._timeout * len(acting.cells):
            process.kill()

    def _note(self, process: Process, event: dict[str, Any] | None, work: Work) -> None:
        if event is None:
            self._died(process, work)
            return
        if "session" in event:
            self._sessions[process.number, process.serial] = event["session"]
        for identity, evaluations in event.get("advanced", {}).items():
            if (cell := process.cell(identity)) is not None:
                self.session.observer.advanced(cell, evaluations)
        if "ended" in event and (cell := process.cell(event["ended"])) is not None:
            self._ended(cell, event["status"], event["reason"])
        elif "note" in event:
            self.session.observer.note(event["note"])
        elif "environment" in event:
            self._environment = environment_key(event["environment"])
            self.session.store.add_environment(self._environment, event["environment"])
        elif "refused" in event:
            raise UserError(event["refused"])
        elif "done" in event:
            process.unit = None
        elif "stopped" in event and process.unit is not None:  # for the memory that one of its cells took
            work.back(self._left(process.unit))
            process.unit = None

    def _ended(self, cell: Cell, status: str, reason: str | None) -> None:
        self._over.add(cell.id)
        self.session.breakdown.cells += 1
        self.session.observer.ended(cell, status, reason)

    def _left(self, unit: Unit) -> list[Cell]:
        """What has not ended of a unit; what has is said to have, should its worker have died before that."""
        left = []
        for cell in unit.cells:
            state = stored(cell, self.session.store)
            if state is None or not state.done:
                left.append(cell)
            elif cell.id not in self._over:
                self._ended(cell, state.status, state.row.get("reason"))
        return left

    def _died(self, process: Process, work: Work) -> None:
        """Put back what it has left, mark the culprit where it is known, and start another."""
        how, acting, unit, said = process.death(), process.acting(), process.unit, process.tail()
        hanging, process.unit = process.hanging, None
        process.close()
        process.start()
        if unit is None:
            return
        left = self._left(unit)
        names = acting.cells if acting else ()
        suspects = [cell for cell in left if cell.id in names]
        if hanging and acting and len(suspects) == 1:
            work.back([cell for cell in left if cell not in suspects])
            reason = f"it did not come back from {acting.doing} within {self._timeout:g} seconds"
            self._mark(suspects[0], "timeout", reason, said)
            return
        doing = f" in {acting.doing}" if acting else ""
        if (culprit := work.died(unit, left, names)) is not None:
            self._mark(culprit, "failed", f"its process {how}{doing}, though it ran alone", said)
        elif left:
            who = ", ".join(dict.fromkeys(cell.algorithm for cell in suspects)) or "nobody in particular"
            self.session.observer.note(
                f"a worker {how}{doing} of {who}; the others go on, and what is suspected runs apart"
            )

    def _mark(self, cell: Cell, status: Literal["failed", "timeout"], reason: str, said: str) -> None:
        row = {**run_row(cell), "environment": self._environment}
        mark(self.session.store.cell(cell.id), row, status, reason, said)
        self.session.store.claims.take(cell.id)  # its worker did
        self.session.store.claims.release(cell.id)
        self._ended(cell, status, reason)

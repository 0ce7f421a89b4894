"""The cells of one task, advancing together: every round is one packed forward for all that they ask."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from harness.core.algorithm import Algorithm
from harness.core.budget import Budget
from harness.core.population import Population
from harness.core.task import Evaluation, Protocol, Request, Signature, Task
from harness.running.cell import CellRun, ContractError, Failure
from harness.running.files import DamagedError
from harness.running.fragments import CellFolder
from harness.running.observer import Observer
from harness.running.replay import MismatchError, replay

if TYPE_CHECKING:
    from harness.running.plan import Cell

WIDTH = 64
"""At most so many cells advance together."""
COORDINATES = 2**28
"""Fewer, where their centers would hold more numbers than this together; a large model's cells take turns."""
PATIENCE = 20
"""Between two flushes pass at least so many times the seconds that the last one took."""

Item = TypeVar("Item")
Answer = TypeVar("Answer")


@dataclass(eq=False)
class Member:
    """A cell of the cohort: its state, its folder, and what is measured beside."""

    cell: Cell
    folder: CellFolder
    run: CellRun
    fragments: int = 0
    peak_memory: int = 0
    shared: bool = False


class Cohort:
    """Runs the cells of a task to their ends and stores them.

    A cell's losses do not depend on its neighbours: the runner hands all requests of a round to the task at
    once (one by one where ``task.shares_forward`` is False) and leaves the packing to it. Whatever an
    algorithm does wrong fails its own cell alone.

    Args:
        task: shared by all cells.
        signature: of the task.
        protocol: dev points and timeout.
        make_algorithm: from a cell, the task and the budget that the algorithm may read.
        make_row: the columns of ``runs`` that a cell brings along.
        observer: is told how the cells advance.
        flush_seconds: a kill loses at most about so much work; 0 stores every round.
    """

    def __init__(
        self,
        task: Task,
        signature: Signature,
        protocol: Protocol,
        make_algorithm: Callable[[Cell, Task, Budget], Algorithm],
        make_row: Callable[[Cell], dict[str, Any]],
        observer: Observer,
        flush_seconds: float,
    ) -> None:
        self.task = task
        self.signature = signature
        self.protocol = protocol
        self.make_algorithm = make_algorithm
        self.make_row = make_row
        self.observer = observer
        self.flush_seconds = flush_seconds
        self.active: list[Member] = []

    def run(self, cells: Sequence[tuple[Cell, CellFolder]]) -> None:
        """Run every cell to its end; as one ends, the next takes its place."""
        waiting = deque(cells)
        width = max(1, min(WIDTH, COORDINATES // self.task.space.size))
        flushed, pause = time.monotonic(), self.flush_seconds
        while waiting or self.active:
            while waiting and len(self.active) < width:
                self._start(*waiting.popleft())
            self._round()
            if time.monotonic() - flushed >= pause:
                begin = time.monotonic()
                for member in self.active:
                    if member.run.resumable:
                        self._commit(member, "running", None)
                flushed = time.monotonic()
                if self.flush_seconds:
                    pause = max(self.flush_seconds, PATIENCE * (flushed - begin))

    def _start(self, cell: Cell, folder: CellFolder) -> None:
        try:
            member = self._resumed(cell, folder) or self._fresh(cell, folder)
        except Exception as error:
            store_failure(cell, folder, self.signature, self.make_row(cell), Failure.of(error, "__init__"))
            self.observer.ended(cell, "failed", Failure.of(error, "__init__").reason)
            return
        self.active.append(member)
        self.observer.advanced(cell, member.run.budget.spent)

    def _fresh(self, cell: Cell, folder: CellFolder) -> Member:
        folder.clear()
        return Member(cell, folder, self._new_run(cell))

    def _new_run(self, cell: Cell) -> CellRun:
        shown = Budget(cell.budget)
        algorithm = self.make_algorithm(cell, self.task, shown)
        return CellRun(algorithm, self.task, shown, self.protocol, cell.repetition)

    def _resumed(self, cell: Cell, folder: CellFolder) -> Member | None:
        """The cell where its stored log ends; None where there is no log that serves."""
        try:
            state = folder.state()
            if state is None or not state.fragments:
                return None
            if not state.signature.agrees(self.signature):
                raise MismatchError("it ran on other data or another model")
            log = {name: table.to_pylist() for name, table in folder.tables(state).items()}
            run = self._new_run(cell)
            if not run.resumable:
                return None
            replay(run, log)
        except Exception as error:
            reason = (
                error
                if isinstance(error, (DamagedError, MismatchError))
                else Failure.of(error, "replay").reason
            )
            self.observer.note(f"{cell.id}: runs again from its start: {reason}")
            return None
        return Member(
            cell,
            folder,
            run,
            state.fragments,
            int(state.row.get("peak_memory") or 0),
            bool(state.row.get("seconds_shared")),
        )

    def _round(self) -> None:
        asked: list[tuple[Member, Population]] = []
        due: list[Member] = []
        ending: list[tuple[Member, str, str | None]] = []
        for member in list(self.active):
            try:
                with self._memory_of(member):
                    population = member.run.ask()
            except Exception as error:
                self._fail(member, error, "ask")
                continue
            if population is None:
                ending.append((member, "finished", None))
            else:
                asked.append((member, population))
        for member, population, evaluation in self._evaluate(asked):
            try:
                with self._memory_of(member):
                    crossed = member.run.tell(population, evaluation)
            except Exception as error:
                self._fail(member, error, "tell")
                continue
            if crossed:
                due.append(member)
            used, limit = member.run.seconds.own, self.protocol.timeout
            if used > limit and member.run.budget.remaining:
                ending.append((member, "timeout", f"it used more than {limit:g} seconds of its own"))
            self.observer.advanced(member.cell, member.run.budget.spent)
        due += [member for member, _, _ in ending if not member.run.scored and member not in due]
        self._score_dev(due)
        for member in self.active:
            member.run.close_round()
        self._end([entry for entry in ending if entry[0] in self.active])

    def _evaluate(
        self, asked: list[tuple[Member, Population]]
    ) -> list[tuple[Member, Population, Evaluation]]:
        """One packed forward, whose seconds are split by tokens (by candidates where none are counted)."""
        good = []
        for pack in self._packs(asked):
            members = [member for member, _ in pack]
            requests = [Request(p, m.cell.repetition, m.run.minibatch) for m, p in pack]
            answers, elapsed = self._answers(self.task.evaluate, requests, members)
            answered = []
            for (member, population), answer in zip(pack, answers, strict=True):
                try:
                    if isinstance(answer, Exception):
                        raise answer
                    member.run.check_evaluation(population, answer)
                except Exception as error:
                    self._fail(member, error, "evaluate")
                    continue
                answered.append((member, population, answer))
            weights = [float(answer.cost.tokens) for _, _, answer in answered]
            if not all(weights):
                weights = [float(Budget.price(population)) for _, population, _ in answered]
            for (member, _, _), weight in zip(answered, weights, strict=True):
                member.run.seconds.evaluate += elapsed * weight / sum(weights)
                member.shared |= len(pack) > 1
            good += answered
        return good

    def _packs(self, items: list[Item]) -> list[list[Item]]:
        """What goes to the task at once: all, or one by one where cells share no forward.

        Without a shared forward one clock over unlike paths (a gradient here, noise there) would say nothing.
        """
        if self.task.shares_forward:
            return [items] if items else []
        return [[item] for item in items]

    def _answers(
        self, call: Callable[[list[Item]], Sequence[Answer]], items: list[Item], members: list[Member]
    ) -> tuple[list[Answer | Exception], float]:
        """Answers to a pack, and the seconds they took; the memory they took is put down to its members."""
        with self._memory_of(*members):
            start = self._clock()
            answers = packed(call, items)
            return answers, self._clock() - start

    @contextmanager
    def _memory_of(self, *members: Member) -> Iterator[None]:
        """Puts the high water of what happens inside down to these cells, and to no others."""
        reset_peak_memory(self.task)
        try:
            yield
        finally:
            peak = peak_memory(self.task)
            for member in members:
                member.peak_memory = max(member.peak_memory, peak)

    def _score_dev(self, members: list[Member]) -> None:
        candidates: list[tuple[Member, Population | None]] = []
        for member in members:
            try:
                with self._memory_of(member):
                    candidates.append((member, member.run.best()))
            except Exception as error:
                self._fail(member, error, "best")
        for (member, candidate), metrics in self._score(candidates, "dev"):
            try:
                member.run.note_dev(candidate, metrics)
            except Exception as error:
                self._fail(member, error, "score on dev")

    def _score(
        self, candidates: list[tuple[Member, Population | None]], split: Any
    ) -> list[tuple[tuple[Member, Population | None], dict[str, float]]]:
        """Score all candidates, packed as in ``_evaluate``; one that cannot be scored fails its cell."""
        good = []
        for pack in self._packs(candidates):
            members = [member for member, _ in pack]
            pairs = [(candidate, member.cell.repetition) for member, candidate in pack]
            answers, elapsed = self._answers(lambda some: self.task.score(some, split), pairs, members)
            for (member, candidate), answer in zip(pack, answers, strict=True):
                member.run.seconds.score += elapsed / len(pack)
                if isinstance(answer, Exception):
                    self._fail(member, answer, f"score on {split}")
                else:
                    good.append(((member, candidate), answer))
        return good

    def _end(self, ending: list[tuple[Member, str, str | None]]) -> None:
        """Score what is reported on train and, once, on test; then the cell is stored for good."""
        for split in ("train", "test"):
            chosen = [
                (member, member.run.reported.candidate)
                for member, _, _ in ending
                if member in self.active and member.run.reported
            ]
            for (member, _), metrics in self._score(chosen, split):
                assert member.run.reported is not None
                member.run.note_metrics(split, member.run.reported.evaluations, metrics)
        for member, status, reason in ending:
            if member in self.active:
                self._commit(member, status, reason)
                self.active.remove(member)
                self.observer.ended(member.cell, status, reason)

    def _fail(self, member: Member, error: Exception, doing: str) -> None:
        failure = Failure.of(error, doing)
        member.run.close_round()
        member.folder.write_trace(failure.trace)
        self._commit(member, "failed", failure.reason)
        self.active.remove(member)
        self.observer.ended(member.cell, "failed", failure.reason)

    def _commit(self, member: Member, status: str, reason: str | None) -> None:
        row = {
            **self.make_row(member.cell),
            **member.run.summary(),
            "task_signature": self.signature.digest,
            "metric": self.task.metric,
            "metric_direction": self.task.metric_direction,
            "status": status,
            "reason": reason,
            "seconds_shared": member.shared,
            "peak_memory": member.peak_memory,
        }
        rows = member.run.take_rows()
        member.fragments = member.folder.commit(status, self.signature, row, rows, member.fragments)

    def _clock(self) -> float:
        if self.task.space.device.type == "cuda":
            torch.cuda.synchronize(self.task.space.device)
        return time.perf_counter()


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


def store_failure(
    cell: Cell, folder: CellFolder, signature: Signature, row: dict[str, Any], failure: Failure
) -> None:
    """Store a cell that failed before anything was asked."""
    folder.clear()
    folder.write_trace(failure.trace)
    row = {**row, "status": "failed", "reason": failure.reason, "evaluations": 0, "generations": 0}
    row["task_signature"] = signature.digest or None
    folder.commit("failed", signature, row, {}, 0)


def reset_peak_memory(task: Task) -> None:
    """Lower the high water of the device's allocator to what is held now; on the CPU nothing lowers it."""
    if task.space.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(task.space.device)


def peak_memory(task: Task) -> int:
    """Bytes at the high water: of the device's allocator, or on the CPU of this process so far."""
    if task.space.device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(task.space.device))
    try:
        import resource
    except ImportError:
        import psutil

        return int(psutil.Process().memory_info().rss)
    high_water = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(high_water if sys.platform == "darwin" else high_water * 1024)

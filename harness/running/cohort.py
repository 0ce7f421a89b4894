"""Cells that advance together: all tasks of one frozen model, in rounds of ask, evaluate, tell and score."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import torch

from harness.core.algorithm import Algorithm
from harness.core.budget import Budget
from harness.core.population import Population
from harness.core.task import Evaluation, Protocol, Request, Signature, Split, Task
from harness.core.untuned import Candidate
from harness.running.cell import CellRun, ContractError, Failure
from harness.running.clock import Breakdown
from harness.running.energy import Meter, meter_of
from harness.running.files import StoreError
from harness.running.member import Member, store_failure
from harness.running.memory import peak_memory, reset_peak_memory
from harness.running.observer import Observer
from harness.running.packs import packed, packs
from harness.running.store import Store
from harness.running.watch import Watch

if TYPE_CHECKING:
    from harness.running.plan import Cell

WIDTH = 64
"""At most so many cells advance together."""
COORDINATES = 2**28
"""Fewer, where their centers would hold more numbers than this together; a large model's cells take turns."""
PATIENCE = 200
"""Between two flushes pass at least so many times the seconds that the last one took."""

Item = TypeVar("Item")
Answer = TypeVar("Answer")
Asked: TypeAlias = tuple[Member, Population]
Chosen: TypeAlias = tuple[Member, Candidate]
Ending: TypeAlias = tuple[Member, str, str | None]


@dataclass(frozen=True, eq=False)
class Todo:
    """The cells of a task that are to run.

    Args:
        name: of the task.
        task: shared by its cells.
        signature: of the task.
        cells: in the order in which they begin.
    """

    name: str
    task: Task
    signature: Signature
    cells: Sequence[Cell]


class StoppedError(Exception):
    """The process was told to store what it has and end; what is left runs in another session."""


class Cohort:
    """Runs cells to their ends and stores them; those that another sweep has claimed are left to it.

    A cell's losses do not depend on its neighbours: the runner hands all requests of a round to their task at
    once (one by one where ``task.shares_forward`` is False) and leaves the packing to it. Whatever an
    algorithm does wrong fails its own cell alone.

    Args:
        store: where the cells are kept.
        protocol: dev points and timeout.
        make_algorithm: from a cell, its task and the budget that the algorithm may read.
        make_row: the columns of ``runs`` that a cell brings along.
        observer: is told how the cells advance.
        breakdown: takes down where the time goes.
        flush_seconds: a kill loses at most about so much work, or ``PATIENCE`` times what storing takes; 0
            stores every round.
        watch: is told who acts.
    """

    def __init__(
        self,
        store: Store,
        protocol: Protocol,
        make_algorithm: Callable[[Cell, Task, Budget], Algorithm],
        make_row: Callable[[Cell], dict[str, Any]],
        observer: Observer,
        breakdown: Breakdown,
        flush_seconds: float,
        watch: Watch | None = None,
    ) -> None:
        self.store = store
        self.protocol = protocol
        self.make_algorithm = make_algorithm
        self.make_row = make_row
        self.observer = observer
        self.breakdown = breakdown
        self.flush_seconds = flush_seconds
        self.watch = watch or Watch()
        self.active: list[Member] = []
        self.meters: dict[torch.device, Meter] = {}

    def run(self, todos: Sequence[Todo]) -> None:
        """Run every cell to its end; as one ends, the next takes its place, of whatever task.

        Raises:
            StoppedError: where ``watch`` says so; what runs is stored first.
        """
        waiting = deque((todo, cell) for todo in todos for cell in todo.cells)
        flushed, pause = time.monotonic(), self.flush_seconds
        for meter in self.meters.values():
            meter.lap()  # what others have used until now
        while waiting or self.active:
            while waiting and self._has_room(waiting[0][0].task):
                self._start(*waiting.popleft())
            self._round()
            if self.watch.stopping():
                self._flush()
                raise StoppedError
            if time.monotonic() - flushed >= pause:
                begin = time.monotonic()
                self._flush()
                flushed = time.monotonic()
                if self.flush_seconds:
                    pause = max(self.flush_seconds, PATIENCE * (flushed - begin))

    def _flush(self) -> None:
        for member in list(self.active):
            if member.run.resumable:
                self._store(member, "running")

    def _has_room(self, task: Task) -> bool:
        held = sum(member.task.space.size for member in self.active)
        return not self.active or (len(self.active) < WIDTH and held + task.space.size <= COORDINATES)

    def _start(self, todo: Todo, cell: Cell) -> None:
        if cell is todo.cells[0]:
            self.observer.task_begins(todo.name, todo.cells)
        if (device := todo.task.space.device) not in self.meters:
            self.meters[device] = meter_of(device)
        with self.breakdown.phase("recording"):
            folder = self.store.open(cell.id)
        if folder is None:
            return

        def new_run() -> CellRun:
            shown = Budget(cell.budget)
            with self.breakdown.phase("loading"):
                algorithm = self.make_algorithm(cell, todo.task, shown)
            return CellRun(algorithm, todo.task, shown, self.protocol, self.breakdown, cell.repetition)

        with self.breakdown.phase("recording"):
            row = self.make_row(cell)
        try:
            with self.breakdown.phase("recording"), self.watch.acting("replay", [cell.id]):
                member = Member.enlisted(
                    cell, todo.task, todo.signature, folder, new_run, row, self.observer.note
                )
        except StoreError:  # the machine's failure, not the algorithm's
            raise
        except Exception as error:
            failure = Failure.of(error, "__init__")
            with self.breakdown.phase("recording"):
                store_failure(folder, todo.signature, row, failure)
                self.store.claims.release(cell.id)
            self._ended(cell, "failed", failure.reason)
            return
        self.active.append(member)
        self.observer.advanced(cell, member.run.budget.spent)

    def _round(self) -> None:
        asked: list[Asked] = []
        due: list[Member] = []
        ending: list[Ending] = []
        for member in list(self.active):
            try:
                with self._acting("ask", member):
                    population = member.run.ask()
            except Exception as error:
                self._fail(member, error, "ask")
                continue
            if population is None:
                ending.append((member, "finished", None))
            elif member.task.shares_forward:
                asked.append((member, population))
            else:  # waiting for the others gains nothing, and populations of a whole model are large
                self._advance([(member, population)], due, ending)
        self._advance(asked, due, ending)
        due += [member for member, _, _ in ending if not member.run.scored and member not in due]
        self._score_dev(due)
        for member in self.active:
            member.run.close_round()
        self._end([entry for entry in ending if entry[0] in self.active])
        if found := self.watch.culprit([member.cell.id for member in self.active]):
            culprit = next(member for member in self.active if member.cell.id == found[0])
            self._fail(culprit, MemoryError(found[1]), "the run")

    def _advance(self, asked: list[Asked], due: list[Member], ending: list[Ending]) -> None:
        """Evaluate and tell; adds those that have crossed a dev point, and those that are out of time."""
        for member, population, evaluation in self._evaluate(asked):
            try:
                with self._acting("tell", member):
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

    def _evaluate(self, asked: list[Asked]) -> list[tuple[Member, Population, Evaluation]]:
        """Packed forwards, whose seconds are split by tokens (by candidates where none are counted)."""
        good = []
        for task, pack in packs(asked):
            requests = [Request(p, m.cell.repetition, m.run.minibatch) for m, p in pack]
            answers, elapsed, joules = self._answers(task, task.evaluate, requests, pack)
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
                member.use(joules, weight / sum(weights))
                member.shared |= len(pack) > 1
            good += answered
        return good

    def _answers(
        self,
        task: Task,
        call: Callable[[list[Item]], Sequence[Answer]],
        items: list[Item],
        pack: Sequence[Chosen],
    ) -> tuple[list[Answer | Exception], float, float | None]:
        """Answers to a pack, the seconds they took, and the joules used since the last pack was answered.

        So asks and tells are in the joules. The memory that they took is put down to the pack's members.
        """
        doing = "evaluate" if task.evaluate == call else "score"
        with self._acting(doing, *[member for member, _ in pack]):
            with self.breakdown.phase("ask"):  # what asking has left for a device to do
                start = _clock(task)
            with self.breakdown.answering(task):
                answers = packed(call, items)
                end = _clock(task)
            return answers, end - start, self.meters[task.space.device].lap()

    @contextmanager
    def _acting(self, doing: str, *members: Member) -> Iterator[None]:
        """These cells of one task act: the high water of memory inside is put down to them."""
        reset_peak_memory(members[0].task)
        try:
            with self.watch.acting(doing, [member.cell.id for member in members]):
                yield
        except SystemExit as error:
            raise ContractError(f"it asked the whole process to end ({error})") from error
        finally:
            peak = peak_memory(members[0].task)
            for member in members:
                member.peak_memory = max(member.peak_memory, peak)

    def _score_dev(self, members: list[Member]) -> None:
        candidates: list[Chosen] = []
        for member in members:
            try:
                with self._acting("best", member):
                    candidates.append((member, member.run.best()))
            except Exception as error:
                self._fail(member, error, "best")
        for (member, candidate), metrics in self._score(candidates, "dev"):
            try:
                member.run.note_dev(candidate, metrics)
            except Exception as error:
                self._fail(member, error, "score on dev")

    def _score(self, candidates: list[Chosen], split: Split) -> list[tuple[Chosen, dict[str, float]]]:
        """Score all candidates, packed as in ``_evaluate``; one that cannot be scored fails its cell."""
        good = []
        for task, pack in packs(candidates):
            pairs = [(candidate, member.cell.repetition) for member, candidate in pack]
            answers, elapsed, joules = self._answers(task, partial(_score, task, split), pairs, pack)
            for (member, candidate), answer in zip(pack, answers, strict=True):
                member.run.seconds.score += elapsed / len(pack)
                member.use(joules, 1 / len(pack))
                if isinstance(answer, Exception):
                    self._fail(member, answer, f"score on {split}")
                else:
                    good.append(((member, candidate), answer))
        return good

    def _end(self, ending: list[Ending]) -> None:
        """Score what is reported on train and, once, on test (not a trial's); then the cell is stored."""
        splits: tuple[Split, ...] = ("train", "test")
        for split in splits:
            chosen = [
                (member, member.run.reported.candidate)
                for member, _, _ in ending
                if member in self.active and member.run.reported and member.cell.looks_at_test
            ]
            for (member, _), metrics in self._score(chosen, split):
                assert member.run.reported is not None
                member.run.note_metrics(split, member.run.reported.evaluations, metrics)
        for member, status, reason in ending:
            if member in self.active:
                self._leave(member, status, reason)

    def _fail(self, member: Member, error: Exception, doing: str) -> None:
        failure = Failure.of(error, doing)
        member.run.close_round()
        with self.breakdown.phase("recording"):
            member.folder.write_trace(failure.trace)
        self._leave(member, "failed", failure.reason)

    def _leave(self, member: Member, status: str, reason: str | None) -> None:
        if not self._store(member, status, reason):
            return
        self.active.remove(member)
        with self.breakdown.phase("recording"):
            self.store.claims.release(member.cell.id)
        self._ended(member.cell, status, reason)

    def _store(self, member: Member, status: str, reason: str | None = None) -> bool:
        """Store a cell, if it is still this process's own: one that was taken for dead has lost it."""
        with self.breakdown.phase("recording"):
            if self.store.claims.holds(member.cell.id):
                member.store(status, reason)
                return True
        self.active.remove(member)
        self.observer.note(f"{member.cell.id}: another sweep has taken it over, and runs it")
        return False

    def _ended(self, cell: Cell, status: str, reason: str | None) -> None:
        self.breakdown.cells += 1
        self.observer.ended(cell, status, reason)


def _score(task: Task, split: Split, pairs: Sequence[tuple[Candidate, int]]) -> list[dict[str, float]]:
    return task.score(pairs, split)


def _clock(task: Task) -> float:
    """Seconds, when the task's device has done what it was given."""
    if task.space.device.type == "cuda":
        torch.cuda.synchronize(task.space.device)
    return time.perf_counter()

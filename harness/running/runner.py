"""Cells of a plan in this process: what is done stays, what is not is run, model by model."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from harness.core.algorithm import Algorithm
from harness.core.budget import Budget
from harness.core.errors import UserError
from harness.core.task import Protocol, Signature, Task
from harness.plugins.build import build_algorithm, naming
from harness.running.cell import Failure
from harness.running.clock import Breakdown
from harness.running.cohort import Cohort, Todo
from harness.running.files import DamagedError
from harness.running.fragments import CellState
from harness.running.member import store_failure
from harness.running.observer import Observer
from harness.running.results import run_row
from harness.running.store import Store
from harness.running.watch import Watch

if TYPE_CHECKING:
    from harness.plugins.build import Builder
    from harness.running.plan import Cell

FLUSH_SECONDS = 5.0

Loaded: TypeAlias = tuple[Task, Signature] | Failure


@dataclass(frozen=True)
class Workshop:
    """Where the runner gets its objects from.

    Args:
        task: the task of a cell; cells of equal task are run together on one object.
        algorithm: the algorithm of a cell, on a task and the budget that it may read.
    """

    task: Callable[[Cell], Task]
    algorithm: Callable[[Cell, Task, Budget], Algorithm]

    @classmethod
    def of(cls, builder: Builder) -> Workshop:
        """The objects that a builder makes."""

        def algorithm(cell: Cell, task: Task, budget: Budget) -> Algorithm:
            return build_algorithm(cell.spec, task.space, budget, cell.algorithm_seed)

        return cls(lambda cell: builder.task(cell.task), algorithm)


def run_cells(
    cells: Sequence[Cell],
    store: Store,
    workshop: Workshop,
    protocol: Protocol,
    *,
    environment: str = "",
    observer: Observer | None = None,
    breakdown: Breakdown | None = None,
    retry: bool = False,
    flush_seconds: float = FLUSH_SECONDS,
    watch: Watch | None = None,
) -> None:
    """Run what is not done, but for what another sweep of the folder runs at the same time.

    Cells that have ended stay as they are, whatever their end; one that was broken off goes on from its
    log of losses (deterministic algorithms without gradients) or starts again.

    Args:
        cells: of a plan, in its order; skipped ones become rows and are not run.
        store: open.
        workshop: builds tasks and algorithms.
        protocol: dev points and timeout.
        environment: key of the environment, for the rows.
        observer: is told how it goes.
        breakdown: takes down where the time goes.
        retry: run cells again that failed or timed out.
        flush_seconds: how often unfinished cells are stored; 0 for every round.
        watch: is told who acts.

    Raises:
        UserError: before any cell runs, where a task says that it cannot be made as it is written, or where
            its stored results were made with other data or another model.
        StoppedError: where ``watch`` says so.
    """
    watcher, breakdown = observer or Observer(), breakdown or Breakdown()
    wanted = [cell for cell in cells if cell.skip is None]
    with breakdown.phase("recording"):
        done = triage(wanted, store, watcher, retry)
    watcher.begin(wanted, [cell for cell in wanted if cell.id in done])

    def make_row(cell: Cell) -> dict[str, Any]:
        return {**run_row(cell), "environment": environment}

    try:
        todos: list[Todo] = []
        broken: list[tuple[str, list[Cell], Failure]] = []
        for name, group in _by_task(wanted).items():
            todo = [cell for cell in group if cell.id not in done]
            if todo:
                finished = [done[cell.id] for cell in group if cell.id in done]
                with breakdown.phase("loading"):
                    loaded = _loaded(name, todo[0], finished, store, workshop)
                if isinstance(loaded, Failure):
                    broken.append((name, todo, loaded))
                else:
                    todos.append(Todo(name, *loaded, todo))
        # Only now does the first cell run: what the user has to mend in a later task is already said.
        for name, todo, failure in broken:
            watcher.task_begins(name, todo)
            for cell in todo:
                with breakdown.phase("recording"):
                    if (folder := store.open(cell.id)) is None:
                        continue
                    store_failure(folder, None, make_row(cell), failure)
                    store.claims.release(cell.id)
                breakdown.cells += 1
                watcher.ended(cell, "failed", failure.reason)
        cohort = Cohort(
            store, protocol, workshop.algorithm, make_row, watcher, breakdown, flush_seconds, watch
        )
        for company in _companies(todos):
            cohort.run(company)
    finally:
        watcher.end()


def triage(
    cells: Sequence[Cell], store: Store, observer: Observer, retry: bool = False
) -> dict[str, CellState]:
    """The cells that have ended and can be read back; damaged ones, and failures on retry, are cleared."""
    done = {}
    for cell in cells:
        folder = store.cell(cell.id)
        try:
            state = folder.state()
            if state is not None and state.done:
                folder.tables(state)
        except DamagedError as error:
            if store.claims.take(cell.id):
                observer.note(f"{cell.id} ({cell.task}, {cell.algorithm}): runs again: {error}")
                folder.clear()
            continue
        if state is None or not state.done:
            continue
        if retry and state.status != "finished" and store.claims.take(cell.id):
            folder.clear()
        else:
            done[cell.id] = state
    return done


def _by_task(cells: Sequence[Cell]) -> dict[str, list[Cell]]:
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(str(cell.task), []).append(cell)
    return groups


def _companies(todos: Sequence[Todo]) -> list[list[Todo]]:
    """Tasks whose cells advance together, in the order of the first of each company."""
    groups: dict[Hashable, list[Todo]] = {}
    for todo in todos:
        # A task that shares no forward, or names no company, is alone: no other has its name.
        own = todo.task.company if todo.task.shares_forward else None
        groups.setdefault(("task", todo.name) if own is None else ("company", own), []).append(todo)
    return list(groups.values())


def _loaded(name: str, cell: Cell, finished: Sequence[CellState], store: Store, workshop: Workshop) -> Loaded:
    """The task and its signature, or why its cells fail; raises UserError as ``run_cells`` says."""
    try:
        with naming(name, UserError):
            task = workshop.task(cell)
            signature = task.signature()
    except UserError:
        raise
    except Exception as error:
        # A night of other tasks is not given up for one that cannot be loaded.
        return Failure.of(error, "loading the task")
    if any(state.status != "failed" and not state.signature.agrees(signature) for state in finished):
        raise UserError(
            f"{store.path}: {name}: stored results were made with other data or another model "
            f"than now; name another --out"
        )
    return task, signature

"""A cell of a cohort: how it starts or goes on, and how it is stored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.core.task import Signature, Task
from harness.running.cell import CellRun, Failure
from harness.running.files import DamagedError, StoreError
from harness.running.fragments import CellFolder
from harness.running.replay import MismatchError, replay

if TYPE_CHECKING:
    from harness.running.plan import Cell


@dataclass(eq=False)
class Member:
    """A cell that runs: its state, its folder, and what is measured beside.

    Args:
        cell: as planned.
        task: shared by the cells of its name.
        signature: of the task.
        folder: where it is stored.
        run: its state.
        row: the columns of ``runs`` that are known before it runs.
        fragments: stored so far.
        peak_memory: bytes, the highest while it acted.
        shared: whether it shared a forward.
        energy: joules, its share of what was used while it ran; None where nothing counts them.
    """

    cell: Cell
    task: Task
    signature: Signature
    folder: CellFolder
    run: CellRun
    row: dict[str, Any]
    fragments: int = 0
    peak_memory: int = 0
    shared: bool = False
    energy: float | None = None

    @classmethod
    def enlisted(
        cls,
        cell: Cell,
        task: Task,
        signature: Signature,
        folder: CellFolder,
        new_run: Callable[[], CellRun],
        row: dict[str, Any],
        note: Callable[[str], None],
    ) -> Member:
        """The cell where its stored log ends, or at its start where there is no log that serves.

        Args:
            new_run: makes a fresh state; what it raises at the start of a cell is passed on.
            note: is told why a stored log does not serve.
        """
        try:
            state = folder.state()
            if state is not None and state.fragments:
                if not state.signature.agrees(signature):
                    raise MismatchError("it ran on other data or another model")
                log = {name: table.to_pylist() for name, table in folder.tables(state).items()}
                run = new_run()
                if run.resumable:
                    replay(run, log)
                    peak, shared = state.row.get("peak_memory"), state.row.get("seconds_shared")
                    stored = state.fragments, int(peak or 0), bool(shared), state.row.get("energy")
                    return cls(cell, task, signature, folder, run, row, *stored)
        except StoreError:  # what cannot be read now may be good
            raise
        except Exception as error:
            known = isinstance(error, (DamagedError, MismatchError))
            reason = error if known else Failure.of(error, "replay").reason
            note(f"{cell.id}: runs again from its start: {reason}")
        folder.clear()
        return cls(cell, task, signature, folder, new_run(), row)

    def use(self, joules: float | None, share: float) -> None:
        """Put a share of some joules down to the cell."""
        if joules is not None:
            self.energy = (self.energy or 0.0) + share * joules

    def store(self, status: str, reason: str | None = None) -> None:
        """Store the rows since the last time, and how the cell stands."""
        row = {
            **self.row,
            **self.run.summary(),
            "task_signature": self.signature.digest,
            "metric": self.task.metric,
            "metric_direction": self.task.metric_direction,
            "status": status,
            "reason": reason,
            "seconds_shared": self.shared,
            "peak_memory": self.peak_memory,
            "energy": self.energy,
        }
        rows = self.run.take_rows()
        self.fragments = self.folder.commit(status, self.signature, row, rows, self.fragments)


def store_failure(
    folder: CellFolder, signature: Signature | None, row: dict[str, Any], failure: Failure
) -> None:
    """Store a cell that failed before anything was asked; without a signature, its task too."""
    folder.clear()
    folder.write_trace(failure.trace)
    row = {**row, "status": "failed", "reason": failure.reason, "evaluations": 0, "generations": 0}
    row["task_signature"] = signature.digest if signature else None
    folder.commit("failed", signature or Signature("", ()), row, {}, 0)

"""The folder of a sweep: its plan, the folders of its cells, and the tables derived from them.

A folder may be used again with another plan. Cells are named by the hash of all that determines them, so
those that both plans hold are kept and not run again; cells of the earlier plan alone stay on disk,
untouched, and come back when they are planned again. The derived tables always show ``plan.json``, no
more and no less.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any

from harness.core.errors import UserError
from harness.running.files import DamagedError, read_json, write_bytes, write_json, write_parquet
from harness.running.fragments import CellFolder
from harness.running.schema import TABLES

if TYPE_CHECKING:
    import pyarrow as pa

PLAN, SWEEP, CELLS = "plan.json", "sweep.yaml", "cells"
ENVIRONMENT, BREAKDOWN = "environment.json", "breakdown.json"
"""Measured, both of them: no two runs of one sweep write the same."""


class Store:
    """The one writer of a result folder; a context that holds its lock.

    Raises:
        UserError: if the folder is a file, holds something else, cannot be written, or is being written by
            another sweep.

    >>> import tempfile
    >>> with Store(Path(tempfile.mkdtemp()) / "mine") as store:
    ...     store.cell("a1").path.name
    'a1'
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._lock: IO[str] | None = None

    def __enter__(self) -> Store:
        if self.path.exists() and not self.path.is_dir():
            raise UserError(f"{self.path}: is a file; name a folder for the results with --out")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            others = sorted(entry.name for entry in self.path.iterdir() if not entry.name.startswith("."))
            if others and PLAN not in others:
                raise UserError(
                    f"{self.path}: holds {others[0]!r} but no {PLAN}, so it is no result of gradfree; "
                    f"name a new or empty folder with --out"
                )
            self._lock = open(self.path / ".lock", "w")
        except OSError as error:
            raise UserError(
                f"{self.path}: cannot be written ({error.strerror}); name another --out"
            ) from error
        if not _lock(self._lock):
            self._lock.close()
            raise UserError(f"{self.path}: another sweep is writing here; wait for it, or name another --out")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._lock is not None:
            self._lock.close()

    def begin(self, plan_json: str, sweep_yaml: str) -> None:
        """Put down what is going to be run; derived tables of an earlier plan or state are removed."""
        for name in TABLES:
            (self.path / f"{name}.parquet").unlink(missing_ok=True)
        (self.path / "leaderboard.csv").unlink(missing_ok=True)
        # The sweep first: a folder is taken for a result by its plan.
        write_bytes(self.path / f".{SWEEP}", sweep_yaml.encode())
        write_bytes(self.path / PLAN, plan_json.encode())
        os.replace(self.path / f".{SWEEP}", self.path / SWEEP)
        (self.path / CELLS).mkdir(exist_ok=True)

    def cell(self, identity: str) -> CellFolder:
        """The folder of a cell."""
        return CellFolder(self.path / CELLS / identity)

    def strangers(self, planned: Iterable[str]) -> list[str]:
        """Ids of stored cells that are not in the plan."""
        known = set(planned)
        return sorted(entry.name for entry in (self.path / CELLS).iterdir() if entry.name not in known)

    def add_environment(self, key: str, description: dict[str, str]) -> None:
        """Note the machine and libraries of this run beside those of earlier ones."""
        file = self.path / ENVIRONMENT
        try:
            known = read_json(file)
        except DamagedError:
            known = {}
        if known.get(key) != description:
            write_json(file, {**known, key: description})

    def add_session(self, session: dict[str, Any]) -> None:
        """Note where the time of this run went, behind those of earlier ones."""
        write_json(self.path / BREAKDOWN, {"measured": True, "sessions": [*sessions(self.path), session]})

    def write_tables(self, tables: dict[str, pa.Table]) -> None:
        """Replace the derived tables; ``runs`` last, since it says that the others are there."""
        for name in sorted(tables, key=lambda name: name == "runs"):
            write_parquet(self.path / f"{name}.parquet", tables[name])


def sessions(path: Path) -> list[dict[str, Any]]:
    """Where the time of each run into a folder went, the latest last; a run that was killed is not there.

    >>> sessions(Path("nowhere"))
    []
    """
    try:
        return list(read_json(path / BREAKDOWN)["sessions"])
    except (DamagedError, KeyError, TypeError):  # nothing hangs on it
        return []


def being_written(path: Path) -> bool:
    """Whether a sweep holds the folder's lock now."""
    file = path / ".lock"
    if not file.exists():
        return False
    try:
        with open(file) as handle:
            return not _lock(handle)
    except OSError:
        return False


def _lock(file: IO[str]) -> bool:
    # The kernel drops the lock with the process, however it ends; a file that says "locked" would stay.
    try:
        import fcntl
    except ImportError:  # no such lock on this system: two sweeps in one folder are the user's care
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

"""The folder of a sweep: its plan, the folders of its cells, and the tables derived from them.

A folder may be used again with another plan. Cells are named by the hash of all that determines them, so
those that both plans hold are kept and not run again; cells of the earlier plan alone stay on disk,
untouched, and come back when they are planned again. The derived tables always show ``plan.json``, no
more and no less.

Several sweeps of one plan may share a folder: each cell is run by the one that claims it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from harness.core.errors import UserError
from harness.running.checksums import sealed
from harness.running.claims import FOLDER as CLAIMS
from harness.running.claims import PATIENCE_SECONDS, Census, Claims, Owner
from harness.running.files import (
    DamagedError,
    StoreError,
    read_json,
    remove_asides,
    storing,
    write_bytes,
    write_json,
    write_parquet,
)
from harness.running.fragments import CellFolder
from harness.running.plain import check_plain
from harness.running.schema import TABLES

if TYPE_CHECKING:
    import pyarrow as pa

PLAN, SWEEP, CELLS = "plan.json", "sweep.yaml", "cells"
ENVIRONMENT, BREAKDOWN = "environment.json", "breakdown.json"
"""Measured, both of them: no two runs of one sweep write the same."""


class Store:
    """A result folder while a sweep writes it; a context in which its cells can be claimed.

    Args:
        path: of the folder.
        patience: seconds after which a silent sweep on another machine is taken for dead.

    Raises:
        UserError: if the folder is a file, holds something else, or cannot be written.

    >>> import tempfile
    >>> with Store(Path(tempfile.mkdtemp()) / "mine") as store:
    ...     store.cell("a1").path.name, store.claims.take("a1")
    ('a1', True)
    """

    def __init__(self, path: Path | str, patience: float = PATIENCE_SECONDS) -> None:
        self.path = Path(path)
        self._owner = Owner(self.path, patience=patience)
        self.claims: Claims = self._owner

    @classmethod
    def of(cls, path: Path, owner: str) -> Store:
        """The folder for a process that claims cells in the name of the one that has started it."""
        store = cls(path)
        store.claims = Claims(path, owner)
        return store

    def __enter__(self) -> Store:
        if self.path.exists() and not self.path.is_dir():
            raise UserError(f"{self.path}: is a file; name a folder for the results with --out")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            check_plain(self.path)
            others = sorted(entry.name for entry in self.path.iterdir() if not entry.name.startswith("."))
            if others and PLAN not in others and not {SWEEP, CELLS} <= set(others):
                raise UserError(
                    f"{self.path}: holds {others[0]!r} but no {PLAN}, so it is no result of gradfree; "
                    f"name a new or empty folder with --out"
                )
            self._owner.__enter__()
        except StoreError:
            raise
        except OSError as error:
            raise UserError(
                f"{self.path}: cannot be written ({error.strerror}); name another --out"
            ) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._owner.__exit__(kind, error, trace)

    def begin(self, plan_json: str, sweep_yaml: str) -> None:
        """Put down what is going to be run; derived tables of an earlier plan or state are removed.

        Where another sweep is writing, this one joins it.

        Raises:
            UserError: where that has another plan.
        """
        digest = hashlib.sha256(plan_json.encode()).hexdigest()
        with self._alone(), storing(self.path):
            joined = self._owner.join(digest)
            if joined is None:
                raise UserError(
                    f"{self.path}: another sweep is writing here, with another plan; wait for it, or name "
                    f"another --out"
                )
            if not joined:
                self._begin(plan_json, sweep_yaml)

    def _begin(self, plan_json: str, sweep_yaml: str) -> None:
        remove_asides(self.path)
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

    def open(self, identity: str) -> CellFolder | None:
        """The folder of a cell that is to run here; None where another runs it, or it has ended."""
        with storing(self.path):
            if not self.claims.take(identity):
                return None
        folder = self.cell(identity)
        try:
            state = folder.state()
        except DamagedError:  # is said, and mended, by whoever reads it next
            return folder
        if state is not None and state.done:
            self.claims.release(identity)
            return None
        return folder

    def strangers(self, planned: Iterable[str]) -> list[str]:
        """Ids of stored cells that are not in the plan."""
        known = set(planned)
        with storing(self.path):
            return sorted(entry.name for entry in (self.path / CELLS).iterdir() if entry.name not in known)

    def add_environment(self, key: str, description: dict[str, str]) -> None:
        """Note the machine and libraries of this run beside those of earlier ones."""
        file = self.path / ENVIRONMENT
        with self._alone():
            try:
                known = dict(read_json(file))
            except (DamagedError, TypeError, ValueError):  # nothing hangs on it
                known = {}
            if known.get(key) != description:
                write_json(file, sealed({**known, key: description}))

    def add_session(self, session: dict[str, Any]) -> None:
        """Note where the time of this run went, behind those of earlier ones."""
        with self._alone():
            said = {"measured": True, "sessions": [*sessions(self.path), session]}
            write_json(self.path / BREAKDOWN, sealed(said))

    def write_tables(self, tables: dict[str, pa.Table]) -> None:
        """Replace the derived tables; ``runs`` last, since it says that the others are there."""
        for name in sorted(tables, key=lambda name: name == "runs"):
            write_parquet(self.path / f"{name}.parquet", tables[name])

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keeps other sweeps of this machine from the few files that all of them write."""
        with storing(self.path / ".lock"):
            file = open(self.path / ".lock", "w")  # noqa: SIM115
        with file:
            try:
                import fcntl

                fcntl.flock(file, fcntl.LOCK_EX)  # the kernel drops it with the process, however that ends
            except (ImportError, OSError):  # no such lock here; nothing that is compared hangs on it
                pass
            yield


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
    """Whether a sweep is writing the folder now, as far as one look can tell."""
    return bool(Census(path / CLAIMS / "owners").seen())

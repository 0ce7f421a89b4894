"""The folder of one cell: fragments of its tables, and a status file that says which of them count.

``status.json`` is the record of commitment. A fragment is written first and named in the status afterwards,
so that a run killed at any instant leaves whole generations, or nothing, behind. Nothing waits for the disk
before the sweep ends, when most of it has long been written: should the machine go down and keep a part of a
cell, the cell is damaged and runs again.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.core.task import Signature
from harness.running.files import (
    DamagedError,
    read_json,
    read_parquet,
    settle,
    write_bytes,
    write_json,
    write_parquet,
)
from harness.running.schema import FRAGMENTED, SCHEMA_VERSION, make_table, validate

if TYPE_CHECKING:
    import pyarrow as pa

DONE = ("finished", "failed", "timeout")
"""Statuses of cells that have run to an end."""


@dataclass(frozen=True)
class CellState:
    """What a cell's status file says.

    Args:
        status: running, finished, failed or timeout.
        fragments: how many fragments of each table count.
        signature: of the task as it was when the cell ran.
        row: the cell's row in ``runs`` as far as it is known.
    """

    status: str
    fragments: int
    signature: Signature
    row: dict[str, Any]

    @property
    def done(self) -> bool:
        """Whether the cell has run to an end, good or bad."""
        return self.status in DONE


class CellFolder:
    """Reads and writes the files of one cell; there is one writer at a time.

    >>> import tempfile
    >>> folder = CellFolder(Path(tempfile.mkdtemp()) / "a1")
    >>> folder.state() is None
    True
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.id = path.name

    def state(self) -> CellState | None:
        """The status file, None where the cell has never run; raises DamagedError."""
        file = self.path / "status.json"
        if not file.exists():
            return None
        content = read_json(file)
        try:
            if content["schema_version"] != SCHEMA_VERSION:
                raise DamagedError(
                    f"status.json: schema {content['schema_version']}, this is {SCHEMA_VERSION}"
                )
            signature = Signature(content["signature"]["digest"], tuple(content["signature"]["losses"]))
            return CellState(content["status"], int(content["fragments"]), signature, dict(content["row"]))
        except (KeyError, TypeError, ValueError) as error:
            raise DamagedError(f"status.json: {type(error).__name__}: {error}") from error

    def tables(self, state: CellState) -> dict[str, pa.Table]:
        """The committed rows of each table; raises DamagedError for a fragment that is missing or broken."""
        import pyarrow as pa

        found = {}
        for name in FRAGMENTED:
            parts = [make_table(name, [])]
            for number in range(state.fragments):
                part = read_parquet(self._fragment(name, number))
                try:
                    validate(name, part)
                except ValueError as error:
                    raise DamagedError(str(error)) from error
                parts.append(part)
            found[name] = pa.concat_tables(parts)
        return found

    def commit(
        self,
        status: str,
        signature: Signature,
        row: dict[str, Any],
        rows: dict[str, list[dict[str, Any]]],
        fragments: int,
    ) -> int:
        """Store new rows as the next fragment, then the status that names it; returns the new count."""
        self.path.mkdir(parents=True, exist_ok=True)
        if any(rows.values()):
            for name in FRAGMENTED:
                table = make_table(name, [{"id": self.id, **entry} for entry in rows[name]])
                write_parquet(self._fragment(name, fragments), table, sync=False)
            fragments += 1
        content = {
            "schema_version": SCHEMA_VERSION,
            "status": status,
            "fragments": fragments,
            "signature": {"digest": signature.digest, "losses": list(signature.losses)},
            "row": row,
        }
        write_json(self.path / "status.json", content, sync=False)
        return fragments

    def write_trace(self, trace: str) -> None:
        """Keep a failure's whole traceback beside the tables, for the plugin's author."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_bytes(self.path / "traceback.txt", trace.encode("utf-8", "replace"), sync=False)

    def settle(self) -> None:
        """Wait until the disk has all of it."""
        for file in self.path.iterdir():
            settle(file)
        settle(self.path)

    def clear(self) -> None:
        """Forget the cell. The status goes first: without it no fragment counts."""
        (self.path / "status.json").unlink(missing_ok=True)
        shutil.rmtree(self.path, ignore_errors=True)

    def _fragment(self, table: str, number: int) -> Path:
        return self.path / f"{table}-{number:05d}.parquet"

"""The folder of one cell: fragments of its tables, and a status file that says which of them count.

``status.json`` is the record of commitment. A fragment is written first and named in the status afterwards,
so that a run killed at any instant leaves whole generations, or nothing, behind. Nothing waits for the disk
before the sweep ends, when most of it has long been written: should the machine go down and keep a part of a
cell, the cell is damaged and runs again.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.core.task import Signature
from harness.running.checksums import chained, sealed
from harness.running.files import (
    DamagedError,
    from_parquet,
    read_bytes,
    read_json,
    remove_asides,
    settle,
    storing,
    to_parquet,
    write_bytes,
    write_json,
)
from harness.running.plain import odd_entry
from harness.running.schema import FRAGMENTED, SCHEMA_VERSION, check_row, make_table, validate

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
        checksums: of each table's fragments in their order; None of cells that were stored without.
    """

    status: str
    fragments: int
    signature: Signature
    row: dict[str, Any]
    checksums: dict[str, str] | None = None

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
        self._checksums: tuple[int, dict[str, str]] = (0, dict.fromkeys(FRAGMENTED, ""))

    def state(self) -> CellState | None:
        """The status file, None where the cell has never run; raises DamagedError."""
        self.check()
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
            check_row("runs", row := dict(content["row"]))
            if row.get("id", self.id) != self.id:
                raise DamagedError(f"status.json: of another cell, {row['id']}")
            sums = content.get("checksums")
            return CellState(str(content["status"]), int(content["fragments"]), signature, row, sums)
        except ValueError as error:
            raise DamagedError(f"status.json: {error}") from error
        except (KeyError, TypeError) as error:
            raise DamagedError(f"status.json: {type(error).__name__}: {error}") from error

    def check(self) -> None:
        """Raise DamagedError where the folder, or something in it, is a link or no plain file."""
        odd = self.id if self.path.is_symlink() else odd_entry(self.path)
        if odd is not None:
            raise DamagedError(f"{odd}: is a link or no plain file")

    def tables(self, state: CellState) -> dict[str, pa.Table]:
        """The committed rows of each table; raises DamagedError for fragments that are not those stored."""
        import pyarrow as pa

        found, sums = {}, {}
        for name in FRAGMENTED:
            contents, sums[name] = self._stored(name, state.fragments)
            if state.checksums is not None and state.checksums.get(name) != sums[name]:
                raise DamagedError(f"{name}: its checksum says that a fragment was altered")
            parts = [make_table(name, [])]
            for number, content in enumerate(contents):
                part = from_parquet(self._fragment(name, number).name, content)
                try:
                    validate(name, part)
                except ValueError as error:
                    raise DamagedError(str(error)) from error
                parts.append(part)
            found[name] = pa.concat_tables(parts)
        self._checksums = state.fragments, sums
        return found

    def _stored(self, table: str, fragments: int) -> tuple[list[bytes], str]:
        """A table's fragments as they lie on the disk, and the checksum of them all."""
        contents = [read_bytes(self._fragment(table, number)) for number in range(fragments)]
        return contents, reduce(chained, contents, "")

    def commit(
        self,
        status: str,
        signature: Signature,
        row: dict[str, Any],
        rows: dict[str, list[dict[str, Any]]],
        fragments: int,
    ) -> int:
        """Store new rows as the next fragment, then the status that names it; returns the new count."""
        self._make()
        known, sums = self._checksums
        if known != fragments:  # they were stored by another
            sums = {name: self._stored(name, fragments)[1] for name in FRAGMENTED}
        if any(rows.values()):
            sums = dict(sums)
            for name in FRAGMENTED:
                table = make_table(name, [{"id": self.id, **entry} for entry in rows[name]])
                content = to_parquet(table)
                write_bytes(self._fragment(name, fragments), content, sync=False)
                sums[name] = chained(sums[name], content)
            fragments += 1
        said = {
            "schema_version": SCHEMA_VERSION,
            "status": status,
            "fragments": fragments,
            "checksums": sums,
            "signature": {"digest": signature.digest, "losses": list(signature.losses)},
            "row": row,
        }
        write_json(self.path / "status.json", sealed(said), sync=False)
        self._checksums = fragments, sums
        return fragments

    def write_trace(self, trace: str) -> None:
        """Keep a failure's whole traceback beside the tables, for the plugin's author."""
        self._make()
        write_bytes(self.path / "traceback.txt", trace.encode("utf-8", "replace"), sync=False)

    def settle(self) -> None:
        """Wait until the disk has all of it, which has ended."""
        remove_asides(self.path)
        with storing(self.path):
            for file in self.path.iterdir():
                settle(file)
            settle(self.path)

    def clear(self) -> None:
        """Forget the cell. The status goes first: without it no fragment counts."""
        self._checksums = 0, dict.fromkeys(FRAGMENTED, "")
        with storing(self.path):
            if self.path.is_symlink():
                self.path.unlink()  # and not what lies where it leads
            (self.path / "status.json").unlink(missing_ok=True)
            shutil.rmtree(self.path, ignore_errors=True)

    def _make(self) -> None:
        with storing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)

    def _fragment(self, table: str, number: int) -> Path:
        return self.path / f"{table}-{number:05d}.parquet"

"""Who acts in a worker, where its supervisor can read it even when the worker is dead or hangs."""

from __future__ import annotations

import mmap
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from harness.core.errors import UserError
from harness.running.memory import resident
from harness.running.watch import Watch

SIZE = 8192
"""Bytes of a record."""
BLAME = 0.1
"""An algorithm is to blame for memory where it took so much of what the process may hold."""


class Acting(NamedTuple):
    """Cells that act.

    Args:
        doing: in one word.
        cells: their ids.
        since: seconds of the machine's monotonic clock when they began.
    """

    doing: str
    cells: tuple[str, ...]
    since: float


class Record:
    """A page of memory that a worker writes and its supervisor reads.

    It is a mapped file: what is written there outlives the writer, at the price of a copy in memory.

    Args:
        path: of the file; by default a new one.

    >>> record = Record()
    >>> record.write("ask", ["a1"])
    >>> Record(record.path).read()[:2]
    ('ask', ('a1',))
    >>> record.close()
    """

    def __init__(self, path: Path | None = None) -> None:
        if path is None:
            handle, name = tempfile.mkstemp(prefix="gradfree-")
            os.ftruncate(handle, SIZE)
            self.path = Path(name)
        else:
            handle, self.path = os.open(path, os.O_RDWR), path
        with open(handle, "r+b") as file:
            self._page = mmap.mmap(file.fileno(), SIZE)

    def write(self, doing: str, cells: Sequence[str]) -> None:
        """Put down who acts from now on; nobody, where ``cells`` is empty."""
        text = f"{time.monotonic()} {doing} {','.join(cells)}".encode()[: SIZE - 2]
        self._page[:2] = b"\0\0"  # a reader in between finds nothing, and no half of it
        self._page[2 : 2 + len(text)] = text
        self._page[:2] = len(text).to_bytes(2, "little")

    def read(self) -> Acting | None:
        """Who acts; None where nobody does."""
        length = int.from_bytes(self._page[:2], "little")
        parts = self._page[2 : 2 + length].decode(errors="replace").split(" ")
        if len(parts) != 3 or not parts[2]:
            return None
        return Acting(parts[1], tuple(parts[2].split(",")), float(parts[0]))

    def close(self) -> None:
        """Remove the file."""
        self._page.close()
        self.path.unlink(missing_ok=True)


class Guard(Watch):
    """The watch of a worker: keeps the record, and an eye on memory.

    What the process holds more after an algorithm has acted is put down to the algorithm. Where the process
    holds more than its limit, the one that took most is the culprit.

    Args:
        record: that the supervisor reads.
        limit: bytes that the process may hold; None for any.
        told_to_stop: whether the process is to store what it has and end.
    """

    def __init__(self, record: Record, limit: int | None = None) -> None:
        self.record = record
        self.limit = limit
        self.told_to_stop = False
        self._taken: dict[str, int] = {}

    @contextmanager
    def acting(self, doing: str, cells: Sequence[str]) -> Iterator[None]:
        """As of any watch; kept where the supervisor reads it."""
        self.record.write(doing, cells)
        before = resident() if self.limit is not None and len(cells) == 1 else None
        try:
            with super().acting(doing, cells):
                yield
        finally:
            if before is not None:
                self._taken[cells[0]] = self._taken.get(cells[0], 0) + resident() - before
            self.record.write(doing, ())

    def culprit(self, cells: Sequence[str]) -> tuple[str, str] | None:
        """The cell whose algorithm has taken most memory, where the process holds more than it may.

        What it held is not always given back; so the process then ends, and another goes on with the rest.

        Raises:
            UserError: where no algorithm has taken much.
        """
        if self.limit is None or not cells or (held := resident()) <= self.limit:
            return None
        most = max(cells, key=lambda cell: self._taken.get(cell, 0))
        if self._taken.get(most, 0) < BLAME * self.limit:
            raise UserError(
                f"a worker holds {_gib(held)} of the {_gib(self.limit)} that it may, and no algorithm took "
                f"much of it: models and data did; give fewer --workers or more --memory"
            )
        self.told_to_stop = True
        return most, (
            f"the process holds {_gib(held)} of the {_gib(self.limit)} that it may; this algorithm took "
            f"{_gib(self._taken.get(most, 0))} of them, more than any other that ran beside it"
        )

    def stopping(self) -> bool:
        """Whether the process was told to stop, or has to."""
        return self.told_to_stop


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"

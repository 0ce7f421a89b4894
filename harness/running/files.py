"""Files that are either there and whole, or not there: written aside, synced, renamed into place.

What is not synced outlives the process all the same, however that ends; only a machine that goes down may
lose it, or a part of it, and checksums tell.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa


class DamagedError(Exception):
    """A stored file that cannot be read back."""


def write_bytes(path: Path, content: bytes, sync: bool = True) -> None:
    """Replace a file at once: a reader, or the next run after a kill, sees the old one or the new one.

    Args:
        path: of the file; its folder exists.
        content: all of it.
        sync: wait until the disk has the file, and its name in the folder.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    with open(aside, "wb") as file:
        file.write(content)
        if sync:
            file.flush()
            os.fsync(file.fileno())
    os.replace(aside, path)
    if sync:
        settle(path.parent)


def write_json(path: Path, content: Any, sync: bool = True) -> None:
    """JSON, replaced at once; nan and infinities are written as Python writes them."""
    write_bytes(path, (json.dumps(content, indent=1) + "\n").encode(), sync)


def read_json(path: Path) -> Any:
    """What ``write_json`` wrote; raises DamagedError where it is missing or broken."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DamagedError(f"{path.name}: {error}") from error


def write_parquet(path: Path, table: pa.Table, sync: bool = True) -> None:
    """Parquet with checksums of its pages, replaced at once; ``sync`` as for ``write_bytes``."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, write_page_checksum=True)
    write_bytes(path, sink.getvalue().to_pybytes(), sync)


def read_parquet(path: Path) -> pa.Table:
    """What ``write_parquet`` wrote; raises DamagedError where it is missing, truncated or altered."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(pa.BufferReader(path.read_bytes()), page_checksum_verification=True)
    except (OSError, pa.ArrowException) as error:
        raise DamagedError(f"{path.name}: {str(error).splitlines()[0]}") from error


def settle(path: Path) -> None:
    """Wait until the disk has a file that was written before, or the names in a folder."""
    if path.is_dir() and os.name != "posix":
        return
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

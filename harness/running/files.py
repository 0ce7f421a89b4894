"""Files that are either there and whole, or not there: written aside, synced, renamed into place.

What is not synced outlives the process all the same, however that ends; only a machine that goes down may
lose it, or a part of it, and checksums tell.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.core.errors import UserError
from harness.running.checksums import SEAL, check_seal

if TYPE_CHECKING:
    import pyarrow as pa


class DamagedError(Exception):
    """A stored file that is missing, or is not what was stored; whatever it belongs to is made again."""


class StoreError(UserError, OSError):
    """The disk, or whoever rules it, does not let a file be written. Nothing that was stored is lost by it.

    It is no one's failure but the machine's: no cell is marked by it, and the same command goes on.

    Args:
        errno: as of an OSError.
        strerror: what the system says.
        filename: which file, or folder.

    >>> str(StoreError(errno.ENOSPC, "No space left on device", "results/mine/plan.json")).partition("; ")[2]
    'free some space, and the same command goes on where it was'
    """

    doing = "written"

    def __str__(self) -> str:
        return f"{self.filename}: cannot be {self.doing} ({self.strerror}); {self._remedy()}"

    def _remedy(self) -> str:
        return (
            f"{_REMEDIES.get(self.errno or 0, 'see to the disk')}, and the same command goes on where it was"
        )


class UnreadableError(StoreError):
    """A file that is there, and that the system does not let be read: nobody knows whether it is damaged.

    >>> print(UnreadableError(errno.EACCES, "Permission denied", "plan.json"))
    plan.json: cannot be read (Permission denied); see to its permissions, and give the same command
    """

    doing = "read"

    def _remedy(self) -> str:
        if self.errno == errno.EIO:
            return "if it is lost for good, remove it, and the same sweep makes it again"
        return f"{_REMEDIES.get(self.errno or 0, 'see to the disk')}, and give the same command"


_REMEDIES = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some of your quota",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f)",
    errno.EMFILE: "raise the limit on open files (ulimit -n)",
    errno.ENFILE: "close some of this machine's files",
    errno.EROFS: "let it be written to",
    errno.EACCES: "see to its permissions",
    errno.EPERM: "see to its permissions",
}


@contextmanager
def storing(path: Path) -> Iterator[None]:
    """What the system refuses inside is a StoreError that names the path.

    >>> with storing(Path("results")):
    ...     raise OSError(errno.EIO, "Input/output error")
    Traceback (most recent call last):
        ...
    harness.running.files.StoreError: results: cannot be written (Input/output error); see to the disk, ...
    """
    try:
        yield
    except StoreError:
        raise
    except OSError as error:
        raise StoreError(error.errno, error.strerror or str(error), str(path)) from error


def write_bytes(path: Path, content: bytes, sync: bool = True) -> None:
    """Replace a file at once: a reader, or the next run after a kill, sees the old one or the new one.

    Args:
        path: of the file; its folder exists.
        content: all of it.
        sync: wait until the disk has the file, and its name in the folder.

    Raises:
        StoreError: where the system does not let it; the old file is still there.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    with storing(path):
        aside.unlink(missing_ok=True)  # what a process of that number left, or a link that someone put there
        try:
            with open(aside, "xb") as file:
                file.write(content)
                if sync:
                    file.flush()
                    os.fsync(file.fileno())
            os.replace(aside, path)
        except OSError:
            with suppress(OSError):
                aside.unlink(missing_ok=True)
            raise
        if sync:
            settle(path.parent)


def read_bytes(path: Path) -> bytes:
    """All of a file; raises DamagedError where there is none, UnreadableError where nobody can tell."""
    try:
        return path.read_bytes()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise DamagedError(f"{path.name}: {error.strerror}") from error
    except OSError as error:
        # Not damage, which would be cleared: a file that cannot be read now may be good.
        raise UnreadableError(error.errno, error.strerror, str(path)) from error


def remove_asides(folder: Path) -> None:
    """Remove what killed processes were writing; nobody else may be writing in the folder now.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> (folder / ".status.json.4711").touch(), (folder / ".lock").touch()
    (None, None)
    >>> remove_asides(folder)
    >>> [file.name for file in folder.iterdir()]
    ['.lock']
    """
    with storing(folder):
        for file in folder.glob(".*.*"):
            if file.suffix[1:].isdigit():
                file.unlink(missing_ok=True)


def write_json(path: Path, content: Any, sync: bool = True) -> None:
    """JSON, replaced at once; nan and infinities are written as Python writes them."""
    write_bytes(path, (json.dumps(content, indent=1) + "\n").encode(), sync)


def read_json(path: Path) -> Any:
    """What ``write_json`` wrote, without a seal; raises DamagedError if missing or not what was stored."""
    try:
        content = json.loads(read_bytes(path).decode("utf-8"))
        if isinstance(content, dict):
            check_seal(content)
            content.pop(SEAL, None)
        return content
    except (ValueError, RecursionError) as error:
        raise DamagedError(f"{path.name}: {error}") from error


def write_parquet(path: Path, table: pa.Table, sync: bool = True) -> None:
    """Parquet with checksums of its pages, replaced at once; ``sync`` as for ``write_bytes``."""
    write_bytes(path, to_parquet(table), sync)


def to_parquet(table: pa.Table) -> bytes:
    """A file with checksums of its pages."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, write_page_checksum=True)
    return bytes(sink.getvalue().to_pybytes())


def read_parquet(path: Path) -> pa.Table:
    """What ``write_parquet`` wrote; raises DamagedError where it is missing, truncated or altered."""
    return from_parquet(path.name, read_bytes(path))


def from_parquet(name: str, content: bytes) -> pa.Table:
    """The table of a file; raises DamagedError, naming it, where it is truncated or altered."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True)
        return file.read(use_threads=False)
    except (OSError, pa.ArrowException) as error:
        raise DamagedError(f"{name}: {str(error).splitlines()[0]}") from error


def settle(path: Path) -> None:
    """Wait until the disk has a file that was written before, or the names in a folder."""
    if path.is_dir() and os.name != "posix":
        return
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

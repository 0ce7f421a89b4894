"""The files of a cell on their way between two folders: what has changed, in an order that may break off."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.running.files import write_bytes
from harness.running.fragments import CellFolder

STATUS = "status.json"
_Mark = tuple[int, int, int]


@dataclass(frozen=True)
class Changed:
    """What is new in the folder of a cell.

    Args:
        cell: its id.
        files: contents by name, the status last: it is what says that the others are there.
        afresh: whether the cell has begun again, so that nothing that was there before counts.
    """

    cell: str
    files: Mapping[str, bytes]
    afresh: bool


class Sender:
    """Finds out what has changed in the folders of cells since the last time."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, _Mark]] = {}

    def know(self, folder: CellFolder) -> None:
        """Take what is there for known."""
        self._known[folder.id] = _marks(folder.path)

    def changed(self, folder: CellFolder) -> Changed | None:
        """What is new; None where nothing is, or what is there is about to change."""
        known = self._known.get(folder.id, {})
        status, now = _content(folder.path / STATUS), _marks(folder.path)
        if status is None or now == known:
            return None
        fragments = {name for name in known if name.endswith(".parquet")}
        afresh = any(now.get(name) != known[name] for name in fragments)
        files = {
            name: _content(folder.path / name)
            for name in sorted(now)
            if name != STATUS and (afresh or now[name] != known.get(name))
        }
        whole = {name: content for name, content in files.items() if content is not None}
        # Who begins a cell again removes the status first; a commit ends with another one.
        if len(whole) < len(files) or _marks(folder.path) != now or _content(folder.path / STATUS) != status:
            return None
        self._known[folder.id] = now
        return Changed(folder.id, {**whole, STATUS: status}, afresh)


def stored_files(folder: CellFolder) -> dict[str, bytes]:
    """All files of a cell that nobody writes, the status last.

    >>> stored_files(CellFolder(Path("nowhere")))
    {}
    """
    names = sorted(_marks(folder.path), key=lambda name: (name == STATUS, name))
    return {name: content for name in names if (content := _content(folder.path / name)) is not None}


def put(folder: CellFolder, changed: Changed) -> None:
    """Bring a folder to where the other one is; broken off at any instant, it holds the old or the new.

    Raises:
        ValueError: for a name that is no plain file's.
    """
    for name in changed.files:
        if Path(name).name != name or name.startswith("."):
            raise ValueError(f"{name!r} is no file of a cell")
    if changed.afresh:
        folder.clear()
    folder.path.mkdir(parents=True, exist_ok=True)
    for name, content in changed.files.items():
        write_bytes(folder.path / name, content, sync=False)


def _marks(path: Path) -> dict[str, _Mark]:
    """What tells a file from another of its name."""
    found = {}
    try:
        for entry in os.scandir(path):
            if not entry.name.startswith("."):
                stat = entry.stat()
                found[entry.name] = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
    except FileNotFoundError:  # it is being cleared
        return {}
    return found


def _content(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return None

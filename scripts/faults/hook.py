"""Counts the file operations of a process inside one folder, and lets one of them go wrong.

Everything that changes the folder goes through a few functions of ``os`` and ``open``; they are wrapped. A
write is two operations, before it and with half of it written, so that a kill leaves files that are empty,
torn and whole. Processes that the wrapped one starts are counted with it: they find the fault in their
environment (``spawned/sitecustomize.py``), and all share one counter.
"""

from __future__ import annotations

import builtins
import errno
import io
import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

VARIABLE = "GRADFREE_FAULT"
CONCERNED: dict[str, tuple[str, ...]] = {
    "nothing": (),
    "kill": ("create", "write", "rename", "remove"),
    "count": ("create", "write", "rename", "remove"),
    "ENOSPC": ("create", "write", "rename", "sync"),
    "EFBIG": ("write",),
    "EROFS": ("create", "rename", "remove"),
    "EIO": ("create", "write", "rename", "remove", "sync"),
    "EMFILE": ("create", "read"),
    "EIO on reading": ("read",),
    "EACCES on reading": ("read",),
}
"""The kinds of operation at which each fault can happen."""


@dataclass(frozen=True)
class Fault:
    """What goes wrong, and when.

    Args:
        folder: whose operations count.
        what: a key of ``CONCERNED``; ``nothing`` and ``count`` are no faults.
        at: number of the operation, from 1.
        lasting: every operation of the kind from ``at`` on fails, as on a disk that stays full.
        counter: a file whose length is the number of operations so far.
    """

    folder: str
    what: str
    at: int
    counter: str
    lasting: bool = False

    def variable(self) -> dict[str, str]:
        """As the environment of a process that is to have it."""
        return {VARIABLE: json.dumps(asdict(self))}


class Operations:
    """The wrapped functions of this process.

    Args:
        fault: what is to go wrong.
    """

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.folder = os.path.realpath(fault.folder)
        self.real = {name: getattr(os, name) for name in (*_CHANGING, "open", "write", "close", "fsync")}
        self.real_open = builtins.open
        self.handles: set[int] = set()

    def install(self) -> None:
        """Wrap them, for as long as the process lasts."""
        for name in _CHANGING:
            wrapped = self._changing(name)
            setattr(os, name, wrapped)
            # Removing a tree chooses its way by these sets.
            for known in (os.supports_dir_fd, os.supports_follow_symlinks):
                if self.real[name] in known:
                    known.add(wrapped)
        os.open, os.write, os.close, os.fsync = self._os_open, self._os_write, self._os_close, self._fsync
        os.supports_dir_fd.add(self._os_open)
        builtins.open = io.open = self._open  # type: ignore[assignment]

    def point(self, kind: str) -> None:
        """One operation begins: the fault, if it is this one's turn."""
        if kind not in CONCERNED[self.fault.what]:
            return
        handle = self.real["open"](self.fault.counter, os.O_CREAT | os.O_APPEND | os.O_RDWR)
        try:
            self.real["write"](handle, b".")
            number = os.fstat(handle).st_size
        finally:
            self.real["close"](handle)
        late = number > self.fault.at and not self.fault.lasting
        if self.fault.what == "count" or number < self.fault.at or late:
            return
        if self.fault.what == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(60)  # the signal may come a moment later; nothing is done meanwhile
        code = getattr(errno, self.fault.what.split()[0])
        raise OSError(code, os.strerror(code))

    def inside(self, path: Any, parent: int | None = None) -> bool:
        """Whether a path lies in the folder."""
        if isinstance(path, int):
            return path in self.handles
        text = os.fsdecode(path)
        if parent is not None:
            text = os.path.join(os.readlink(f"/proc/self/fd/{parent}"), text)
        text = os.path.abspath(text)
        return text == self.folder or text.startswith(self.folder + os.sep)

    def _changing(self, name: str) -> Callable[..., Any]:
        real = self.real[name]

        def wrapped(path: Any, *rest: Any, **more: Any) -> Any:
            if self.inside(path, more.get("dir_fd")):
                self.point(_CHANGING[name])
            return real(path, *rest, **more)

        return wrapped

    def _os_open(self, path: Any, flags: int, *rest: Any, **more: Any) -> int:
        if not self.inside(path, more.get("dir_fd")):
            return int(self.real["open"](path, flags, *rest, **more))
        self.point("create" if flags & (os.O_CREAT | os.O_TRUNC) else "read")
        handle = int(self.real["open"](path, flags, *rest, **more))
        self.handles.add(handle)
        return handle

    def _os_write(self, handle: int, content: Any) -> int:
        if handle in self.handles:
            self.point("write")
            self.real["write"](handle, bytes(content)[: len(content) // 2])
            self.point("write")
            return len(content) // 2 + int(self.real["write"](handle, bytes(content)[len(content) // 2 :]))
        return int(self.real["write"](handle, content))

    def _os_close(self, handle: int) -> None:
        self.handles.discard(handle)
        self.real["close"](handle)

    def _fsync(self, handle: Any) -> None:
        # Nothing is waited for: a killed process loses nothing that it has written; a dead machine may.
        if handle in self.handles:
            self.point("sync")

    def _open(self, path: Any, mode: str = "r", *rest: Any, **more: Any) -> Any:
        if isinstance(path, int) or not self.inside(path):
            return self.real_open(path, mode, *rest, **more)
        changes = bool(set(mode) & set("wax+"))
        self.point("create" if changes else "read")
        file = self.real_open(path, mode, *rest, **more)
        if changes:
            self.handles.add(file.fileno())
            self._tear(file)
        return file

    def _tear(self, file: Any) -> None:
        write, close = file.write, file.close
        handle = file.fileno()

        def torn(content: Any) -> int:
            self.point("write")
            half = len(content) // 2
            write(content[:half])
            file.flush()
            self.point("write")
            write(content[half:])
            return len(content)

        def closed() -> None:
            self.handles.discard(handle)
            close()

        file.write, file.close = torn, closed


_CHANGING = {
    **dict.fromkeys(("replace", "rename"), "rename"),
    **dict.fromkeys(("unlink", "remove", "rmdir"), "remove"),
    **dict.fromkeys(("mkdir", "link", "symlink"), "create"),
}


def install(fault: Fault) -> None:
    """Wrap the functions of this process, and leave the fault for those that it starts."""
    os.environ.update(fault.variable())
    places = [str(Path(__file__).parent / "spawned"), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, places))
    Operations(fault).install()


def install_from_environment() -> None:
    """In a process that was started by a wrapped one."""
    if VARIABLE in os.environ:
        Operations(Fault(**json.loads(os.environ[VARIABLE]))).install()

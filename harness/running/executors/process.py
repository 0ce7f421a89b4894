"""A worker as its supervisor sees it: a process, what it was handed, what it says, and how it ended."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeAlias

from harness.running.executors.acting import Acting, Record
from harness.running.files import storing

if TYPE_CHECKING:
    from harness.running.executors.suspects import Unit
    from harness.running.plan import Cell

STOP_SECONDS = 5.0
"""A worker that is told to stop has so long to store what it has."""
TAIL = 4000
"""Bytes of a log that are kept with a cell."""

Event: TypeAlias = "tuple[Process, int, dict[str, Any] | None]"
"""From whom, of which start of it, and what: None when nothing more comes."""


class Process:
    """A worker; it can be started again when it has died.

    Args:
        number: from 0; where the machine has several GPUs it says which one is used.
        inbox: where events are put, by a thread.
    """

    def __init__(self, number: int, inbox: queue.Queue[Event]) -> None:
        self.number = number
        self.inbox = inbox
        self.serial = 0
        """Counts the starts."""
        self.unit: Unit | None = None
        self.group: str | None = None
        """Of the last unit."""
        self.hanging = False
        """Whether it was killed because it hung."""
        self.start()

    def start(self) -> None:
        """Start it; it imports what it needs, and waits."""
        self.serial += 1
        self.hanging = self._told = False
        with storing(Path(tempfile.gettempdir())):
            self.record = Record()
            self.log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        self._popen = subprocess.Popen(
            [sys.executable, "-m", "harness.running.executors.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            env={**_patience(), **os.environ, **_device(self.number), "PYTHONUNBUFFERED": "1"},
            start_new_session=True,  # what is typed at the terminal is the supervisor's to answer
        )
        threading.Thread(
            target=self._read, args=(self._popen, self.serial), name=f"worker {self.number}", daemon=True
        ).start()

    def hand(self, unit: Unit, known: Sequence[Cell], group: str, job: dict[str, Any]) -> None:
        """Give it cells to run.

        Args:
            unit: these.
            known: others of their tasks, that have ended.
            group: of the unit.
            job: what they belong to; said the first time.
        """
        self.unit, self.group = unit, group
        if not self._told:
            self._told = True
            self._send({**job, "record": str(self.record.path)})
        self._send({"cells": [asdict(cell) for cell in (*unit.cells, *known)]})

    def acting(self) -> Acting | None:
        """Which of its cells act, or acted when it died."""
        return self.record.read()

    def cell(self, identity: str) -> Cell | None:
        """A cell of its unit."""
        return next((cell for cell in (self.unit.cells if self.unit else ()) if cell.id == identity), None)

    def kill(self) -> None:
        """End it at once, since it hangs."""
        self.hanging = True
        self._popen.kill()

    def death(self) -> str:
        """How it ended, as in "it ...": one that says nothing more and goes on is made to."""
        try:
            code = self._popen.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            code = self._popen.wait()
        if code >= 0:
            return f"ended with code {code}"
        with suppress(ValueError):
            return f"was killed by {signal.Signals(-code).name}"
        return f"was killed by signal {-code}"

    def tail(self) -> str:
        """The last lines of its log, with what was printed."""
        self.log.seek(0, os.SEEK_END)
        self.log.seek(max(0, self.log.tell() - TAIL))
        return self.log.read().decode("utf-8", "replace")

    def stop(self) -> None:
        """Have it store what it has and end, or end it; returns when that is done."""
        if self._popen.poll() is None:
            with suppress(ProcessLookupError):
                self._popen.terminate()
            try:
                self._popen.wait(STOP_SECONDS if self.unit else 0)
            except subprocess.TimeoutExpired:
                self._popen.kill()
                self._popen.wait()
        self.close()

    def close(self) -> None:
        """Let go of what it used, when it has ended."""
        for stream in (self._popen.stdin, self._popen.stdout, self.log):
            with suppress(OSError):
                if stream is not None:
                    stream.close()
        self.record.close()

    def _send(self, message: dict[str, Any]) -> None:
        assert self._popen.stdin is not None
        with suppress(OSError):  # it is dead, and the inbox says so
            self._popen.stdin.write(json.dumps(message).encode() + b"\n")
            self._popen.stdin.flush()

    def _read(self, popen: subprocess.Popen[bytes], serial: int) -> None:
        assert popen.stdout is not None
        with suppress(ValueError, OSError):  # the pipe of one that was stopped is closed
            for line in popen.stdout:
                self.inbox.put((self, serial, json.loads(line)))
        self.inbox.put((self, serial, None))


def _patience() -> dict[str, str]:
    """How threads wait for one another, unless the user has chosen: asleep, not turning.

    On cores that are shared with anything else a thread that turns keeps the one that it waits for from
    running. Beside one busy process, small forwards on two cores were 1.7 and 3.7 times as fast asleep in two
    trials; beside nothing else no difference was told apart from the machine's own.
    """
    chosen = any(name.startswith(("OMP_WAIT", "GOMP_SPIN", "KMP_BLOCKTIME")) for name in os.environ)
    return {} if chosen else {"OMP_WAIT_POLICY": "PASSIVE"}


def _device(number: int) -> dict[str, str]:
    """Where there are several GPUs, each worker sees one."""
    seen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if seen is not None:
        mine = [device for device in seen.split(",") if device]
    else:
        mine = [str(device) for device in range(_gpus())]
    return {"CUDA_VISIBLE_DEVICES": mine[number % len(mine)]} if len(mine) > 1 else {}


def _gpus() -> int:
    """How many GPUs there are, without waking any."""
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0

"""Ways to a follower: what every one of them can do, and one to a process on this machine."""

from __future__ import annotations

import os
import select
import struct
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import IO

_LENGTH = struct.Struct("!Q")


class LostError(Exception):
    """A follower that is gone, or does not answer in time."""


class Link(ABC):
    """A way to one follower, which is sent messages in order and answers those that ask something."""

    @abstractmethod
    def send(self, message: bytes, answered: bool = False) -> None:
        """Give it a message; does not wait until it has been acted on. Raises LostError.

        Args:
            message: for ``Replica.act``.
            answered: whether there will be an answer.
        """

    @abstractmethod
    def receive(self, timeout: float) -> bytes:
        """Its next answer; raises LostError where there is none within so many seconds."""

    @abstractmethod
    def close(self) -> None:
        """End the follower, whatever it is doing."""


class ProcessLink(Link):
    """A follower that is a process on this machine, spoken to through its standard input and output.

    It ends with the process that made it, however that ends: its input is closed then.

    Args:
        greeting: its first message (``harness.running.sharding.follower.greeting``).
        environment: variables that it has beside this process's, as ``CUDA_VISIBLE_DEVICES``.
    """

    def __init__(self, greeting: bytes, environment: Mapping[str, str] | None = None) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # as long as the process
        self.process = subprocess.Popen(
            [sys.executable, "-m", "harness.running.sharding.follower"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, **(environment or {})},
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._input, self._output = self.process.stdin, self.process.stdout
        self.send(greeting)

    def send(self, message: bytes, answered: bool = False) -> None:
        try:
            write_message(self._input, message)
        except OSError as error:
            raise LostError(self._ending()) from error

    def receive(self, timeout: float) -> bytes:
        until = time.monotonic() + timeout
        (length,) = _LENGTH.unpack(self._read(_LENGTH.size, until))
        return self._read(length, until)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for file in (self._input, self._output, self._errors):
            try:
                file.close()
            except OSError:  # what it was sent last could not be delivered
                continue

    def _read(self, size: int, until: float) -> bytes:
        found = b""
        while len(found) < size:
            ready, _, _ = select.select([self._output], [], [], max(0.0, until - time.monotonic()))
            if not ready:
                raise LostError("it gave no answer in time")
            part = os.read(self._output.fileno(), size - len(found))
            if not part:
                raise LostError(self._ending())
            found += part
        return found

    def _ending(self) -> str:
        try:
            code = self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return "it closed its output"
        if code < 0:
            return f"killed by signal {-code}"
        self._errors.seek(0)
        said = self._errors.read().decode("utf-8", "replace").strip().splitlines() or ["no message"]
        return f"exit code {code}: {said[-1]}"


def write_message(file: IO[bytes], message: bytes) -> None:
    """A message behind its length."""
    file.write(_LENGTH.pack(len(message)) + message)
    file.flush()


def read_message(file: IO[bytes]) -> bytes | None:
    """The next message, None at the end of the file.

    >>> import io
    >>> file = io.BytesIO()
    >>> write_message(file, b"one")
    >>> _ = file.seek(0)
    >>> read_message(file), read_message(file)
    (b'one', None)
    """
    head = file.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    body = file.read(length)
    return body if len(body) == length else None

"""What a process does with its cells while it runs them: who acts, and what an algorithm leaves behind."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


class Watch:
    """Is told who acts, so that whoever looks from outside knows whom to suspect. This one tells nobody.

    Beside that it keeps what belongs to the whole process as it was (modes of torch, numpy's handling of
    errors, the folder it is in): an algorithm that changes them is its own affair, and its neighbours are not
    to notice. A copy of the process that an algorithm has made and let return ends here.

    >>> watch = Watch()
    >>> with watch.acting("ask", ["a1"]):
    ...     _ = torch.set_grad_enabled(False)
    >>> torch.is_grad_enabled()
    True
    """

    @contextmanager
    def acting(self, doing: str, cells: Sequence[str]) -> Iterator[None]:
        """Inside, cells act; what they do is ``ask``, ``tell``, ``evaluate``, ...

        Args:
            doing: in one word.
            cells: their ids; several share a forward.
        """
        before, process = [get() for get, _ in _MODES], os.getpid()
        try:
            yield
        finally:
            if os.getpid() != process:
                os._exit(1)  # two that store the same cells would damage them
            for (get, put), value in zip(_MODES, before, strict=True):
                if get() != value:
                    put(value)

    def culprit(self, cells: Sequence[str]) -> tuple[str, str] | None:
        """Asked once a round: a cell that must not go on, of those that run, and why."""
        return None

    def stopping(self) -> bool:
        """Asked once a round: whether the process is to store what it has and end."""
        return False


def _folder() -> str | None:
    try:
        return os.getcwd()
    except OSError:  # it was removed
        return None


def _enter(folder: str | None) -> None:
    if folder is not None:
        os.chdir(folder)


def _use_device(device: torch.device) -> None:
    # Saying that it is the CPU would cost a look at every call of torch.
    torch.set_default_device(None if device.type == "cpu" else device)


_MODES: list[tuple[Callable[[], Any], Callable[[Any], Any]]] = [
    (torch.is_grad_enabled, torch.set_grad_enabled),
    (torch.get_default_dtype, torch.set_default_dtype),
    (torch.get_num_threads, torch.set_num_threads),
    (torch.get_default_device, _use_device),
    (torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms),
    (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    (np.geterr, lambda handling: np.seterr(**handling)),
    (_folder, _enter),
]
"""What belongs to the whole process: how it is read, and how it is set."""

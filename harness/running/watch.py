"""What a process does with its cells while it runs them: who acts, and what an algorithm leaves behind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch


class Watch:
    """Is told who acts, so that whoever looks from outside knows whom to suspect. This one tells nobody.

    Beside that it keeps torch's global modes as they were: an algorithm that changes them is its own affair,
    and its neighbours are not to notice.

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
        gradients, dtype, threads = modes = _modes()
        try:
            yield
        finally:
            if _modes() != modes:
                torch.set_grad_enabled(gradients)
                torch.set_default_dtype(dtype)
                torch.set_num_threads(threads)

    def culprit(self, cells: Sequence[str]) -> tuple[str, str] | None:
        """Asked once a round: a cell that must not go on, of those that run, and why."""
        return None

    def stopping(self) -> bool:
        """Asked once a round: whether the process is to store what it has and end."""
        return False


def _modes() -> tuple[bool, torch.dtype, int]:
    return torch.is_grad_enabled(), torch.get_default_dtype(), torch.get_num_threads()

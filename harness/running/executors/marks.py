"""Rows of cells that could not tell themselves how they ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from harness.core.task import Signature
from harness.running.files import DamagedError
from harness.running.fragments import CellFolder

if TYPE_CHECKING:
    from harness.running.fragments import CellState


def mark(
    folder: CellFolder, row: dict[str, Any], status: Literal["failed", "timeout"], reason: str, trace: str
) -> None:
    """Store how a cell ended whose process was stopped, or died.

    Of one that timed out what was stored before stays. Of one that failed nothing does: how far its process
    had come before it died is chance.

    Args:
        folder: of the cell.
        row: the columns of ``runs`` that it brings along.
        status: how it ended.
        reason: in one line.
        trace: what its process said last.

    >>> import tempfile
    >>> from pathlib import Path
    >>> folder = CellFolder(Path(tempfile.mkdtemp()) / "a1")
    >>> mark(folder, {"id": "a1"}, "failed", "its process was killed by SIGKILL in ask", "")
    >>> folder.state().status
    'failed'
    """
    state = _state(folder) if status == "timeout" else None
    if state is None:
        folder.clear()
        row = {**row, "evaluations": 0, "generations": 0}
    else:
        row = {**row, **state.row}
    folder.write_trace(trace)
    signature, fragments = (state.signature, state.fragments) if state else (Signature("", ()), 0)
    folder.commit(status, signature, {**row, "status": status, "reason": reason}, {}, fragments)


def _state(folder: CellFolder) -> CellState | None:
    try:
        return folder.state()
    except DamagedError:
        return None

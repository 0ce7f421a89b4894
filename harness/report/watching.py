"""A sweep in TensorBoard while it runs: a follower that only reads what the cells have stored."""

from __future__ import annotations

import hashlib
import math
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.core.errors import UserError
from harness.running.files import DamagedError, read_json, write_json
from harness.running.fragments import CellFolder
from harness.running.results import load_plan_cells
from harness.running.store import CELLS, PLAN

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

    from harness.running.plan import Cell

OPEN = 64
"""Files of scalars that are open at once: each has a thread."""

NOTES = ".gradfree-watch.json"
"""How many rows of each cell have been written; another watch of the same sweep goes on from there."""


def watch(
    out: Path | str,
    log: Path | str,
    *,
    once: bool = False,
    every: float = 5.0,
    say: Callable[[str], Any] = lambda line: None,
) -> int:
    """Follow a sweep until all of its cells have ended, and write their scalars for TensorBoard.

    A run is named task/algorithm/repetition (a character that no folder should have is replaced) and has
    ``loss/best``, ``loss/mean``, ``dev/METRIC`` and ``tokens`` over evaluations. What is damaged or half
    written is left for the next look. Nothing is written into ``out``.

    Args:
        out: folder of a sweep that has begun.
        log: folder for TensorBoard; new, or of an earlier watch of the same sweep, which is continued.
        once: write what there is and end.
        every: seconds between two looks.
        say: is told in a line how far the sweep is, whenever that has changed.

    Returns:
        How many rows of curves were written.

    Raises:
        UserError: where there is no sweep, without the library, or where ``log`` is another's.

    >>> import tempfile
    >>> from harness import Sweep, sweep
    >>> words = Sweep.from_flags(tasks="sphere", algorithms="random", budget=20, repetitions=1)
    >>> results = sweep(words, out=tempfile.mkdtemp())
    >>> watch(results.path, tempfile.mkdtemp(), say=print)
    2 of 2 cells have ended
    1
    """
    folder = Path(out)
    if not (folder / PLAN).is_file():
        raise UserError(f"{folder}: holds no {PLAN}; begin a sweep with --out {folder} first")
    written, said = 0, ""
    with _Scalars(Path(log), folder) as scalars:
        while True:
            cells = load_plan_cells(folder)
            ended = 0
            for cell in cells:
                rows, done = _look(folder, cell, scalars)
                written += rows
                ended += done
            scalars.note()
            line = f"{ended} of {len(cells)} cells have ended"
            if line != said:
                say(line)
                said = line
            if once or ended == len(cells):
                return written
            time.sleep(every)


def _look(folder: Path, cell: Cell, scalars: _Scalars) -> tuple[int, bool]:
    """Write what is new of a cell; how many rows that was, and whether the cell has ended."""
    if cell.skip is not None:
        return 0, True
    stored = CellFolder(folder / CELLS / cell.id)
    try:
        state = stored.state()
        if state is None or (state.done and scalars.complete(cell.id)):
            return 0, state is not None
        curve = stored.tables(state)["curve"].to_pylist()
    except (DamagedError, OSError):  # being written, or to be run again: the next look tells
        return 0, False
    fresh = curve[scalars.known(cell.id, len(curve)) :]
    metric = str(state.row.get("metric") or "metric")
    for row in fresh:
        scalars.add(cell, row, metric)
    scalars.wrote(cell.id, len(curve), state.done)
    return len(fresh), state.done


class _Scalars:
    """The writers of runs, few of them open, and the notes on what they have written."""

    def __init__(self, log: Path, out: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise UserError(
                "--tensorboard: scalars are written by tensorboard: pip install 'gradfree[tensorboard]'"
            ) from None
        self._make: Callable[..., SummaryWriter] = SummaryWriter
        self.log, self.out = log, str(out.resolve())
        self._open: OrderedDict[str, SummaryWriter] = OrderedDict()
        self._rows, self._ended = self._noted()

    def __enter__(self) -> _Scalars:
        return self

    def __exit__(self, *error: object) -> None:
        while self._open:
            self._open.popitem()[1].close()

    def _noted(self) -> tuple[dict[str, int], set[str]]:
        try:
            if self.log.exists() and (not self.log.is_dir() or any(self.log.iterdir())):
                notes = read_json(self.log / NOTES)
                if notes["out"] == self.out:
                    return dict(notes["rows"]), set(notes["ended"])
                raise UserError(f"{self.log}: follows {notes['out']}; name another folder with --tensorboard")
            self.log.mkdir(parents=True, exist_ok=True)
        except (DamagedError, KeyError, TypeError, ValueError) as error:
            raise UserError(
                f"{self.log}: is not empty, and of no watch; name a new folder with --tensorboard"
            ) from error
        except OSError as error:
            raise UserError(
                f"{self.log}: cannot be written ({error.strerror}); name another folder"
            ) from error
        return {}, set()

    def note(self) -> None:
        """Put down what has been written, after it has been."""
        for writer in self._open.values():
            writer.flush()
        write_json(
            self.log / NOTES, {"out": self.out, "rows": self._rows, "ended": sorted(self._ended)}, sync=False
        )

    def complete(self, cell: str) -> bool:
        """Whether all of a cell that has ended was written."""
        return cell in self._ended

    def known(self, cell: str, there: int) -> int:
        """Rows of a cell that were written; none where it has fewer now, since it runs anew."""
        known = self._rows.get(cell, 0)
        return known if known <= there else 0

    def wrote(self, cell: str, rows: int, ended: bool) -> None:
        """All rows of a cell have been written."""
        self._rows[cell] = rows
        if ended:
            self._ended.add(cell)
            if cell in self._open:
                self._open.pop(cell).close()

    def add(self, cell: Cell, row: dict[str, Any], metric: str) -> None:
        """The scalars of one row of a curve."""
        writer = self._writer(cell)
        values = {"loss/best": "loss_best", "loss/mean": "loss_mean", f"dev/{metric}": "dev_metric"}
        for tag, column in {**values, "tokens": "tokens"}.items():
            value = row[column]
            if value is not None and not math.isnan(value):
                writer.add_scalar(tag, value, row["evaluations"])

    def _writer(self, cell: Cell) -> SummaryWriter:
        if cell.id not in self._open:
            while len(self._open) >= OPEN:
                self._open.popitem(last=False)[1].close()
            self._open[cell.id] = self._make(str(self.log / run_name(cell)))
        self._open.move_to_end(cell.id)
        return self._open[cell.id]


def run_name(cell: Cell) -> Path:
    """Task, algorithm and repetition as folders; never one outside of the folder that they are put into.

    >>> from harness import Sweep, make_plan
    >>> cell = make_plan(Sweep.from_flags(tasks="sphere", algorithms="random", repetitions=1)).cells[0]
    >>> run_name(cell).as_posix()
    'sphere/random/0'
    """
    algorithm = cell.algorithm if cell.kind == "default" else f"{cell.algorithm} {cell.kind} {cell.trial}"
    parts = [*_folders(cell.task), *_folders(algorithm.replace("/", "-")), str(cell.repetition)]
    return Path(*parts)


def _folders(name: str) -> Iterator[str]:
    for part in name.split("/"):
        safe = re.sub(r"[^\w.,=@+\[\] -]", "-", part, flags=re.ASCII)[:80]
        if safe != part or not safe.strip(". "):
            # Two names must not become one.
            safe = f"{safe.strip('. ')}-{hashlib.sha256(part.encode()).hexdigest()[:6]}"
        yield safe

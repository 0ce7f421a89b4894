"""A whole sweep as one call: plan, run, read back."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from harness.running.clock import Breakdown
from harness.running.executors.base import Executor, Session
from harness.running.executors.inline import Inline
from harness.running.fragments import CellFolder
from harness.running.observer import Observer
from harness.running.plan import Cell, builder_of, make_plan
from harness.running.results import Results, collect, load_results
from harness.running.runner import FLUSH_SECONDS
from harness.running.store import Store
from harness.running.sweep_file import Sweep
from harness.running.tuning import resolved

SETTLING = 16
"""Cells whose files are waited for at the same time."""


def sweep(
    source: Sweep | Path | str,
    *,
    out: Path | str | None = None,
    retry: bool = False,
    progress: Observer | None = None,
    breakdown: Breakdown | None = None,
    flush_seconds: float = FLUSH_SECONDS,
    executor: Executor | None = None,
    **overrides: Any,
) -> Results:
    """Run a sweep, or what is missing of it, and read its tables.

    The same call again runs nothing twice: what is finished stays, what was broken off goes on.

    Args:
        source: a sweep, a sweep file, or the name of a shipped suite.
        out: folder of the results; by default the sweep's own ``out``, or ``results/<name>``.
        retry: run cells again that failed or timed out.
        progress: is told how it goes; None for silence.
        breakdown: takes down where the time goes, where it began before this call.
        flush_seconds: how often unfinished cells are stored.
        executor: where the cells are run (``executor_of``); by default in this process.
        overrides: keys of a sweep file, such as ``budget`` or ``repetitions``.

    Raises:
        UserError: for anything that is the user's to mend. A cell that fails raises nothing: it is a row.

    >>> import tempfile
    >>> words = Sweep.from_flags(tasks="sphere[dimension=2]", algorithms="random", budget=20, repetitions=1)
    >>> results = sweep(words, out=tempfile.mkdtemp())
    >>> results.runs["status"].tolist()
    ['finished', 'finished']
    """
    breakdown, observer = breakdown or Breakdown(), progress or Observer()
    with executor or Inline() as runs:
        with breakdown.phase("loading"):
            words = source if isinstance(source, Sweep) else Sweep.load(source)
            words = words.override(**overrides)
            builder = builder_of(words, planning=runs.planning)
            plan = make_plan(words, builder)
        with Store(Path(out) if out is not None else words.output) as store:
            with breakdown.phase("recording"):
                store.begin(plan.to_json(), words.to_yaml())
            if strangers := store.strangers(cell.id for cell in plan.cells):
                observer.note(
                    f"{store.path}: {len(strangers)} stored cells belong to another plan; "
                    f"they stay in {store.path / 'cells'} and are left out of the tables"
                )
            runs.begin(Session(words, builder, store, observer, breakdown, flush_seconds))
            try:
                runs.run([cell for cell in plan.cells if cell.kind != "tuned"], retry)
                if words.tuning is not None:
                    with breakdown.phase("recording"):
                        tuned = resolved(plan.cells, store)
                    runs.run(tuned, retry)
                with breakdown.phase("recording"):
                    write_tables(store, plan.cells)
                    return load_results(store.path)
            finally:
                runs.end()
                store.add_session(breakdown.session())


def write_tables(store: Store, cells: Sequence[Cell]) -> None:
    """Wait until the disk has the cells, and write the derived tables of all of them."""
    # Those too that ended in a session that was broken off. Many at once: the disk takes them together.
    folders = [store.cell(cell.id) for cell in cells if cell.skip is None]
    with ThreadPoolExecutor(SETTLING) as pool:
        for _ in pool.map(CellFolder.settle, folders):
            pass
    store.write_tables(collect(store.path, cells))

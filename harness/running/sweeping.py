"""A whole sweep as one call: plan, run, read back."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from harness.core.algorithm import Algorithm
from harness.core.budget import Budget
from harness.core.task import Task
from harness.plugins.build import build_algorithm
from harness.running.clock import Breakdown
from harness.running.environment import environment, environment_key
from harness.running.observer import Observer
from harness.running.plan import Cell, builder_of, make_plan
from harness.running.results import Results, load_results
from harness.running.runner import FLUSH_SECONDS, Workshop, run_cells
from harness.running.store import Store
from harness.running.sweep_file import Sweep
from harness.running.tuning import resolved


def sweep(
    source: Sweep | Path | str,
    *,
    out: Path | str | None = None,
    retry: bool = False,
    progress: Observer | None = None,
    breakdown: Breakdown | None = None,
    flush_seconds: float = FLUSH_SECONDS,
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
        overrides: keys of a sweep file, such as ``budget`` or ``repetitions``.

    Raises:
        UserError: for anything that is the user's to mend. A cell that fails raises nothing: it is a row.

    >>> import tempfile
    >>> words = Sweep.from_flags(tasks="sphere[dimension=2]", algorithms="random", budget=20, repetitions=1)
    >>> results = sweep(words, out=tempfile.mkdtemp())
    >>> results.runs["status"].tolist()
    ['finished', 'finished']
    """
    breakdown = breakdown or Breakdown()
    with breakdown.phase("loading"):
        words = source if isinstance(source, Sweep) else Sweep.load(source)
        words = words.override(**overrides)
        builder = builder_of(words)
        plan = make_plan(words, builder)

    def make_task(cell: Cell) -> Task:
        return builder.task(cell.task)

    def make_algorithm(cell: Cell, task: Task, budget: Budget) -> Algorithm:
        return build_algorithm(cell.spec, task.space, budget, cell.algorithm_seed)

    machine = environment(builder.device, builder.dtype)
    with Store(Path(out) if out is not None else words.output) as store:
        with breakdown.phase("recording"):
            store.begin(plan.to_json(), words.to_yaml())
            store.add_environment(environment_key(machine), machine)
        if strangers := store.strangers(cell.id for cell in plan.cells):
            (progress or Observer()).note(
                f"{store.path}: {len(strangers)} stored cells belong to another plan; "
                f"they stay in {store.path / 'cells'} and are left out of the tables"
            )
        run = partial(
            run_cells,
            store=store,
            workshop=Workshop(make_task, make_algorithm),
            protocol=builder.protocol,
            environment=environment_key(machine),
            observer=progress,
            breakdown=breakdown,
            retry=retry,
            flush_seconds=flush_seconds,
            planned=plan.cells,
        )
        try:
            run([cell for cell in plan.cells if cell.kind != "tuned"])
            if words.tuning is not None:
                with breakdown.phase("recording"):
                    tuned = resolved(plan.cells, store)
                run(tuned)
            with breakdown.phase("recording"):
                return load_results(store.path)
        finally:
            store.add_session(breakdown.session())

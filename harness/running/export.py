"""The tuned candidate of a run, brought back from the log of its losses and written for others to use."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

from harness.core.budget import Budget
from harness.core.errors import UserError
from harness.core.task import Request
from harness.core.untuned import Candidate, Untuned
from harness.plugins.build import build_algorithm
from harness.plugins.spec import Spec
from harness.running.cell import CellRun
from harness.running.clock import Breakdown
from harness.running.files import DamagedError, write_json
from harness.running.fragments import CellFolder, CellState
from harness.running.lookup import located
from harness.running.plan import builder_of
from harness.running.replay import Log, MismatchError, dev_scores, replay

ABOUT = "gradfree.json"


@dataclass(frozen=True)
class Export:
    """What was written.

    Args:
        folder: where.
        kind: what it is, in a word or two.
        metric: of the task.
        stored: value of the metric on the test split, as the sweep measured it.
        again: the same of what was written, measured now.
    """

    folder: Path
    kind: str
    metric: str
    stored: float
    again: float


def export(run: Path | str, to: Path | str) -> Export:
    """Write what a finished run had tuned: a PEFT adapter, or a model as a ``transformers`` folder.

    Nothing was kept of the candidate but the losses that led to it, so its algorithm is told them again;
    where that does not do (it is not deterministic, or follows gradients), the run is repeated.

    Args:
        run: the folder of results and the run's id, as ``results/mine/0a1b2c``; the id may be cut short.
        to: a new or empty folder.

    Raises:
        UserError: where there is no such run, it has not finished, data or model are others now, or its task
            has nothing to be exported.
    """
    folder = Path(to)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder}: is not empty; name a new folder with --to")
    plan, cell, stored_cell = located(Path(run))
    state, log = _state(stored_cell)
    builder = builder_of(plan.sweep)
    task = builder.task(cell.task)
    if not state.signature.agrees(task.signature()):
        raise UserError(f"{run}: it ran with other data or another model than are here now")
    shown = Budget(cell.budget)
    # Its row, unlike the plan, knows the options that a tuned run was given.
    given = Spec(Spec.parse(cell.algorithm).name, tuple(json.loads(state.row["options"]).items()))
    algorithm = build_algorithm(given, task.space, shown, cell.algorithm_seed)
    protocol = builder.protocols.get(cell.task, builder.protocol)
    again = CellRun(algorithm, task, shown, protocol, Breakdown(), cell.repetition)
    candidate = _reported(again, log, f"{run}")
    if again.reported is None or again.reported.evaluations != state.row["reported_at"]:
        raise UserError(f"{run}: with these versions of the libraries it does not go as it went")
    if candidate is None or isinstance(candidate, Untuned):
        raise UserError(f"{run}: {cell.algorithm} reported the untouched model; there is nothing to export")
    written = task.export(candidate, folder)
    again_metric = float(task.score([(candidate, cell.repetition)], "test")[0][task.metric])
    stored_metric = state.row.get("test_metric")
    about = {
        **written,
        "run": cell.id,
        "task": cell.task,
        "algorithm": str(given),
        "repetition": cell.repetition,
        "metric": task.metric,
        **{f"{split}_metric": state.row.get(f"{split}_metric") for split in ("train", "dev", "test")},
    }
    write_json(folder / ABOUT, about)
    stored = math.nan if stored_metric is None else float(stored_metric)
    return Export(folder, str(written["kind"]), task.metric, stored, again_metric)


def _state(stored: CellFolder) -> tuple[CellState, Log]:
    try:
        state = stored.state()
        if state is None or state.status not in ("finished", "timeout"):
            said = "it has not run" if state is None else f"it is {state.status}"
            raise UserError(f"{stored.path}: {said}; only what has finished can be exported")
        return state, {name: table.to_pylist() for name, table in stored.tables(state).items()}
    except DamagedError as error:
        raise UserError(f"{stored.path}: {error}; run the sweep again to mend it") from error


def _reported(run: CellRun, log: Log, place: str) -> Candidate:
    """The candidate that the run reported."""
    if not run.resumable:
        _repeat(run, log)
    else:
        try:
            replay(run, log)
        except MismatchError as error:
            raise UserError(f"{place}: its log is not what this algorithm does now: {error}") from error
        _note_last(run, log)
    return None if run.reported is None else run.reported.candidate


def _note_last(run: CellRun, log: Log) -> None:
    """The end of a run is a dev point too, wherever it ended."""
    scores = dev_scores(log)
    if not run.scored and run.budget.spent in scores:
        run.note_dev(run.best(), scores[run.budget.spent])


def _repeat(run: CellRun, log: Log) -> None:
    """Run it as it ran, with the stored dev metrics at its dev points."""
    scores = dev_scores(log)
    last = log["curve"][-1]["evaluations"] if log["curve"] else 0
    while run.budget.spent < last and (population := run.ask()) is not None:
        request = Request(population, run.repetition, run.minibatch)
        if run.tell(population, run.task.evaluate([request])[0]) and run.budget.spent in scores:
            run.note_dev(run.best(), scores[run.budget.spent])
    _note_last(run, log)

"""Equal tuning effort: the same number of trials for every task and algorithm, and the choice among them.

Trial 0 has the options as they are listed; the others are points of a scrambled Sobol sequence (Optuna's QMC
sampler) over the ranges that the algorithm declares, the same points for all who tune as many options. They
are drawn ahead, so that all of them share forwards and any of them is resumed by itself. Nothing is lost by
that with few trials: Optuna's TPE draws its first ten at random as well.

Trials run on a data split of their own (repetition ``SPLIT``), so that no repetition's dev rows are used
twice; where the splits are given and not drawn, on that of repetition 0. They are scored on dev alone.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from harness.plugins.spec import Spec
from harness.running.files import DamagedError
from harness.running.results import plan_row
from harness.running.store import Store

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

    from harness.core.search import Range
    from harness.running.plan import Cell

SPLIT = 1_000_000
"""The repetition on whose split trials run: no repetition of a sweep comes so far."""


def variants(algorithm: Spec, searched: Mapping[str, Range], trials: int, seed: int) -> list[str]:
    """The canonical names of an algorithm's trials; the first is its own.

    Args:
        algorithm: as it is listed.
        searched: ranges of the options that are left open; where none is, there is but one trial.
        trials: how many.
        seed: of the sequence; its first points are the same whatever the number of trials.

    >>> from harness.core.search import ranges
    >>> names = variants(Spec.parse("mezo[lr=2]"), ranges(sigma=(0.05, 5.0)), trials=3, seed=0)
    >>> len(names), names[0], names[1].startswith("mezo[lr=2,sigma=")
    (3, 'mezo[lr=2]', True)
    """
    if not searched:
        return [str(algorithm)]
    points = _points(len(searched), trials - 1, seed)
    return [str(algorithm), *(str(_at(algorithm, searched, point)) for point in points)]


def _points(dimensions: int, count: int, seed: int) -> list[list[float]]:
    """So many points of the unit cube, as Optuna draws them."""
    import optuna

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        axis = optuna.distributions.FloatDistribution(0.0, 1.0)
        space: dict[str, BaseDistribution] = {f"x{number}": axis for number in range(dimensions)}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # says that the sampler's interface may change
            sampler = optuna.samplers.QMCSampler(scramble=True, seed=seed, warn_independent_sampling=False)
        study = optuna.create_study(sampler=sampler)
        # The sequence begins with the second trial: from the first the sampler learns what to draw.
        study.add_trial(
            optuna.trial.create_trial(params=dict.fromkeys(space, 0.5), distributions=space, value=0.0)
        )
        trials = [study.ask(dict(space)) for _ in range(count)]
        return [[float(trial.params[name]) for name in space] for trial in trials]
    finally:
        optuna.logging.set_verbosity(level)


def _at(algorithm: Spec, searched: Mapping[str, Range], point: Sequence[float]) -> Spec:
    options = dict(algorithm.options)
    for (name, span), share in zip(searched.items(), point, strict=True):
        if span.log:
            value = math.exp((1 - share) * math.log(span.low) + share * math.log(span.high))
        else:
            value = (1 - share) * span.low + share * span.high
        options[name] = f"{value:.3g}"  # three digits say all that there is to say of a step size
    return Spec(algorithm.name, tuple(options.items()))


def resolved(cells: Sequence[Cell], store: Store) -> list[Cell]:
    """The tuned cells of a plan with the options of the best trial, once all trials have ended.

    The best trial is the one with the best dev metric, the earliest on ties and the first where none has
    one. Cells whose choice is what is listed take the results of the default cells; stored ones of another
    choice, as after a trial that was run again, are cleared.

    Args:
        cells: all of the plan.
        store: open, with the trials' results.
    """
    trials: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        if cell.kind == "trial" and cell.skip is None:
            trials.setdefault((cell.task, cell.algorithm), []).append(cell)
    chosen = {key: _best(group, store) for key, group in trials.items()}
    defaults = {
        (cell.task, cell.algorithm, cell.repetition): cell for cell in cells if cell.kind == "default"
    }
    found = []
    for cell in cells:
        if cell.kind != "tuned" or cell.skip is not None:
            continue
        best, effort = chosen.get((cell.task, cell.algorithm), (None, 0))
        if best is None:
            cell = replace(cell, trial=0)
        else:
            cell = replace(cell, trial=best.trial, variant=best.variant, effort=effort)
        if store.claims.take(cell.id):
            _settle(cell, defaults[cell.task, cell.algorithm, cell.repetition], store)
        found.append(cell)
    return found


def _best(trials: Iterable[Cell], store: Store) -> tuple[Cell | None, int]:
    """The trial to follow and the evaluations that all of them spent."""
    effort, best, highest = 0, None, -math.inf
    for cell in trials:
        best = best or cell
        state = store.cell(cell.id).state()
        if state is None:
            continue
        row = state.row
        effort += int(row.get("evaluations") or 0)
        value = row.get("dev_metric")
        if value is None or math.isnan(value):
            continue
        value = -value if row.get("metric_direction") == "min" else value
        if value > highest:
            best, highest = cell, value
    return best, effort


def _settle(cell: Cell, default: Cell, store: Store) -> None:
    """Make what is stored of a tuned cell fit its choice."""
    folder, row = store.cell(cell.id), plan_row(cell)
    try:
        state = folder.state()
    except DamagedError:  # it runs again
        folder.clear()
        state = None
    if state is not None and any(state.row.get(name) != row[name] for name in ("options", "trial", "effort")):
        folder.clear()
        state = None
    if state is not None or cell.spec != default.spec:
        return
    lender = store.cell(default.id)
    lent = lender.state()
    if lent is None or lent.status not in ("finished", "timeout"):
        return
    tables = {name: table.drop_columns(["id"]).to_pylist() for name, table in lender.tables(lent).items()}
    own: dict[str, Any] = {**lent.row, **row}
    folder.commit(lent.status, lent.signature, own, tables, 0)

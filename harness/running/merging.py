"""Results of several machines as one folder of results, where they may stand in one table."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from harness.core.errors import UserError
from harness.core.task import Signature
from harness.plugins.build import DEFAULT_OBJECTIVE
from harness.plugins.messages import short
from harness.plugins.spec import Spec
from harness.running.files import DamagedError, read_json
from harness.running.fragments import CellFolder
from harness.running.lookup import read_plan
from harness.running.plain import check_plain
from harness.running.plan import Cell, Plan, canonical_task
from harness.running.results import Results, collect, load_results
from harness.running.schema import SCHEMA_VERSION
from harness.running.store import CELLS, ENVIRONMENT, PLAN, Store, being_written, sessions
from harness.running.sweep_file import Sweep


class _Source(NamedTuple):
    path: Path
    plan: Plan

    def folder(self, cell: Cell) -> CellFolder:
        return CellFolder(self.path / CELLS / cell.id)


def merge(sources: Sequence[Path | str], out: Path | str) -> Results:
    """Join results of sweeps that ran on several machines, or at several times, into a new folder.

    A cell that several of them hold is taken once: one that has ended before one that has not, an earlier
    source before a later one. Data and models are defined as in the first source that has them.

    Args:
        sources: folders of results, two or more.
        out: a new or empty folder.

    Raises:
        UserError: where one is no result, schema versions, signatures of a task, protocols or dtypes are
            not the same, or two hold the same cell, made from other data or on another kind of device.

    >>> import tempfile
    >>> from harness import sweep
    >>> made = [tempfile.mkdtemp() for _ in range(3)]
    >>> for folder, name in zip(made, ("random", "spsa")):
    ...     _ = sweep(Sweep.from_flags(tasks="sphere", algorithms=name, budget=8, repetitions=1), out=folder)
    >>> merge(made[:2], made[2]).runs["algorithm"].tolist()
    ['random', 'zero-shot', 'spsa']
    """
    target = Path(out)
    if len(sources) < 2:
        raise UserError("name two folders of results or more")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UserError(f"{target}: is not empty; name a new folder with --out")
    found = [_read(Path(source)) for source in sources]
    _compare_sweeps(found)
    holders = _holders(found)
    _compare_signatures(found)
    plan = Plan(_joined([source.plan.sweep for source in found]), tuple(_ordered(holders)))
    with Store(target) as store:
        store.begin(plan.to_json(), plan.sweep.to_yaml())
        for cell, source in holders.values():
            if source.folder(cell).path.is_dir():
                _copy(source.folder(cell).path, store.cell(cell.id).path)
        for source in found:
            for key, machine in _environments(source.path).items():
                store.add_environment(key, machine)
            for session in sessions(source.path):
                store.add_session(session)
        store.write_tables(collect(store.path, plan.cells))
    return load_results(target)


def _copy(source: Path, target: Path) -> None:
    """The files of a cell; whatever else lies there is none of gradfree's."""
    target.mkdir()
    for file in sorted(source.iterdir()):
        if file.is_file() and not file.is_symlink():
            shutil.copy2(file, target)


def _read(path: Path) -> _Source:
    check_plain(path)
    if not os.path.isfile(path / PLAN):  # unlike Path's, False for any text that can be no path
        raise UserError(
            f"{short(path)}: holds no {PLAN}, so it is no result of gradfree; "
            "name a folder that a sweep has written"
        )
    plan = read_plan(path)
    if being_written(path):
        raise UserError(f"{path}: a sweep is writing here; wait for it")
    for file in sorted((path / CELLS).glob("*/status.json")):
        try:
            CellFolder(file.parent).check()
            version = read_json(file)["schema_version"]
        except (DamagedError, KeyError, TypeError) as error:
            raise UserError(f"{file}: {error}; run the sweep again to mend it") from error
        if version != SCHEMA_VERSION:
            raise UserError(
                f"{path}: has results of schema {version}, and this version of gradfree makes schema "
                f"{SCHEMA_VERSION}; run its sweep again with this version"
            )
    source = _Source(path, plan)
    for cell in plan.cells:  # a damaged one would stand for a whole one of another source
        folder = source.folder(cell)
        try:
            if (state := folder.state()) is not None:
                folder.tables(state)
        except DamagedError as error:
            raise UserError(f"{folder.path}: {error}; run the sweep again to mend it") from error
    return source


def _compare_sweeps(found: Sequence[_Source]) -> None:
    """By another protocol or in another precision, the same task is another measurement."""
    first = found[0]
    for other in found[1:]:
        sizes = [_sizes(source.plan.sweep) for source in (first, other)]
        common = {cell.task for cell in first.plan.cells} & {cell.task for cell in other.plan.cells}
        for key, mine, theirs in (
            *_protocol_keys(first.plan.sweep, other.plan.sweep),
            ("dtype", first.plan.sweep.dtype, other.plan.sweep.dtype),
            ("smoke", first.plan.sweep.smoke, other.plan.sweep.smoke),
            *((f"exceptions of {task}", *(each.get(task, {}) for each in sizes)) for task in sorted(common)),
        ):
            if mine != theirs:
                raise UserError(
                    f"{first.path} and {other.path}: cannot be merged: {key} is {mine} and {theirs}"
                )


def _protocol_keys(mine: Sweep, theirs: Sweep) -> list[tuple[str, Any, Any]]:
    sides = [sweep.protocol.model_dump(exclude={"timeout"}) for sweep in (mine, theirs)]
    return [(f"protocol.{key}", sides[0][key], sides[1][key]) for key in sides[0]]


def _sizes(sweep: Sweep) -> dict[str, dict[str, int]]:
    """Sizes of the splits that differ on a task."""
    return {task: each.sizes for each in sweep.exceptions for task in _names(sweep, each.tasks) if each.sizes}


def _compare_signatures(found: Sequence[_Source]) -> None:
    known: dict[str, tuple[Signature, Path]] = {}
    for source in found:
        for cell in source.plan.cells:
            try:
                state = source.folder(cell).state()
            except DamagedError as error:
                raise UserError(
                    f"{source.folder(cell).path}: {error}; run the sweep again to mend it"
                ) from error
            if state is None or not state.signature.digest:  # of a task that could not be made
                continue
            signature, path = known.setdefault(cell.task, (state.signature, source.path))
            if not signature.agrees(state.signature):
                what = "data, model or templates" if signature.digest != state.signature.digest else "losses"
                raise UserError(
                    f"{path} and {source.path}: cannot be merged: {cell.task} has other {what} in each"
                )


def _holders(found: Sequence[_Source]) -> dict[str, tuple[Cell, _Source]]:
    """Each cell by its id, and the source to take it from."""
    holders: dict[str, tuple[Cell, _Source]] = {}
    places: dict[tuple[Any, ...], tuple[Cell, _Source]] = {}
    for source in found:
        for cell in source.plan.cells:
            place = (cell.task, cell.algorithm, cell.kind, cell.trial, cell.repetition, cell.budget)
            other, holder = places.setdefault(place, (cell, source))
            if other.id != cell.id:
                raise UserError(
                    f"{holder.path} and {source.path}: cannot be merged: both hold {cell.algorithm} on "
                    f"{cell.task}, repetition {cell.repetition}, made from other data or on another device"
                )
            if cell.id not in holders or (_done(cell, source) and not _done(*holders[cell.id])):
                holders[cell.id] = (cell, source)
    return holders


def _done(cell: Cell, source: _Source) -> bool:
    try:
        state = source.folder(cell).state()
    except DamagedError:
        return False
    return state is not None and state.done


def _ordered(holders: dict[str, tuple[Cell, _Source]]) -> list[Cell]:
    """The cells of a task together, as in every plan."""
    cells = [cell for cell, _ in holders.values()]
    tasks = {task: place for place, task in enumerate(dict.fromkeys(cell.task for cell in cells))}
    return sorted(cells, key=lambda cell: tasks[cell.task])


def _joined(sweeps: Sequence[Sweep]) -> Sweep:
    """A sweep of all that was run; names are canonical, so that they mean the same under one objective."""
    written = [yaml.safe_load(sweep.to_yaml()) for sweep in sweeps]
    joined = {**written[0], "origin": {"folder": str(sweeps[0].folder)}}
    joined.pop("out", None)
    joined["objective"] = DEFAULT_OBJECTIVE
    joined["tasks"] = list(dict.fromkeys(name for sweep in sweeps for name in _names(sweep, sweep.tasks)))
    joined["algorithms"] = list(
        dict.fromkeys(str(Spec.parse(name)) for sweep in sweeps for name in sweep.algorithms)
    )
    joined["repetitions"] = max(sweep.repetitions for sweep in sweeps)
    joined["budget"] = max(sweep.budget for sweep in sweeps)
    if len({sweep.device for sweep in sweeps}) > 1:
        joined["device"] = "auto"
    for key in ("datasets", "models"):
        joined[key] = {name: keys for data in reversed(written) for name, keys in data.get(key, {}).items()}
    for key in ("exceptions", "published"):
        joined[key] = _of_tasks(sweeps, written, key)
    return Sweep.from_dict(joined)


def _of_tasks(sweeps: Sequence[Sweep], written: Sequence[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    """What is said of single tasks, once each; of two exceptions for a task the first holds."""
    found: list[dict[str, Any]] = []
    taken: set[str] = set()
    for sweep, data in zip(sweeps, written, strict=True):
        mine = []
        for each in data.get(key, []):
            if key == "published":
                each = {**each, "task": _names(sweep, [each["task"]])[0]}
            else:
                each = {**each, "tasks": [t for t in _names(sweep, each["tasks"]) if t not in taken]}
            if each not in found and each.get("tasks", True):
                mine.append(each)
        found += mine
        taken |= {task for each in mine for task in each.get("tasks", [])}
    return found


def _names(sweep: Sweep, tasks: Sequence[str]) -> list[str]:
    return [str(canonical_task(name, sweep.objective)) for name in tasks]


def _environments(path: Path) -> dict[str, dict[str, str]]:
    try:
        return dict(read_json(path / ENVIRONMENT))
    except (DamagedError, TypeError, ValueError):  # nothing hangs on it
        return {}

"""Reading a result folder: the derived tables, or what its cells hold where a sweep was broken off."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache, cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.core.errors import UserError
from harness.plugins.build import algorithm_class
from harness.plugins.messages import short
from harness.plugins.options import all_options
from harness.plugins.registry import ALGORITHMS
from harness.plugins.spec import Spec, TaskSpec, parse_task
from harness.running.checksums import check_tables, with_checksums
from harness.running.files import DamagedError, read_json, read_parquet
from harness.running.fragments import CellFolder
from harness.running.plain import check_plain
from harness.running.schema import FRAGMENTED, SCHEMA_VERSION, TABLES, make_table, to_frame, validate
from harness.running.store import CELLS, PLAN

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from harness.running.plan import Cell


class Results:
    """The tables of a result folder as pandas frames, read when they are first looked at.

    Args:
        path: of the folder.
        tables: Arrow tables, by name.

    >>> Results(Path("nowhere"), {"curve": make_table("curve", [])}).curve.empty
    True
    """

    def __init__(self, path: Path, tables: dict[str, pa.Table]) -> None:
        self.path = path
        self.tables = tables

    @cached_property
    def runs(self) -> pd.DataFrame:
        """A row for each planned cell, in plan order."""
        return to_frame(self.tables["runs"])

    @cached_property
    def curve(self) -> pd.DataFrame:
        """A row for each generation."""
        return to_frame(self.tables["curve"])

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """A row for each metric of each scored candidate."""
        return to_frame(self.tables["metrics"])

    @cached_property
    def losses(self) -> pd.DataFrame:
        """A row for each evaluated candidate."""
        return to_frame(self.tables["losses"])

    def __repr__(self) -> str:
        counts = self.runs["status"].value_counts().to_dict()
        return f"Results({str(self.path)!r}, cells: {', '.join(f'{n} {s}' for s, n in counts.items())})"


def load_results(path: Path | str) -> Results:
    """The tables of a folder that a sweep has written, or is writing.

    Where the derived tables are missing they are put together from the cells, without writing anything.

    Raises:
        UserError: where there is no result, or it cannot be read.
    """
    folder = Path(path)
    if not os.path.isdir(folder):  # unlike Path's, False for any text that can be no path
        raise UserError(f"{short(folder)}: there is no such folder; run a sweep with --out {short(folder)}")
    check_plain(folder)
    if (folder / "runs.parquet").exists():
        try:
            tables = {name: read_parquet(folder / f"{name}.parquet") for name in TABLES}
            for name, table in tables.items():
                validate(name, table)
            check_tables(tables)
            if (folder / PLAN).exists():
                read_json(folder / PLAN)  # the reports take more from it
        except (DamagedError, ValueError) as error:
            raise UserError(f"{folder}: {error}; run the sweep again to rebuild its tables") from error
        return Results(folder, tables)
    if not (folder / PLAN).exists():
        raise UserError(
            f"{folder}: holds neither runs.parquet nor {PLAN}, so it is no result of gradfree; "
            "name a folder that a sweep has written"
        )
    return Results(folder, collect(folder, load_plan_cells(folder)))


def load_plan_cells(folder: Path) -> Sequence[Cell]:
    """The cells of a folder's plan; raises UserError."""
    from harness.running.lookup import read_plan

    return read_plan(folder).cells


def collect(folder: Path, cells: Sequence[Cell]) -> dict[str, pa.Table]:
    """The derived tables, in plan order, from the folders of the cells.

    A cell that has not run is pending; of a damaged one, which the next sweep runs again, so too.
    """
    import pyarrow as pa

    runs: list[dict[str, Any]] = []
    parts: dict[str, list[pa.Table]] = {name: [make_table(name, [])] for name in FRAGMENTED}
    for cell in cells:
        if cell.skip is not None:
            runs.append({**plan_row(cell), "status": "skipped", "reason": cell.skip})
            continue
        cell_folder = CellFolder(folder / CELLS / cell.id)
        try:
            state = cell_folder.state()
            tables = cell_folder.tables(state) if state else {}
        except DamagedError as error:
            runs.append({**plan_row(cell), "status": "pending", "reason": str(error)})
            continue
        if state is None:
            runs.append({**plan_row(cell), "status": "pending"})
            continue
        runs.append({**plan_row(cell), **state.row, "status": state.status})
        for name, table in tables.items():
            parts[name].append(table)
    joined = {name: pa.concat_tables(tables) for name, tables in parts.items()}
    return with_checksums({"runs": make_table("runs", runs)} | joined)


def plan_row(cell: Cell) -> dict[str, Any]:
    """The columns of ``runs`` that are known before a cell runs."""
    algorithm = Spec.parse(cell.spec)
    row = {
        "id": cell.id,
        "schema_version": SCHEMA_VERSION,
        "task": str(cell.task),
        "dimension": cell.dimension,
        "algorithm": str(cell.algorithm),
        "kind": cell.kind,
        "trial": cell.trial,
        "effort": cell.effort,
        "smoke": cell.smoke,
        "options": json.dumps(dict(algorithm.options)),
        "reference": cell.reference,
        "provider": _provider(algorithm.name, tuple(sys.path)),
        "repetition": cell.repetition,
        "data_seed": cell.data_seed,
        "algorithm_seed": cell.algorithm_seed,
        "budget": cell.budget,
    }
    task = parse_task(str(cell.task))
    if isinstance(task, TaskSpec):
        row |= {"dataset": str(task.dataset), "model": str(task.model), "tuning": str(task.tuning)}
    return row


def run_row(cell: Cell) -> dict[str, Any]:
    """As ``plan_row``, and what is known where the cell runs: all settings, and versions of libraries."""
    row = plan_row(cell)
    try:
        kind, options = algorithm_class(cell.spec)
    except UserError:  # the cell fails, and says so itself
        return row
    row["settings"] = json.dumps(_plain(all_options(kind, options)))
    for library in kind.libraries:
        with suppress(PackageNotFoundError):  # one that only some of its options need
            row["provider"] = f"{row['provider']}, {library}=={version(library)}"
    return row


def _plain(value: Any) -> Any:
    """A setting as JSON knows it; an algorithm among the settings brings its own."""
    from harness.core.algorithm_spec import AlgorithmSpec  # late: it brings torch

    if isinstance(value, AlgorithmSpec):
        return {"algorithm": value.name, **_plain(all_options(value.kind, value.options))}
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


@cache
def _provider(name: str, path: tuple[str, ...]) -> str | None:
    """The distribution that brings an algorithm, found once for each search path."""
    try:
        return ALGORITHMS.provider(name)
    except UserError:  # results are read on machines that lack the plugin they were made with
        return None

"""One run among the results of a sweep, by its folder and id."""

from __future__ import annotations

from pathlib import Path

from harness.core.errors import UserError
from harness.running.fragments import CellFolder
from harness.running.plan import Cell, Plan
from harness.running.store import CELLS, PLAN


def located(run: Path) -> tuple[Plan, Cell, CellFolder]:
    """The plan and the cell that a path means: ``OUT/ID``, ``OUT/cells/ID``; the id may be cut short.

    Raises:
        UserError: where there is no such run, or more than one.

    >>> located(Path("nowhere/0a"))
    Traceback (most recent call last):
        ...
    harness.core.errors.UserError: nowhere/0a: nowhere holds no plan.json; name a run as OUT/ID, OUT being a folder of results
    """  # noqa: E501
    out, identity = run.parent, run.name
    if out.name == CELLS:
        out = out.parent
    if (run / PLAN).is_file():
        raise UserError(f"{run}: name one of its runs as {run}/ID; the ids stand in its table of runs")
    if not (out / PLAN).is_file():
        raise UserError(f"{run}: {out} holds no {PLAN}; name a run as OUT/ID, OUT being a folder of results")
    plan = Plan.from_json((out / PLAN).read_text(encoding="utf-8"))
    cells = [cell for cell in plan.cells if cell.id.startswith(identity)]
    if len(cells) != 1:
        found = f"{len(cells)} of its runs begin so" if cells else "none of its runs has this id"
        raise UserError(f"{run}: {found}; the ids stand in the table of runs of {out}")
    return plan, cells[0], CellFolder(out / CELLS / cells[0].id)

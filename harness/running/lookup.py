"""One run among the results of a sweep, by its folder and id."""

from __future__ import annotations

from pathlib import Path

from harness.core.errors import UserError
from harness.plugins.options import LARGEST
from harness.plugins.spec import Spec, parse_task
from harness.running.fragments import CellFolder
from harness.running.plain import check_plain
from harness.running.plan import Cell, Plan
from harness.running.store import CELLS, PLAN


def read_plan(folder: Path) -> Plan:
    """The plan of a folder of results.

    Raises:
        UserError: naming the file, where it is none, or none that could have been written here.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "plan.json").write_text("{}")
    >>> read_plan(folder)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    harness.core.errors.UserError: ...plan.json: not a plan of this version ('cells'); run the sweep again into this folder
    """  # noqa: E501
    file = folder / PLAN
    try:
        plan = Plan.from_json(file.read_text(encoding="utf-8"))
        _check(plan)
        return plan
    except UserError as error:
        said = str(error).removeprefix("plan.json: ").removesuffix("; plan the sweep again")
    except OSError as error:
        said = f"cannot be read ({error.strerror})"
    except UnicodeDecodeError:
        said = "cannot be read: it is not UTF-8"
    raise UserError(f"{file}: {said}; run the sweep again into this folder")


def _check(plan: Plan) -> None:
    """Refuse cells whose names cannot be read, or that a table cannot hold."""
    ids = [cell.id for cell in plan.cells]
    if len(set(ids)) < len(ids):
        raise UserError("two of its cells have one id")
    for cell in plan.cells:
        parse_task(cell.task)
        Spec.parse(cell.algorithm)
        Spec.parse(cell.spec)
        if any(isinstance(value, int) and abs(value) >= LARGEST for value in vars(cell).values()):
            raise UserError(f"a number of cell {cell.id} is too large")


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
    check_plain(out)
    if (run / PLAN).is_file():
        raise UserError(
            f"{run}: is a folder of results; name one of its runs as {run}/ID (its table of runs has the ids)"
        )
    if not (out / PLAN).is_file():
        raise UserError(f"{run}: {out} holds no {PLAN}; name a run as OUT/ID, OUT being a folder of results")
    plan = read_plan(out)
    cells = [cell for cell in plan.cells if cell.id.startswith(identity)]
    if len(cells) != 1:
        found = f"{len(cells)} of its runs begin so" if cells else "none of its runs has this id"
        raise UserError(f"{run}: {found}; choose an id from the table of runs of {out}")
    return plan, cells[0], CellFolder(out / CELLS / cells[0].id)

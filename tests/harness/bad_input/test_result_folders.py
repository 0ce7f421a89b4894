"""Result folders: empty, of others, broken in each of their parts; every verb that reads them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness import Sweep, sweep

SMALL = {"tasks": "sphere[dimension=2]", "algorithms": "random", "budget": 4, "repetitions": 1}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A finished sweep, as a folder to be copied."""
    out = tmp_path_factory.mktemp("made") / "mine"
    sweep(Sweep.from_flags(**SMALL), out=out)
    return out


def _copied(made: Path, folder: Path, verb: str) -> None:
    """The results as ``mine``, and to be merged with them as ``good``."""
    for name in ("mine", "good") if verb == "merge" else ("mine",):
        shutil.copytree(made, folder / name)


def _emptied(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def _foreign(folder: Path) -> None:
    _emptied(folder)
    (folder / "notes.txt").write_text("mine")


def _file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("mine")


def _gone(folder: Path) -> None:
    shutil.rmtree(folder)


def _circle(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.symlink_to(folder.name)


def _without_tables(folder: Path) -> None:
    for table in folder.glob("*.parquet"):
        table.unlink()


def _cell(folder: Path) -> Path:
    return sorted((folder / "cells").iterdir())[0]


def _plan(change: Callable[[dict], object]) -> Callable[[Path], None]:
    """Changes the plan, seal and all, and leaves no table that could be read in its place."""

    def apply(folder: Path) -> None:
        content = json.loads((folder / "plan.json").read_text())
        del content["checksum"]
        change(content)
        _without_tables(folder)
        (folder / "plan.json").write_text(json.dumps(content))

    return apply


def _altered(folder: Path) -> None:
    """Another plan that could be one, under the seal of the one that was stored."""
    file = folder / "plan.json"
    content = json.loads(file.read_text())
    content["cells"][0]["budget"] += 1
    file.write_text(json.dumps(content))


def _plan_text(text: str | bytes) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        _without_tables(folder)
        (folder / "plan.json").write_bytes(text if isinstance(text, bytes) else text.encode())

    return apply


def _plan_folder(folder: Path) -> None:
    _without_tables(folder)
    (folder / "plan.json").unlink()
    (folder / "plan.json").mkdir()


def _table(change: Callable[[pa.Table], pa.Table]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        file = folder / "runs.parquet"
        pq.write_table(change(pq.read_table(file)), file)

    return apply


def _table_bytes(change: Callable[[bytes], bytes], name: str = "runs") -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        file = folder / f"{name}.parquet"
        file.write_bytes(change(file.read_bytes()))

    return apply


def _table_folder(folder: Path) -> None:
    (folder / "runs.parquet").unlink()
    (folder / "runs.parquet").mkdir()


FOLDERS: dict[str, Callable[[Path], object]] = {
    "gone": _gone,
    "a circle of links": _circle,
    "empty": _emptied,
    "of others": _foreign,
    "a file": _file,
    "plan empty": _plan_text(""),
    "plan cut": _plan_text('{"sweep": {"tasks": ['),
    "plan a list": _plan_text("[]"),
    "plan a number": _plan_text("3"),
    "plan binary": _plan_text(bytes(range(128, 256))),
    "plan deep": _plan_text("[" * 100_000),
    "plan a folder": _plan_folder,
    "plan altered": lambda folder: [_altered(folder), _without_tables(folder)],
    "plan altered beside its tables": _altered,
    "plan without a sweep": _plan(lambda plan: plan.pop("sweep")),
    "plan without cells": _plan(lambda plan: plan.pop("cells")),
    "plan of cells null": _plan(lambda plan: plan.update(cells=None)),
    "plan of cells a number": _plan(lambda plan: plan.update(cells=3)),
    "plan of cells of numbers": _plan(lambda plan: plan.update(cells=[3])),
    "plan of other keys": _plan(lambda plan: plan["cells"][0].update(colour="red")),
    "plan of fewer keys": _plan(lambda plan: plan["cells"][0].pop("budget")),
    "plan of another sweep": _plan(lambda plan: plan["sweep"].update(colour="red")),
    "plan of a sweep of numbers": _plan(lambda plan: plan.update(sweep=3)),
    "plan of origin a number": _plan(lambda plan: plan["sweep"].update(origin=3)),
    "plan of origin a folder of numbers": _plan(lambda plan: plan["sweep"].update(origin={"folder": [3]})),
    "plan of flags a number": _plan(lambda plan: plan["sweep"]["origin"].update(flags=3)),
    "plan of budget a text": _plan(lambda plan: plan["cells"][0].update(budget="many")),
    "plan of budget a list": _plan(lambda plan: plan["cells"][0].update(budget=[3])),
    "plan of budget huge": _plan(lambda plan: plan["cells"][0].update(budget=10**30)),
    "plan of repetition null": _plan(lambda plan: plan["cells"][0].update(repetition=None)),
    "plan of a task that is none": _plan(lambda plan: plan["cells"][0].update(task="sphere[")),
    "plan of a task a number": _plan(lambda plan: plan["cells"][0].update(task=3)),
    "plan of an algorithm that is none": _plan(lambda plan: plan["cells"][0].update(algorithm="]")),
    "plan of an algorithm null": _plan(lambda plan: plan["cells"][0].update(algorithm=None)),
    "plan of an id outside": _plan(lambda plan: plan["cells"][0].update(id="../../mine")),
    "plan of an id a number": _plan(lambda plan: plan["cells"][0].update(id=3)),
    "plan of an id null": _plan(lambda plan: plan["cells"][0].update(id=None)),
    "plan of an id of NUL": _plan(lambda plan: plan["cells"][0].update(id="a\0b")),
    "plan of an id twice": _plan(lambda plan: plan["cells"].append(plan["cells"][0])),
    "runs cut": _table_bytes(lambda content: content[:-100]),
    "runs empty": _table_bytes(lambda content: b""),
    "runs a text": _table_bytes(lambda content: b"id,task\n1,2\n"),
    "runs a folder": _table_folder,
    "runs of fewer columns": _table(lambda table: table.drop_columns(["task"])),
    "runs of more columns": _table(lambda table: table.append_column("colour", table["task"])),
    "runs of other types": _table(
        lambda table: table.set_column(
            table.column_names.index("budget"), "budget", table["budget"].cast(pa.string())
        )
    ),
    "curve cut": _table_bytes(lambda content: content[:-100], "curve"),
    "losses gone": lambda folder: (folder / "losses.parquet").unlink(),
}
READERS = {
    "status": ("status", "mine"),
    "leaderboard": ("leaderboard", "mine"),
    "report": ("report", "mine"),
    "merge": ("merge", "mine", "good", "--out", "both"),
}
HARMLESS = {
    *(("merge", case) for case in FOLDERS if case.startswith(("runs", "curve", "losses"))),
    ("show", "runs"),
}
"""What a verb does not read cannot trouble it: cells are merged, not tables."""


@pytest.mark.parametrize("case", FOLDERS)
@pytest.mark.parametrize("verb", READERS)
def test_a_broken_folder_of_results_is_refused_by_every_verb(faults, tmp_path, made, verb, case):
    _copied(made, tmp_path, verb)
    FOLDERS[case](tmp_path / "mine")
    legal = (verb, case) in HARMLESS
    bad = faults(*READERS[verb], names=("mine",), legal=legal)
    assert not bad, "\n".join(bad)


@pytest.mark.parametrize(
    "case", [case for case in FOLDERS if not case.startswith(("runs", "curve", "losses"))]
)
@pytest.mark.parametrize("verb", ["show", "export"])
def test_a_run_of_a_broken_folder_is_refused(faults, tmp_path, made, verb, case):
    shutil.copytree(made, tmp_path / "mine")
    identity = _cell(tmp_path / "mine").name
    FOLDERS[case](tmp_path / "mine")
    more = ("--to", "there") if verb == "export" else ()
    bad = faults(verb, f"mine/{identity}", *more, names=("mine",))
    assert not bad, "\n".join(bad)


def _status(change: Callable[[dict], object]) -> Callable[[Path], None]:
    def apply(cell: Path) -> None:
        content = json.loads((cell / "status.json").read_text())
        change(content)
        (cell / "status.json").write_text(json.dumps(content))

    return apply


CELLS: dict[str, Callable[[Path], object]] = {
    "status empty": lambda cell: (cell / "status.json").write_text(""),
    "status cut": lambda cell: (cell / "status.json").write_text('{"status": '),
    "status a list": lambda cell: (cell / "status.json").write_text("[]"),
    "status deep": lambda cell: (cell / "status.json").write_text("[" * 100_000),
    "status binary": lambda cell: (cell / "status.json").write_bytes(bytes(range(128, 256))),
    "status a folder": lambda cell: [(cell / "status.json").unlink(), (cell / "status.json").mkdir()],
    "status of another schema": _status(lambda status: status.update(schema_version=99)),
    "status without a schema": _status(lambda status: status.pop("schema_version")),
    "status without a row": _status(lambda status: status.pop("row")),
    "status of row a number": _status(lambda status: status.update(row=3)),
    "status of row of others": _status(lambda status: status["row"].update(colour="red")),
    "status of row of other types": _status(lambda status: status["row"].update(budget="many")),
    "status of fragments a text": _status(lambda status: status.update(fragments="many")),
    "status of fragments negative": _status(lambda status: status.update(fragments=-1)),
    "status of fragments huge": _status(lambda status: status.update(fragments=10**9)),
    "status of an unknown word": _status(lambda status: status.update(status="colour")),
    "status of a number": _status(lambda status: status.update(status=3)),
    "status of signature null": _status(lambda status: status.update(signature=None)),
    "status of signature of texts": _status(
        lambda status: status.update(signature={"digest": 3, "losses": ["a"]})
    ),
    "fragments gone": lambda cell: [file.unlink() for file in cell.glob("*.parquet")],
    "fragments cut": lambda cell: [
        file.write_bytes(file.read_bytes()[:-50]) for file in cell.glob("*.parquet")
    ],
    "fragments a text": lambda cell: [file.write_text("a,b\n") for file in cell.glob("*.parquet")],
}


@pytest.mark.parametrize("case", CELLS)
@pytest.mark.parametrize("verb", [*READERS, "show", "export"])
def test_a_broken_cell_is_said_or_pending(faults, command, tmp_path, made, verb, case):
    _copied(made, tmp_path, verb)
    _without_tables(tmp_path / "mine")
    cell = _cell(tmp_path / "mine")
    CELLS[case](cell)
    words = READERS.get(verb, (verb, f"mine/{cell.name}", *(("--to", "there") if verb == "export" else ())))
    bad = faults(*words, legal=verb in ("status", "leaderboard", "report"), names=("mine",), written=True)
    assert not bad, "\n".join(bad)


@pytest.mark.parametrize("case", ["empty", "of others", "a file"])
def test_a_sweep_goes_into_no_folder_of_others(faults, tmp_path, made, case):
    shutil.copytree(made, tmp_path / "mine")
    FOLDERS[case](tmp_path / "mine")
    words = [word for key, value in SMALL.items() for word in (f"--{key}", str(value))]
    bad = faults(
        "sweep", *words, "--out", "mine", "--executor", "inline", "-q", legal=case == "empty", names=("mine",)
    )
    assert not bad, "\n".join(bad)


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (("show", "mine"), ("mine",)),
        (("show", "mine/zzz"), ("mine/zzz",)),
        (("show", "mine/"), ("mine",)),
        (("show", "mine/cells"), ("mine",)),
        (("show", "mine/../mine"), ("mine",)),
        (("show", "."), (".",)),
        (("show", "/"), ("/",)),
        (("show", "x" * 3000), ("x",)),
        (("export", "mine/zzz", "--to", "there"), ("mine/zzz",)),
        (("export", "mine/", "--to", "mine"), ("mine",)),
        (("merge", "mine", "--out", "both"), ("two",)),
        (("merge", "mine", "mine", "--out", "mine"), ("mine",)),
        (("merge", "mine", "nowhere", "--out", "both"), ("nowhere",)),
        (("report", "mine", "--to", "mine"), ("--to",)),
        (("report", "mine", "--to", "/proc/nowhere/report.html"), ("--to",)),
        (("leaderboard", "mine", "--csv", "mine"), ("--csv",)),
        (("leaderboard", "mine", "--metric", ""), ("--metric",)),
        (("leaderboard", "mine", "--by", ""), ("by",)),
        (("leaderboard", "x" * 3000), ("x",)),
        (("status", "a\0b"), ("a",)),
    ],
)
def test_what_cannot_be_read_or_written_is_refused(faults, tmp_path, made, words, names):
    shutil.copytree(made, tmp_path / "mine")
    bad = faults(*words, names=names)
    assert not bad, "\n".join(bad)

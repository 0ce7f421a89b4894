"""Kills, a full disk and damaged files, in small: what ``scripts/crash_safety.py`` does at every moment."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

sys.path.insert(0, str(Path(__file__).parents[3] / "scripts"))

from faults.children import Commands
from faults.damages import BASIC, edits

from harness.core import UserError
from harness.running.files import DamagedError, StoreError, UnreadableError, read_bytes, write_bytes
from harness.running.fragments import CellFolder
from harness.running.observer import Observer
from harness.running.results import load_results
from harness.running.schema import TABLES, measured


class Notes(Observer):
    def __init__(self):
        self.lines = []

    def note(self, line):
        self.lines.append(line)


@pytest.mark.skipif(sys.platform != "linux", reason="forks, kills, and asks /proc for names")
def test_killed_at_some_moments_by_the_command_line_nothing_is_lost(tmp_path):
    script = Path(__file__).parents[3] / "scripts" / "crash_safety.py"
    (tmp_path / "sweep.yaml").write_text(
        "tasks: ['sphere[dimension=2]']\nalgorithms: [random]\nrepetitions: 1\nbudget: 8\n"
    )
    command = [sys.executable, script, "kills", "--step", "60"]
    command += ["--sweep", tmp_path / "sweep.yaml", "--json", tmp_path / "trials.json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    trials = json.loads((tmp_path / "trials.json").read_text())
    killed = {
        trial["fault"].removeprefix("kill -9 at every operation of ") for trial in trials if trial["kills"]
    }
    assert killed == {"a sweep", "a complete sweep given again", "a report"}


@pytest.mark.skipif(sys.platform != "linux", reason="forks, and kills")
def test_a_process_can_be_killed_before_its_first_instruction(tmp_path):
    ended = [Commands(("list",)).run(tmp_path / "out", kill_after=1e-9) for _ in range(5)]
    assert [(each.code, each.out, each.err) for each in ended] == [(None, "", "")] * 5


def rows(results):
    return {name: getattr(results, name).drop(columns=measured(name)).to_csv() for name in TABLES}


@pytest.fixture
def whole(toys, tmp_path_factory):
    """The toys, two cells of them that have ended, their folder, and the rows of its tables."""
    folder = tmp_path_factory.mktemp("crash") / "whole"
    cells = [toys.cell("walk", budget=12), toys.cell("walk", 1, budget=12)]
    return toys, cells, folder, rows(toys.run(folder, cells, flush_seconds=0.0))


def damaged(whole, out, file, damage):
    """Damage a file of a copy, and run the sweep again; the rows, and what was said."""
    toys, cells, folder, _ = whole
    shutil.copytree(folder, out)
    like = str(file).replace(cells[0].id, cells[1].id)
    after = damage((out / file).read_bytes(), (out / like).read_bytes())
    (out / file).unlink()
    if after is not None:
        (out / file).write_bytes(after)
    notes = Notes()
    return rows(toys.run(out, cells, observer=notes)), notes.lines


@pytest.mark.parametrize("name", ["status.json", "losses-00000.parquet"])
def test_whatever_becomes_of_a_cells_file_is_said_and_the_cell_runs_again(whole, tmp_path, name):
    file = Path("cells", whole[1][0].id, name)
    for number, (what, damage) in enumerate({**BASIC, **edits(name)}.items()):
        found, said = damaged(whole, tmp_path / str(number), file, damage)
        assert found == whole[3], what
        if (name, what) != ("status.json", "deleted"):  # without a status there is no cell
            assert len(said) == 1, what
            assert "runs again" in said[0], what


def test_fragments_in_another_order_are_noticed(whole, tmp_path):
    cell = Path("cells", whole[1][0].id)
    one, two = (whole[2] / cell / f"losses-0000{number}.parquet" for number in (0, 1))
    exchanged, said = damaged(
        whole, tmp_path / "out", cell / "losses-00000.parquet", lambda mine, other: two.read_bytes()
    )
    assert one.read_bytes() != two.read_bytes()
    assert exchanged == whole[3]
    assert "losses: its checksum says that a fragment was altered" in said[0]


def test_a_cell_under_the_name_of_another_is_noticed(whole, tmp_path):
    toys, cells, folder, expected = whole
    shutil.copytree(folder, tmp_path / "out")
    shutil.rmtree(tmp_path / "out/cells" / cells[0].id)
    shutil.copytree(folder / "cells" / cells[1].id, tmp_path / "out/cells" / cells[0].id)
    notes = Notes()
    assert rows(toys.run(tmp_path / "out", cells, observer=notes)) == expected
    assert f"of another cell, {cells[1].id}" in notes.lines[0]


@pytest.mark.parametrize("table", sorted(TABLES))
@pytest.mark.parametrize("edit", sorted(edits("x.parquet")))
def test_a_derived_table_that_was_altered_and_written_anew_is_refused(whole, tmp_path, table, edit):
    folder = tmp_path / "out"
    shutil.copytree(whole[2], folder)
    file = folder / f"{table}.parquet"
    file.write_bytes(edits(file.name)[edit](file.read_bytes(), b"") or b"")
    with pytest.raises(UserError, match=r"run the sweep again to rebuild its tables"):
        load_results(folder)


def test_tables_of_two_moments_are_not_read_as_one(whole, tmp_path):
    toys, cells, folder, _ = whole
    toys.run(tmp_path / "out", cells[:1])
    shutil.copy(folder / "losses.parquet", tmp_path / "out")
    with pytest.raises(UserError, match=r"losses\.parquet: its checksum"):
        load_results(tmp_path / "out")


def test_results_that_were_stored_without_checksums_are_read_and_gone_on_with(whole, tmp_path):
    toys, cells, folder, expected = whole
    out = tmp_path / "out"
    shutil.copytree(folder, out)
    for name in TABLES:
        table = pq.read_table(out / f"{name}.parquet")
        metadata = {k: v for k, v in table.schema.metadata.items() if k != b"gradfree_checksums"}
        pq.write_table(table.replace_schema_metadata(metadata), out / f"{name}.parquet")
    for cell in cells:
        file = out / "cells" / cell.id / "status.json"
        content = json.loads(file.read_text())
        del content["checksum"], content["checksums"]
        file.write_text(json.dumps(content))
    assert rows(load_results(out)) == expected
    task, notes = toys.Quadratic(), Notes()
    assert rows(toys.run(out, cells, task, observer=notes)) == expected
    assert (task.calls, notes.lines) == ([], [])


def test_a_full_disk_is_one_line_and_leaves_the_old_file(tmp_path, monkeypatch):
    file = tmp_path / "status.json"
    write_bytes(file, b"old")

    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(StoreError, match=r"No space left on device.*and the same command"):
            write_bytes(file, b"new")
    assert [each.name for each in tmp_path.iterdir()] == ["status.json"]
    assert file.read_bytes() == b"old"


def test_a_file_that_cannot_be_read_now_is_not_taken_for_damaged(tmp_path, monkeypatch):
    folder = CellFolder(tmp_path / "a1")
    folder.path.mkdir()
    (folder.path / "status.json").write_text("{}")

    def refused(self):
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_bytes", refused)
        with pytest.raises(UnreadableError, match="raise the limit on open files"):
            folder.state()
    with pytest.raises(DamagedError, match="No such file"):
        read_bytes(tmp_path / "nothing")


def test_what_killed_processes_were_writing_is_removed_when_the_cell_has_ended(whole, tmp_path):
    _, cells, folder, _ = whole
    shutil.copytree(folder, tmp_path / "out")
    (left := tmp_path / "out/cells" / cells[0].id / ".curve-00007.parquet.4711").touch()
    from harness.running.store import Store

    with Store(tmp_path / "out") as store:
        store.cell(cells[0].id).settle()
    assert not left.exists()

"""Result folders: used again, damaged, foreign, and shared."""

from __future__ import annotations

import json
import os

import pandas as pd
import pytest

from harness.core import UserError
from harness.running.files import DamagedError, read_json, read_parquet, write_bytes, write_parquet
from harness.running.observer import Observer
from harness.running.results import collect, load_results
from harness.running.schema import make_table, measured, to_frame
from harness.running.store import Store, being_written


class Notes(Observer):
    def __init__(self):
        self.lines, self.begun = [], None

    def begin(self, cells, done):
        self.begun = (len(cells), len(done))

    def note(self, line):
        self.lines.append(line)


def test_what_is_done_is_not_run_again(tmp_path, toys):
    cells = [toys.cell("walk"), toys.cell("raises"), toys.cell("untouched")]
    first, task = toys.run(tmp_path, cells), toys.Quadratic()
    second = toys.run(tmp_path, cells, task)
    assert (task.calls, task.scored) == ([], [])
    for table in ("runs", "curve", "metrics", "losses"):
        pd.testing.assert_frame_equal(getattr(first, table), getattr(second, table))


def test_failures_and_timeouts_run_again_on_request_only(tmp_path, toys):
    cells, watcher = [toys.cell("walk"), toys.cell("raises")], Notes()
    toys.run(tmp_path, cells)
    mended = toys.run(
        tmp_path, cells, make=lambda c, t, b: toys.Walk(t.space, b, 7), retry=True, observer=watcher
    )
    assert watcher.begun == (2, 1)
    assert mended.runs["status"].tolist() == ["finished", "finished"]
    assert not (tmp_path / "cells" / cells[1].id / "traceback.txt").exists()


def test_an_extended_sweep_keeps_what_is_there_and_a_smaller_one_hides_it(tmp_path, toys):
    one, two = toys.cell("walk", 0), toys.cell("walk", 1)
    toys.run(tmp_path, [one])
    task = toys.Quadratic()
    assert toys.run(tmp_path, [one, two], task).runs["id"].tolist() == [one.id, two.id]
    assert set(task.calls) == {1}
    assert toys.run(tmp_path, [two]).runs["id"].tolist() == [two.id]
    assert toys.run(tmp_path, [two, one], toys.Quadratic()).runs["id"].tolist() == [two.id, one.id]


@pytest.mark.parametrize("name", ["losses-00000.parquet", "metrics-00000.parquet", "status.json"])
@pytest.mark.parametrize("damage", ["truncated", "altered", "emptied", "removed"])
def test_a_cell_with_a_damaged_file_is_run_again_and_said_so(tmp_path, toys, name, damage):
    cell, watcher = toys.cell("walk"), Notes()
    whole = toys.run(tmp_path, [cell])
    file = tmp_path / "cells" / cell.id / name
    content = file.read_bytes()
    middle = len(content) // 3
    altered = content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :]
    if damage == "removed":
        file.unlink()
    else:
        file.write_bytes({"truncated": content[:-9], "altered": altered, "emptied": b""}[damage])
    again = toys.run(tmp_path, [cell], observer=watcher)
    for table in ("runs", "curve", "metrics", "losses"):
        drop = measured(table)
        pd.testing.assert_frame_equal(
            getattr(whole, table).drop(columns=drop), getattr(again, table).drop(columns=drop)
        )
    if name != "status.json" or damage != "removed":  # without a status there is no cell
        assert len(watcher.lines) == 1
        assert watcher.lines[0].startswith(cell.id)
        assert "runs again" in watcher.lines[0]


def test_results_of_another_model_are_not_mixed_in(tmp_path, toys):
    toys.run(tmp_path, [toys.cell("walk")])
    with pytest.raises(UserError, match="other data or another model"):
        toys.run(tmp_path, [toys.cell("walk"), toys.cell("walk", 1)], toys.Quadratic("other"))


def test_a_folder_of_something_else_is_refused_and_left_alone(tmp_path, toys):
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(UserError, match=r"thesis\.tex"):
        toys.run(tmp_path, [toys.cell("walk")])
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_in_place_of_the_folder_is_refused(tmp_path, toys):
    (tmp_path / "out").write_text("")
    with pytest.raises(UserError, match="is a file"):
        toys.run(tmp_path / "out", [toys.cell("walk")])


def test_an_empty_folder_is_taken(tmp_path, toys):
    assert len(toys.run(tmp_path, [toys.cell("walk")]).runs) == 1


def test_two_sweeps_of_one_plan_share_a_folder_and_another_plan_has_to_wait(tmp_path):
    assert not being_written(tmp_path)
    with Store(tmp_path) as first, Store(tmp_path) as second, Store(tmp_path) as other:
        assert being_written(tmp_path)
        first.begin("the plan", "a sweep")
        (tmp_path / "runs.parquet").touch()
        second.begin("the plan", "a sweep")
        assert (tmp_path / "runs.parquet").exists()  # what the first is writing stays
        with pytest.raises(UserError, match="another sweep is writing here, with another plan"):
            other.begin("another plan", "another sweep")
    assert not being_written(tmp_path)
    with Store(tmp_path) as later:
        later.begin("another plan", "another sweep")
    assert (tmp_path / "plan.json").read_text() == "another plan"


def test_tables_of_a_sweep_that_was_broken_off_are_read_from_its_cells(tmp_path, toys):
    cells = [toys.cell("walk"), toys.cell("walk", 1), toys.cell("walk", 2, skip="no")]
    toys.run(tmp_path, cells)
    (tmp_path / "cells" / cells[1].id / "status.json").unlink()
    runs = to_frame(collect(tmp_path, cells)["runs"])
    assert runs["status"].tolist() == ["finished", "pending", "skipped"]


def test_a_missing_folder_and_a_folder_without_results_are_told_apart(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        load_results(tmp_path / "nowhere")
    with pytest.raises(UserError, match="no result of gradfree"):
        load_results(tmp_path)


def test_a_damaged_table_is_one_line_with_the_remedy(tmp_path, toys):
    toys.run(tmp_path, [toys.cell("walk")])
    (tmp_path / "curve.parquet").write_bytes(b"PAR1 not quite")
    with pytest.raises(UserError, match="run the sweep again"):
        load_results(tmp_path)


def test_a_changed_byte_in_a_table_is_noticed(tmp_path):
    table = make_table("losses", [{"id": "a", "generation": 0, "member": i, "loss": i / 7} for i in range(9)])
    file = tmp_path / "losses.parquet"
    write_parquet(file, table)
    whole = file.read_bytes()
    data_ends = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    noticed = 0
    for position in range(4, data_ends, 3):
        file.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        try:
            assert read_parquet(file).equals(table)  # some bytes of a page's header say nothing of the data
        except DamagedError:
            noticed += 1
    assert noticed > 50


def test_a_file_is_replaced_at_once_or_not_at_all(tmp_path, monkeypatch):
    file = tmp_path / "plan.json"
    write_bytes(file, b"old")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("killed")))
    with pytest.raises(OSError, match="killed"):
        write_bytes(file, b"new")
    assert file.read_bytes() == b"old"


def test_status_names_every_fragment_that_counts(tmp_path, toys):
    cell = toys.cell("walk")
    toys.run(tmp_path, [cell], flush_seconds=0.0)
    status = json.loads((tmp_path / "cells" / cell.id / "status.json").read_text())
    assert status["fragments"] == len(list((tmp_path / "cells" / cell.id).glob("curve-*.parquet")))


class StopError(Exception):
    """Ends a run in its middle."""


class StopAfter(Observer):
    def advanced(self, cell, evaluations):
        if evaluations >= 24:
            raise StopError


@pytest.mark.skipif(os.name != "posix", reason="tells files by their inodes")
def test_the_disk_is_waited_for_when_the_sweep_ends_and_not_before(tmp_path, toys, monkeypatch):
    cell, other, synced = toys.cell("walk"), toys.cell("early"), set()
    monkeypatch.setattr(os, "fsync", lambda handle: synced.add(os.fstat(handle).st_ino))
    with pytest.raises(StopError):
        toys.run(tmp_path, [cell, other], observer=StopAfter(), flush_seconds=0.0)
    folders = [tmp_path / "cells" / each.id for each in (cell, other)]
    numbers = {path.stat().st_ino for folder in folders for path in [folder, *folder.iterdir()]}
    # five and four fragments of three tables, a status each, and the folders
    assert len(numbers) == 15 + 12 + 2 + 2
    assert not synced & numbers
    toys.run(tmp_path, [cell, other], flush_seconds=1000.0)
    numbers = {path.stat().st_ino for folder in folders for path in [folder, *folder.iterdir()]}
    assert numbers <= synced


def test_machines_are_read_as_they_were_noted_or_not_at_all(tmp_path):
    with Store(tmp_path / "out") as store:
        store.add_environment("a", {"cpu": "one"})
        store.add_environment("b", {"cpu": "two"})
    file = tmp_path / "out" / "environment.json"
    assert read_json(file) == {"a": {"cpu": "one"}, "b": {"cpu": "two"}}
    file.write_text(file.read_text().replace("two", "three"))
    with pytest.raises(DamagedError, match=r"environment\.json: its checksum says that it was altered"):
        read_json(file)

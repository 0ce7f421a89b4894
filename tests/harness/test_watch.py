"""A sweep in TensorBoard while it runs."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace

import pytest

from harness import Sweep, UserError, make_plan, sweep
from harness.cli.reports import watch as verb
from harness.report.watching import run_name, watch

reading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    words = Sweep.from_flags(tasks="sphere[dimension=2]", algorithms="spsa,random", budget=40, repetitions=2)
    return sweep(words, out=tmp_path_factory.mktemp("watch") / "out")


def scalars(folder):
    """Step and value of each tag of a run."""
    read = reading.EventAccumulator(str(folder))
    read.Reload()
    return {tag: [(each.step, each.value) for each in read.Scalars(tag)] for tag in read.Tags()["scalars"]}


def unfinished(results, folder):
    """A copy of the folder in which no cell has begun."""
    shutil.copytree(results.path, folder)
    for file in folder.glob("*.parquet"):
        file.unlink()
    shutil.move(folder / "cells", folder / "aside")
    (folder / "cells").mkdir()
    return folder


def test_scalars_are_those_of_the_stored_curve_over_evaluations(results, tmp_path):
    watch(results.path, tmp_path)
    runs = results.runs
    cell = runs[(runs["algorithm"] == "spsa") & (runs["repetition"] == 1)].iloc[0]
    curve = results.curve[results.curve["id"] == cell["id"]]
    found = scalars(tmp_path / "sphere[dimension=2]" / "spsa" / "1")
    assert set(found) == {"loss/best", "loss/mean", "dev/loss", "tokens"}
    for tag, column in (("loss/best", "loss_best"), ("loss/mean", "loss_mean"), ("tokens", "tokens")):
        assert [step for step, _ in found[tag]] == curve["evaluations"].tolist()
        assert [value for _, value in found[tag]] == pytest.approx(curve[column].tolist(), rel=1e-6)
    known = curve[curve["dev_metric"].notna()]
    assert [step for step, _ in found["dev/loss"]] == known["evaluations"].tolist()


def test_a_sweep_is_followed_until_its_last_cell_has_ended(results, tmp_path, monkeypatch):
    out, said = unfinished(results, tmp_path / "out"), []
    waiting = sorted((out / "aside").iterdir())
    monkeypatch.setattr(
        "harness.report.watching.time.sleep", lambda _: shutil.move(waiting.pop(), out / "cells")
    )
    rows = watch(out, tmp_path / "log", say=said.append)
    assert said == [f"{ended} of 6 cells have ended" for ended in range(7)]
    assert rows == len(results.curve)


def test_another_watch_goes_on_without_writing_anything_twice(results, tmp_path):
    out = unfinished(results, tmp_path / "out")
    half = sorted((out / "aside").iterdir())
    for cell in half[:3]:
        shutil.move(cell, out / "cells")
    first = watch(out, tmp_path / "log", once=True)
    for cell in half[3:]:
        shutil.move(cell, out / "cells")
    assert first + watch(out, tmp_path / "log") == len(results.curve)
    assert watch(out, tmp_path / "log") == 0


def test_what_is_half_written_is_left_for_the_next_look(results, tmp_path, monkeypatch):
    out = tmp_path / "out"
    shutil.copytree(results.path, out)
    fragment = next(file for file in sorted((out / "cells").rglob("curve-*.parquet")))
    whole = fragment.read_bytes()
    fragment.write_bytes(whole[: len(whole) // 2])
    status = next(
        file for file in sorted((out / "cells").rglob("status.json")) if file.parent != fragment.parent
    )
    stored = status.read_text()
    status.write_text(stored[:20])

    def mend(_):
        fragment.write_bytes(whole)
        status.write_text(stored)

    monkeypatch.setattr("harness.report.watching.time.sleep", mend)
    said = []
    assert watch(out, tmp_path / "log", say=said.append) == len(results.curve)
    assert said == ["4 of 6 cells have ended", "6 of 6 cells have ended"]


def test_nothing_is_written_into_the_results(results, tmp_path):
    before = {file: file.stat().st_mtime_ns for file in results.path.rglob("*")}
    watch(results.path, tmp_path)
    assert {file: file.stat().st_mtime_ns for file in results.path.rglob("*")} == before


def test_few_files_are_open_at_once_and_all_cells_are_written(results, tmp_path, monkeypatch):
    monkeypatch.setattr("harness.report.watching.OPEN", 1)
    assert watch(results.path, tmp_path) == len(results.curve)


def test_a_folder_of_another_sweep_or_of_others_is_refused(results, tmp_path):
    (tmp_path / "mine.txt").write_text("")
    with pytest.raises(UserError, match="name a new folder with --tensorboard"):
        watch(results.path, tmp_path)
    (tmp_path / "mine.txt").unlink()
    (tmp_path / ".gradfree-watch.json").write_text(json.dumps({"out": "elsewhere", "rows": {}, "ended": []}))
    with pytest.raises(UserError, match="follows elsewhere"):
        watch(results.path, tmp_path)


def test_a_folder_without_a_plan_is_no_sweep(tmp_path):
    with pytest.raises(UserError, match="begin a sweep with --out"):
        watch(tmp_path, tmp_path / "log")


def test_without_the_library_the_extra_is_named(results, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(UserError, match=r"pip install 'gradfree\[tensorboard\]'"):
        watch(results.path, tmp_path)


@pytest.mark.parametrize("name", ["../../etc", "/etc/passwd", "..", "a/../b", "a\\b", "x" * 300, "a\nb", "…"])
def test_no_name_leads_out_of_the_folder(name):
    cell = make_plan(Sweep.from_flags(tasks="sphere", algorithms="random", repetitions=1)).cells[0]
    for odd in (replace(cell, task=name), replace(cell, algorithm=name)):
        path = run_name(odd)
        assert not path.is_absolute()
        assert ".." not in path.parts
        assert all(len(part) < 100 for part in path.parts)


def test_two_names_do_not_become_one():
    cell = make_plan(Sweep.from_flags(tasks="sphere", algorithms="random", repetitions=1)).cells[0]
    assert run_name(replace(cell, task="a:b")) != run_name(replace(cell, task="a?b"))


def test_the_verb_says_how_far_the_sweep_is(results, tmp_path, capsys):
    verb(results.path, tmp_path, once=True)
    assert capsys.readouterr().out == "6 of 6 cells have ended\n"

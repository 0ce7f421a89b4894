"""A sweep that is killed and started again ends with the tables of one that never was."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from harness.core import Protocol
from harness.running import cohort
from harness.running.observer import Observer
from harness.running.results import load_results
from harness.running.schema import TABLES, measured
from harness.running.sweep_file import Sweep
from harness.running.sweeping import sweep


def same(one, other):
    for table in TABLES:
        drop = measured(table)
        pd.testing.assert_frame_equal(
            getattr(one, table).drop(columns=drop), getattr(other, table).drop(columns=drop), check_exact=True
        )


class StopError(Exception):
    """Ends a run in its middle, as a kill would."""


class StopAfter(Observer):
    def __init__(self, evaluations):
        self.evaluations = evaluations
        self.lines = []

    def advanced(self, cell, evaluations):
        if evaluations >= self.evaluations:
            raise StopError

    def note(self, line):
        self.lines.append(line)


@pytest.mark.skipif(sys.platform == "win32", reason="forks and kills")
def test_killed_at_any_write_it_ends_with_the_same_tables(tmp_path):
    script = Path(__file__).with_name("killed.py")
    done = subprocess.run([sys.executable, script, tmp_path], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 30
    whole = load_results(tmp_path / "whole")
    for folder in sorted(tmp_path.glob("killed-*")):
        same(whole, load_results(folder))


@pytest.mark.parametrize(("algorithm", "generations"), [("walk", 5), ("directions", 5), ("restless", 10)])
def test_a_deterministic_cell_goes_on_and_another_starts_again(tmp_path, toys, algorithm, generations):
    cells = [toys.cell(algorithm)]
    whole = toys.run(tmp_path / "whole", cells)
    with pytest.raises(StopError):
        toys.run(tmp_path / "cut", cells, observer=StopAfter(24), flush_seconds=0.0)
    task = toys.Quadratic()
    same(whole, toys.run(tmp_path / "cut", cells, task))
    assert len(task.calls) == generations


def test_a_cell_that_asks_for_gradients_starts_again(tmp_path, toys):
    cells = [toys.cell("descent")]
    with pytest.raises(StopError):
        toys.run(tmp_path, cells, observer=StopAfter(24), flush_seconds=0.0)
    task = toys.Quadratic()
    toys.run(tmp_path, cells, task)
    assert len(task.calls) == 13


def test_scores_on_dev_are_not_taken_again(tmp_path, toys):
    with pytest.raises(StopError):
        toys.run(tmp_path, [toys.cell("walk")], observer=StopAfter(24), flush_seconds=0.0)
    task = toys.Quadratic()
    toys.run(tmp_path, [toys.cell("walk")], task)
    assert [split for split, _ in task.scored] == ["dev"] * 3 + ["train", "test"]


def test_an_algorithm_that_changed_since_starts_again_and_it_is_said(tmp_path, toys):
    cells, watcher = [toys.cell("walk")], StopAfter(1000)
    with pytest.raises(StopError):
        toys.run(tmp_path / "cut", cells, observer=StopAfter(24), flush_seconds=0.0)

    class Changed(toys.Walk):
        population = 5

    def make(cell, task, budget):
        return Changed(task.space, budget, cell.algorithm_seed)

    changed = toys.run(tmp_path / "cut", cells, make=make, observer=watcher)
    same(toys.run(tmp_path / "whole", cells, make=make), changed)
    assert len(watcher.lines) == 1
    assert "generation 0 is another one" in watcher.lines[0]


def test_a_cell_broken_off_on_other_data_starts_again_and_it_is_said(tmp_path, toys):
    cells, watcher = [toys.cell("walk")], StopAfter(1000)
    with pytest.raises(StopError):
        toys.run(tmp_path, cells, toys.Quadratic("other"), observer=StopAfter(24), flush_seconds=0.0)
    task = toys.Quadratic()
    toys.run(tmp_path, cells, task, observer=watcher)
    assert len(task.calls) == 10
    (line,) = watcher.lines
    assert "other data or another model" in line


def test_seconds_go_on_from_where_they_were(tmp_path, toys, monkeypatch):
    ticks = itertools.count()
    monkeypatch.setattr(cohort, "_clock", lambda task: float(next(ticks)))
    cells = [toys.cell("walk")]
    with pytest.raises(StopError):
        toys.run(tmp_path, cells, observer=StopAfter(24), flush_seconds=0.0)
    assert toys.run(tmp_path, cells).runs["seconds_evaluate"][0] == 10.0


def test_tables_do_not_depend_on_when_rows_were_stored(tmp_path, toys):
    cells = [toys.cell(name) for name in ("early", "walk", "raises", "tellraises", "bestraises", "untouched")]
    protocol = Protocol(dev_points=2)  # "early" is over before the first one, and is scored at its end
    often = toys.run(tmp_path / "often", cells, protocol=protocol, flush_seconds=0.0)
    same(often, toys.run(tmp_path / "once", cells, protocol=protocol, flush_seconds=1000.0))


def test_a_broken_off_extension_shows_what_is_left_and_not_the_tables_before_it(tmp_path):
    words = Sweep.from_flags(tasks="sphere[dimension=3]", algorithms="random", budget=40, repetitions=1)
    sweep(words, out=tmp_path)
    with pytest.raises(StopError):
        sweep(words, out=tmp_path, repetitions=2, progress=StopAfter(20), flush_seconds=0.0)
    assert load_results(tmp_path).runs["status"].tolist()[:2] == ["finished", "pending"]
    assert set(sweep(words, out=tmp_path, repetitions=2).runs["status"]) == {"finished"}

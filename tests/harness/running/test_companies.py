"""Tasks of one company advance together, and nobody's results show it."""

from __future__ import annotations

import io

import pandas as pd
import pytest

from harness.core import Block, Space
from harness.running import cohort, progress
from harness.running.observer import Observer
from harness.running.progress import Bars, Lines
from harness.running.schema import TABLES, measured

NAMES = ("one", "two", "three")


def tasks_of(toys, *companies, kind=None):
    """Toy tasks by name, each of a company, and the list to which every one appends its calls."""
    calls = []

    class Logging(kind or toys.Quadratic):
        def evaluate(self, requests):
            calls.append((self.name, len(requests)))
            return super().evaluate(requests)

    tasks = {}
    for name, company in zip(NAMES, companies, strict=False):
        tasks[name] = Logging(name)
        tasks[name].name, tasks[name].company = name, company
    return tasks, calls


def cells_of(toys, tasks, *algorithms, **more):
    return [toys.cell(algorithm, task=name, **more) for name in tasks for algorithm in algorithms]


def same(one, other):
    for table in TABLES:
        drop = measured(table)
        pd.testing.assert_frame_equal(
            getattr(one, table).drop(columns=drop), getattr(other, table).drop(columns=drop), check_exact=True
        )


def test_every_round_asks_the_cells_of_all_tasks_of_a_company(tmp_path, toys):
    tasks, calls = tasks_of(toys, "a model", "a model")
    toys.run(tmp_path, cells_of(toys, tasks, "walk", "directions"), tasks=tasks)
    assert calls == [("one", 2), ("two", 2)] * 10


@pytest.mark.parametrize("companies", [(None, None), ("a model", "another"), ("a model", None)])
def test_tasks_of_no_company_take_turns(tmp_path, toys, companies):
    tasks, calls = tasks_of(toys, *companies)
    toys.run(tmp_path, cells_of(toys, tasks, "walk"), tasks=tasks)
    assert calls == [("one", 1)] * 10 + [("two", 1)] * 10


def test_a_task_that_shares_no_forward_keeps_no_company(tmp_path, toys):
    tasks, calls = tasks_of(toys, "a model", "a model", "a model")
    tasks["two"].shares_forward = False
    toys.run(tmp_path, cells_of(toys, tasks, "walk"), tasks=tasks)
    assert calls == [("one", 1), ("three", 1)] * 10 + [("two", 1)] * 10


def test_company_changes_no_result(tmp_path, toys):
    algorithms = ("walk", "raises", "untouched", "bestraises", "poison", "early", "descent", "initraises")

    def tables(out, *companies):
        tasks, _ = tasks_of(toys, *companies, kind=toys.PoisonedQuadratic)
        cells = [*cells_of(toys, tasks, *algorithms), *cells_of(toys, tasks, *algorithms, repetition=1)]
        return toys.run(out, cells, tasks=tasks)

    together = tables(tmp_path / "a", "a model", "a model", "a model")
    same(together, tables(tmp_path / "b", None, None, None))
    assert together.runs["status"].value_counts().to_dict() == {"finished": 24, "failed": 24}


def test_as_cells_end_others_join_of_whatever_task(tmp_path, toys, monkeypatch):
    monkeypatch.setattr(cohort, "WIDTH", 2)
    tasks, calls = tasks_of(toys, "a model", "a model")
    cells = [*cells_of(toys, {"one": None}, "walk", "early"), *cells_of(toys, {"two": None}, "walk")]
    toys.run(tmp_path, cells, tasks=tasks)
    # "early" ends with its third generation and leaves in the fourth round; then there is room for "two"
    beside = [("one", 1), ("two", 1)]
    assert calls == [("one", 2)] * 3 + [("one", 1)] + beside * 6 + [("two", 1)] * 4


def test_a_company_holds_no_more_coordinates_than_fit(tmp_path, toys, monkeypatch):
    class Wide(toys.Quadratic):
        def __init__(self, name):
            super().__init__(name)
            self.space = Space([Block("x", (3 if name == "one" else 5,), "vector")])

    monkeypatch.setattr(cohort, "COORDINATES", 8)
    tasks, calls = tasks_of(toys, "a model", "a model", kind=Wide)
    toys.run(tmp_path, cells_of(toys, tasks, "walk", budget=8), tasks=tasks)
    assert calls == [("one", 1), ("two", 1)] * 2
    monkeypatch.setattr(cohort, "COORDINATES", 7)
    calls.clear()
    toys.run(tmp_path / "turns", cells_of(toys, tasks, "walk", budget=8), tasks=tasks)
    assert calls == [("one", 1)] * 2 + [("two", 1)] * 2


def test_a_task_that_fails_leaves_the_rest_of_its_company_alone(tmp_path, toys):
    tasks, _ = tasks_of(toys, "a model", "a model")

    def broken(requests):
        raise OSError("the device is lost")

    tasks["one"].evaluate = broken
    results = toys.run(tmp_path, cells_of(toys, tasks, "walk", "directions"), tasks=tasks)
    assert results.runs["status"].tolist() == ["failed"] * 2 + ["finished"] * 2


def test_each_task_is_scored_with_its_own_cells(tmp_path, toys):
    tasks, _ = tasks_of(toys, "a model", "a model")
    toys.run(tmp_path, cells_of(toys, tasks, "walk"), tasks=tasks)
    for task in tasks.values():
        assert [split for split, _ in task.scored] == ["dev"] * 5 + ["train", "test"]


def test_seconds_are_those_of_the_own_task(tmp_path, toys, monkeypatch):
    class Clock:
        now = 0.0

        def perf_counter(self):
            return self.now

        monotonic = perf_counter

    clock = Clock()
    monkeypatch.setattr(cohort, "time", clock)

    class Ticking(toys.Quadratic):
        def evaluate(self, requests):
            clock.now += 3.0 if self.name == "one" else 5.0
            return super().evaluate(requests)

    tasks, _ = tasks_of(toys, "a model", "a model", kind=Ticking)
    runs = toys.run(tmp_path, cells_of(toys, tasks, "walk"), tasks=tasks).runs
    assert runs["seconds_evaluate"].tolist() == [30.0, 50.0]
    assert not runs["seconds_shared"].any()


def test_a_task_begins_with_the_first_of_its_cells(tmp_path, toys, monkeypatch):
    class Watching(Observer):
        said = ()

        def task_begins(self, task, cells):
            self.said += ((task, len(cells)),)

        def ended(self, cell, status, reason):
            self.said += (cell.task,)

    monkeypatch.setattr(cohort, "WIDTH", 1)
    watcher = Watching()
    tasks, _ = tasks_of(toys, "a model", "a model")
    toys.run(tmp_path, cells_of(toys, tasks, "walk", "early"), tasks=tasks, observer=watcher)
    assert watcher.said == (("one", 2), "one", "one", ("two", 2), "two", "two")


def test_progress_shows_every_task_that_runs(tmp_path, toys, monkeypatch):
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    stream, tasks = io.StringIO(), tasks_of(toys, "a model", "a model")[0]
    cells = [*cells_of(toys, {"one": None}, "early"), *cells_of(toys, {"two": None}, "walk")]
    toys.run(tmp_path, cells, tasks=tasks, observer=Lines(stream))
    lines = stream.getvalue().splitlines()
    assert "one: 4/40, two: 0/40 evaluations" in lines
    assert lines[-1] == "two: 40/40 evaluations"


def test_bars_come_and_go_with_the_tasks(tmp_path, toys):
    shown = []

    class Watched(Bars):
        def ended(self, cell, status, reason):
            super().ended(cell, status, reason)
            shown.append([task.description for task in self.progress.tasks])

    tasks, _ = tasks_of(toys, "a model", "a model")
    cells = [*cells_of(toys, {"one": None}, "early"), *cells_of(toys, {"two": None}, "walk")]
    toys.run(tmp_path, cells, tasks=tasks, observer=Watched(io.StringIO()))
    assert shown == [["sweep", "two"], ["sweep"]]

"""The breakdown of a sweep's wall time: what counts where, and what is kept of it."""

from __future__ import annotations

import json

import pytest

from harness.running.clock import PHASES, Breakdown, in_words
from harness.running.fragments import CellFolder
from harness.running.observer import Observer
from harness.running.store import sessions
from harness.running.sweep_file import Sweep
from harness.running.sweeping import sweep


class Clock:
    """Moves when it is told to, and not by itself."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def timed(toys, clock, tells):
    """A task of three seconds an evaluation and six a score, two and five of them its forwards."""

    class Timed(toys.Quadratic):
        def evaluate(self, requests):
            self.spend(3.0, 2.0)
            return super().evaluate(requests)

        def score(self, candidates, split):
            self.spend(6.0, 5.0)
            return super().score(candidates, split)

        def spend(self, seconds, forward):
            clock.now += seconds
            if tells:
                self.forward_seconds += forward

    task = Timed()
    task.forward_seconds = 100.0 if tells else None
    return task


def slow(toys, clock):
    """An algorithm of half a second in ask, a quarter in tell and an eighth in best, made in one."""

    class Slow(toys.Walk):
        def __init__(self, space, budget, seed):
            super().__init__(space, budget, seed)
            clock.now += 1.0

        def ask(self, remaining):
            clock.now += 0.5
            return super().ask(remaining)

        def tell(self, population, losses, gradients=None):
            clock.now += 0.25
            super().tell(population, losses, gradients)

        def best(self):
            clock.now += 0.125
            return super().best()

    return lambda cell, task, budget: Slow(task.space, budget, cell.algorithm_seed)


@pytest.mark.parametrize("tells", [True, False])
def test_every_second_counts_in_one_phase(tmp_path, toys, clock, monkeypatch, tells):
    commit = CellFolder.commit

    def slow_commit(self, *arguments):
        clock.now += 7.0
        return commit(self, *arguments)

    class Watching(Observer):
        def advanced(self, cell, evaluations):
            clock.now += 0.0625

    monkeypatch.setattr(CellFolder, "commit", slow_commit)
    breakdown = Breakdown(clock)
    toys.run(
        tmp_path,
        [toys.cell("walk")],
        timed(toys, clock, tells),
        make=slow(toys, clock),
        observer=Watching(),
        breakdown=breakdown,
    )
    session = breakdown.session()
    # ten generations, five dev points, train and test, one commit; it advances at its start too
    forward, packing = (10 * 2.0 + 7 * 5.0, 17 * 1.0) if tells else (10 * 3.0 + 7 * 6.0, 0.0)
    assert session["seconds"] == {
        "loading": 1.0,
        "forward": forward,
        "ask": 10 * 0.5,
        "tell": 10 * 0.25 + 5 * 0.125,
        "packing": packing,
        "recording": 7.0,
        "bookkeeping": 11 * 0.0625,
    }
    assert session["wall_seconds"] == clock.now
    assert session["cells"] == 1


@pytest.mark.parametrize("told", [50.0, -50.0])
def test_a_task_that_tells_nonsense_leaves_the_sum_right(clock, toys, told):
    breakdown, task = Breakdown(clock), toys.Quadratic()
    task.forward_seconds = 60.0
    with breakdown.answering(task):
        clock.now += 3.0
        task.forward_seconds += told
    seconds = breakdown.session()["seconds"]
    assert (seconds["forward"], seconds["packing"]) == ((3.0, 0.0) if told > 0 else (0.0, 3.0))


def test_what_fails_is_counted_where_it_failed(tmp_path, toys, clock):
    class Stuck(toys.Walk):
        def ask(self, remaining):
            clock.now += 2.0
            raise RuntimeError("stuck")

    breakdown = Breakdown(clock)
    toys.run(
        tmp_path,
        [toys.cell("raises")],
        make=lambda cell, task, budget: Stuck(task.space, budget, 7),
        breakdown=breakdown,
    )
    clock.now += 4.0
    session = breakdown.session()
    assert session["seconds"] == {**dict.fromkeys(PHASES, 0.0), "ask": 2.0, "bookkeeping": 4.0}
    assert session["cells"] == 1


def small(repetitions):
    return Sweep.from_flags(
        tasks="sphere[dimension=2]", algorithms="random", budget=20, repetitions=repetitions, device="cpu"
    )


def test_every_session_of_a_folder_is_kept_the_latest_last(tmp_path):
    class Stop(Observer):
        def ended(self, cell, status, reason):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(small(2), out=tmp_path, progress=Stop())
    sweep(small(2), out=tmp_path)
    sweep(small(2), out=tmp_path)
    stored = json.loads((tmp_path / "breakdown.json").read_text())
    assert stored["measured"]
    assert [session["cells"] for session in stored["sessions"]] == [1, 3, 0]
    for session in sessions(tmp_path):
        assert set(session["seconds"]) == set(PHASES)
        assert session["wall_seconds"] == pytest.approx(sum(session["seconds"].values()))


@pytest.mark.parametrize("content", ["", "[]", '{"sessions": 3}'])
def test_a_damaged_breakdown_is_begun_anew(tmp_path, content):
    sweep(small(1), out=tmp_path)
    (tmp_path / "breakdown.json").write_text(content)
    sweep(small(1), out=tmp_path)
    assert len(sessions(tmp_path)) == 1


def test_a_breakdown_that_was_altered_is_not_shown(tmp_path):
    sweep(small(1), out=tmp_path)
    file = tmp_path / "breakdown.json"
    file.write_text(file.read_text().replace('"cells": 2', '"cells": 3'))
    assert sessions(tmp_path) == []


def test_shares_without_overhead_name_no_parts():
    assert in_words({"seconds": {"forward": 3.0, "ask": 1.0}}) == (
        "75.0 % forward, 25.0 % ask and tell, 0.0 % overhead"
    )

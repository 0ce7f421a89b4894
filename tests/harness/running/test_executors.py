"""Sweeps in processes of their own: the same tables, whatever an algorithm does to its process."""

import json
import queue
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from harness import load_results
from harness.core import UserError
from harness.running.executors import executor_of, process
from harness.running.observer import Observer
from harness.running.plan import make_plan
from harness.running.schema import TABLES, measured
from harness.running.sweep_file import Sweep
from harness.running.sweeping import sweep

SOURCE = Path(__file__).with_name("misbehaving.py").read_text()
NAMES = (
    "walk",
    "killer",
    "crasher",
    "leaver",
    "exiter",
    "hanger",
    "leaker",
    "printer",
    "meddler",
    "severer",
    "forker",
)


class Listening(Observer):
    """Keeps what it is told."""

    def __init__(self):
        self.lines, self.begun, self.over = [], [], []

    def task_begins(self, task, cells):
        self.begun.append(task)

    def ended(self, cell, status, reason):
        self.over.append((cell.algorithm, cell.repetition, status))

    def note(self, line):
        self.lines.append(line)


@pytest.fixture
def misbehaving(install):
    install(
        "mischief", "gradfree.algorithms", {n: f"mischief:{n.title()}" for n in NAMES}, "mischief", SOURCE
    )


def words(algorithms, **keys):
    usual = {"tasks": "sphere[dimension=3],rosenbrock[dimension=4]", "budget": 24, "repetitions": 2}
    return Sweep.from_flags(algorithms=algorithms, **usual | keys)


def rows(results, table, algorithms):
    ids = set(results.runs.loc[results.runs["algorithm"].isin(algorithms), "id"])
    frame = getattr(results, table)
    return frame[frame["id"].isin(ids)].drop(columns=measured(table)).reset_index(drop=True)


def same(one, other, algorithms):
    for table in TABLES:
        pd.testing.assert_frame_equal(
            rows(one, table, algorithms), rows(other, table, algorithms), check_exact=True
        )


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_write_the_tables_of_one_process(tmp_path, workers):
    listening, names = Listening(), ["random", "snes", "zero-shot"]
    here = sweep(words("random,snes", repetitions=3), out=tmp_path / "here")
    there = sweep(
        words("random,snes", repetitions=3),
        out=tmp_path / "there",
        executor=executor_of("local", workers),
        progress=listening,
    )
    same(here, there, names)
    assert sorted(listening.begun) == ["rosenbrock[dimension=4]", "sphere[dimension=3]"]
    assert len(listening.over) == 18
    assert {status for _, _, status in listening.over} == {"finished"}
    assert not list((tmp_path / "there" / ".claims").rglob("*.*"))


def test_trials_and_tuned_cells_run_in_workers(tmp_path):
    tuned = words("snes,zero-shot", repetitions=1, tuning={"trials": 2})
    here = sweep(tuned, out=tmp_path / "here")
    there = sweep(tuned, out=tmp_path / "there", executor=executor_of("local"))
    same(here, there, ["snes", "zero-shot"])


@pytest.mark.skipif(sys.platform == "win32", reason="kills with signals")
def test_who_kills_its_process_is_the_only_one_marked(tmp_path, misbehaving):
    good, listening = ["walk", "random", "zero-shot"], Listening()
    keys = {"repetitions": 1}
    alone = sweep(words("walk,random", **keys), out=tmp_path / "alone")
    beside = sweep(
        words("walk,killer,random", **keys),
        out=tmp_path / "beside",
        executor=executor_of("local"),
        progress=listening,
    )
    same(alone, beside, good)
    killers = beside.runs[beside.runs["algorithm"] == "killer"]
    assert set(killers["status"]) == {"failed"}
    assert set(killers["reason"]) == {"its process was killed by SIGKILL in ask, though it ran alone"}
    assert set(killers["evaluations"]) == {0}
    assert all(re.match("a worker was killed by SIGKILL in ask of killer;", line) for line in listening.lines)


@pytest.mark.skipif(sys.platform == "win32", reason="kills with signals")
@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("crasher", "was killed by SIGSEGV"),
        ("leaver", "ended with code 0"),
        ("severer", "was killed by SIGKILL"),
    ],
)
def test_who_ends_its_process_otherwise_is_marked_too(tmp_path, misbehaving, name, how):
    results = sweep(
        words(name, repetitions=1, tasks="sphere[dimension=3]"),
        out=tmp_path / "out",
        executor=executor_of("local"),
    )
    row = results.runs[results.runs["algorithm"] == name].iloc[0]
    assert row["reason"] == f"its process {how} in ask, though it ran alone"
    if name == "crasher":  # what the process said last stays beside the tables
        assert "Segmentation fault" in (tmp_path / "out" / "cells" / row["id"] / "traceback.txt").read_text()


def test_who_hangs_is_stopped_at_its_timeout(tmp_path, misbehaving):
    keys = {"repetitions": 1, "tasks": "sphere[dimension=3]", "protocol": {"timeout": 2.0}}
    alone = sweep(words("walk", **keys), out=tmp_path / "alone")
    beside = sweep(words("hanger,walk", **keys), out=tmp_path / "beside", executor=executor_of("local"))
    same(alone, beside, ["walk", "zero-shot"])
    row = beside.runs[beside.runs["algorithm"] == "hanger"].iloc[0]
    assert (row["status"], row["reason"]) == ("timeout", "it did not come back from ask within 2 seconds")


def test_who_takes_the_memory_is_stopped_and_the_rest_goes_on(tmp_path, misbehaving):
    keys = {"repetitions": 1, "tasks": "sphere[dimension=3]", "budget": 80}
    alone = sweep(words("walk", **keys), out=tmp_path / "alone")
    beside = sweep(
        words("walk,leaker", **keys), out=tmp_path / "beside", executor=executor_of("local", memory=1.5)
    )
    same(alone, beside, ["walk", "zero-shot"])
    row = beside.runs[beside.runs["algorithm"] == "leaker"].iloc[0]
    assert row["status"] == "failed"
    assert re.search(r"MemoryError in the run: the process holds .* GiB of the 1.5 GiB", row["reason"])


def test_what_is_printed_does_not_reach_the_output(tmp_path, misbehaving):
    command = [sys.executable, "-m", "harness.cli", "sweep", "--tasks", "sphere", "--algorithms", "printer"]
    done = subprocess.run(
        [*command, "--budget", "24", "--repetitions", "1", "--out", str(tmp_path / "out"), "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout)["cells"] == {"finished": 2}


def test_global_settings_of_one_do_not_reach_the_others(tmp_path, misbehaving):
    alone = sweep(words("walk,cma-es,mezo,random"), out=tmp_path / "alone")
    beside = sweep(words("meddler,forker,walk,cma-es,mezo,random"), out=tmp_path / "beside")
    same(alone, beside, ["walk", "cma-es", "mezo", "random", "zero-shot"])
    assert set(beside.runs["status"]) == {"finished"}


def test_who_asks_the_process_to_exit_fails_alone(tmp_path, misbehaving):
    results = sweep(words("exiter,walk", repetitions=1), out=tmp_path / "out")
    reasons = results.runs.set_index("algorithm")["reason"]
    assert set(reasons["exiter"]) == {"ContractError in ask: it asked the whole process to end (3)"}
    assert set(results.runs.loc[results.runs["algorithm"] == "walk", "status"]) == {"finished"}


def test_two_sweeps_at_once_share_the_cells_of_a_folder(tmp_path):
    flags = ["--tasks", "sphere[dimension=3],rosenbrock[dimension=4]", "--algorithms", "random,snes"]
    flags += ["--budget", "400", "--repetitions", "3"]
    whole = sweep(words("random,snes", budget=400, repetitions=3), out=tmp_path / "whole")
    both = [
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                "harness.cli",
                "sweep",
                *flags,
                "--out",
                str(tmp_path / "shared"),
                "--json",
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for _ in range(2)
    ]
    answers = [process.communicate(timeout=240) for process in both]
    assert [process.returncode for process in both] == [0, 0], answers
    same(whole, load_results(tmp_path / "shared"), ["random", "snes", "zero-shot"])
    sessions = json.loads((tmp_path / "shared" / "breakdown.json").read_text())["sessions"]
    assert sum(session["cells"] for session in sessions) == 18


def test_a_sweep_of_another_plan_is_refused_while_one_writes(tmp_path):
    class Meddling(Observer):
        def ended(self, cell, status, reason):
            sweep(words("spsa", repetitions=1), out=tmp_path)

    with pytest.raises(UserError, match="another sweep is writing here, with another plan"):
        sweep(words("random", repetitions=1), out=tmp_path, progress=Meddling())


def test_a_remedy_that_a_worker_asks_for_is_said_by_the_sweep(tmp_path, misbehaving):
    with pytest.raises(UserError, match="no algorithm took much of it: models and data did"):
        sweep(words("walk", repetitions=1), out=tmp_path / "out", executor=executor_of("local", memory=0.1))


@pytest.mark.parametrize(
    ("name", "options"), [("cloud", {}), ("inline", {"workers": 2}), ("local", {"address": "auto"})]
)
def test_an_executor_that_is_not_there_is_refused(name, options):
    with pytest.raises(UserError, match=r"--(executor|address): "):
        executor_of(name, **options)


def test_a_plan_for_workers_is_the_plan_of_this_process():
    from harness.running.plan import builder_of

    quick = Sweep.load("quick")
    plans = [make_plan(quick, builder_of(quick, planning=planning)).to_json() for planning in (True, False)]
    assert plans[0] == plans[1]


@pytest.mark.parametrize("chosen", [None, "OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"])
def test_threads_of_a_worker_wait_asleep_unless_the_user_has_chosen(monkeypatch, chosen):
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"):
        monkeypatch.delenv(name, raising=False)
    if chosen:
        monkeypatch.setenv(chosen, "1")
    given = {}

    def start(*words, env, **more):
        given.update(env)
        raise BlockingIOError("enough is known")

    monkeypatch.setattr(process.subprocess, "Popen", start)
    with pytest.raises(BlockingIOError):
        process.Process(0, queue.Queue())
    expected = "1" if chosen == "OMP_WAIT_POLICY" else None if chosen else "PASSIVE"
    assert given.get("OMP_WAIT_POLICY") == expected

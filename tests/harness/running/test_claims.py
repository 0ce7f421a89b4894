"""Who runs a cell, where several sweeps share a folder."""

import json
import os
import subprocess
import sys
import threading
import time

import pytest

from harness.running import claims
from harness.running.claims import Census, Owner
from harness.running.store import being_written


def test_of_many_owners_one_gets_each_cell(tmp_path):
    taken, start = [], threading.Barrier(8)

    def rush():
        with Owner(tmp_path) as owner:
            start.wait()
            taken.extend(cell for cell in map(str, range(50)) if owner.take(cell))
            start.wait()

    threads = [threading.Thread(target=rush) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken, key=int) == [str(cell) for cell in range(50)]


def test_the_claim_of_a_killed_process_is_taken_over_at_once(tmp_path):
    script = (
        "import os, sys, pathlib; from harness.running.claims import Owner\n"
        "owner = Owner(pathlib.Path(sys.argv[1])).__enter__(); owner.take('a1'); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", script, tmp_path], check=False)
    with Owner(tmp_path) as owner:
        assert (tmp_path / ".claims" / "a1.1").exists()
        assert owner.take("a1")
        owner.release("a1")
    assert not list((tmp_path / ".claims").glob("a1.*"))


def test_of_many_who_take_over_a_dead_claim_one_gets_it(tmp_path):
    with Owner(tmp_path) as dead:
        dead.take("a1")
    owners = [Owner(tmp_path).__enter__() for _ in range(5)]
    assert [owner.take("a1") for owner in owners].count(True) == 1


def elsewhere(folder, sign):
    """An owner on another machine, that gives a sign of life."""
    file = folder / ".claims" / "owners" / "far.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"machine": "another", "sign": sign}))
    (folder / ".claims" / "a1.1").write_text("far")


def test_an_owner_elsewhere_lives_while_it_gives_signs_and_is_dead_when_silent(tmp_path, monkeypatch):
    now = 100.0
    monkeypatch.setattr(claims.time, "monotonic", lambda: now)
    with Owner(tmp_path, patience=60) as owner:
        for sign in range(4):
            elsewhere(tmp_path, sign)
            assert not owner.take("a1")
            now += 50
        assert not owner.take("a1")
        now += 61
        assert owner.take("a1")


def test_a_copied_folder_does_not_look_as_if_it_were_being_written(tmp_path):
    elsewhere(tmp_path, 1)
    assert being_written(tmp_path)
    long_ago = time.time() - 3600
    os.utime(tmp_path / ".claims" / "owners" / "far.json", (long_ago, long_ago))
    assert not being_written(tmp_path)


def test_who_was_taken_for_dead_does_not_hold_its_claim_any_more(tmp_path, monkeypatch):
    with Owner(tmp_path) as slow, Owner(tmp_path) as other:
        assert slow.take("a1")
        monkeypatch.setattr(Census, "lives", lambda self, owner: False)
        assert other.take("a1")
        assert not slow.holds("a1")
        assert other.holds("a1")


def test_a_process_that_got_the_number_of_a_dead_one_is_not_taken_for_it(tmp_path):
    with Owner(tmp_path) as owner:
        sign = json.loads((tmp_path / ".claims" / "owners" / f"{owner.id}.json").read_text())
        file = tmp_path / ".claims" / "owners" / "older.json"
        file.write_text(json.dumps({**sign, "process": os.getpid(), "since": sign["since"] - 1000}))
        assert not owner.census.lives("older")


@pytest.mark.parametrize("broken", ["", "{", "[]", "null", json.dumps({"machine": 3})])
def test_a_broken_sign_of_life_is_no_sign(tmp_path, monkeypatch, broken):
    now = 0.0
    monkeypatch.setattr(claims.time, "monotonic", lambda: now)
    with Owner(tmp_path, patience=60) as owner:
        (tmp_path / ".claims" / "owners" / "far.json").write_text(broken)
        (tmp_path / ".claims" / "a1.1").write_text("far")
        assert not owner.take("a1")
        now = 61.0
        assert owner.take("a1")


def test_claims_are_made_where_files_cannot_have_two_names(tmp_path, monkeypatch):
    def refused(*arguments):
        raise PermissionError("no hard links here")

    monkeypatch.setattr(os, "link", refused)
    with Owner(tmp_path) as one, Owner(tmp_path) as other:
        assert one.take("a1")
        assert not other.take("a1")

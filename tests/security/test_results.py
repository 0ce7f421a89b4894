"""Folders of results from strangers: no name and no link in them leads out of the folder."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness import sweep
from harness.core import UserError
from tests.security.strangers import SMALL, Edit

Answers = Callable[..., tuple[int, str, str]]

SECRET = "not for strangers"
IDS = (
    *("../../victim", "../victim", "/etc", "{victim}", "a/../../../victim", "..", ".", "", "-rf", "--help"),
    *("a\0b", "a\nb", "a" * 300, "\u202egnp.exe", "C:\\victim", "~/victim", "CON", "*", "a" * 12 + "\n"),
)
"""Ids of cells as a stranger may write them into plan.json."""

READERS = ("status", "leaderboard", "report", "merge", "show", "export")


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A folder of the reader's, with files in it that nobody may read out, change or remove."""
    folder = tmp_path / "victim"
    folder.mkdir()
    (folder / "status.json").write_text(json.dumps({"secret": SECRET}))
    (folder / "secret.txt").write_text(SECRET)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """All files and links of a folder."""
    return {
        file.relative_to(folder).as_posix(): b"link" if file.is_symlink() else file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_symlink() or file.is_file()
    }


def words(verb: str, theirs: Path, mine: Path, tmp_path: Path, cell: str) -> list[object]:
    """The verb on a stranger's folder."""
    if verb == "merge":
        return ["merge", theirs, mine, "--out", tmp_path / "merged"]
    if verb == "show":
        return ["show", theirs / cell]
    if verb == "export":
        return ["export", theirs / cell, "--to", tmp_path / "exported"]
    return [verb, theirs]


def cell_of(theirs: Path) -> str:
    """The id of a cell that has run: the first of the plan."""
    return str(json.loads((theirs / "plan.json").read_text())["cells"][0]["id"])


def without_tables(theirs: Path) -> None:
    """As a sweep leaves it that was broken off: readers go to the cells."""
    for file in theirs.glob("*.parquet"):
        file.unlink()


@pytest.mark.parametrize("identity", IDS)
def test_an_id_that_is_no_id_is_refused_before_it_becomes_a_path(
    identity: str,
    theirs: Path,
    mine: Path,
    victim: Path,
    tmp_path: Path,
    edit: Edit,
    answers: Answers,
) -> None:
    identity = identity.format(victim=victim)
    good = cell_of(theirs)
    edit(theirs / "plan.json", lambda plan: plan["cells"][0].update(id=identity))
    without_tables(theirs)
    before = contents(tmp_path)
    for verb in READERS:
        code, out, err = answers(*words(verb, theirs, mine, tmp_path, good))
        assert (code, out, err.count("\n")) == (2, "", 1), verb
        assert "plan.json" in err, verb
        assert SECRET not in err, verb
        assert contents(tmp_path) == before, verb


@pytest.mark.parametrize("value", [None, 7, 0.5, True, ["a"], {"a": 1}])
@pytest.mark.parametrize("key", ["id", "task", "algorithm", "kind", "skip", "budget"])
def test_a_plan_with_values_of_other_types_is_refused(
    key: str, value: Any, theirs: Path, edit: Edit, answers: Answers
) -> None:
    if (key, value) in [("skip", None), ("budget", 7)]:
        return
    edit(theirs / "plan.json", lambda plan: plan["cells"][0].update({key: value}))
    without_tables(theirs)
    code, _, err = answers("status", theirs)
    assert (code, err.count("\n")) == (2, 1)
    assert f"cells.0.{key}" in err


LINKS = {
    "plan.json": "victim/secret.txt",
    "sweep.yaml": "victim/secret.txt",
    "environment.json": "victim/status.json",
    "breakdown.json": "victim/status.json",
    "runs.parquet": "victim/secret.txt",
    "losses.parquet": "victim/secret.txt",
    "cells": "victim",
    "cells/{cell}": "victim",
    "cells/{cell}/status.json": "victim/status.json",
    "cells/{cell}/traceback.txt": "victim/secret.txt",
    "cells/{cell}/curve-00000.parquet": "victim/secret.txt",
    "cells/{cell}/more": "victim",
    "leaderboard.csv": "victim/secret.txt",
    "report.html": "victim/secret.txt",
    ".lock": "victim/secret.txt",
    ".claims": "victim",
}
"""Links as a stranger may put them into the folder, and where they lead."""


def put_link(theirs: Path, place: str, victim: Path, target: str) -> str:
    """Put a link in place of what is there; returns the id of the cell that it is about."""
    cell = cell_of(theirs)
    link = theirs / place.format(cell=cell)
    if link.is_dir() and not link.is_symlink():
        for file in sorted(link.rglob("*"), reverse=True):
            file.rmdir() if file.is_dir() else file.unlink()
        link.rmdir()
    link.unlink(missing_ok=True)
    link.symlink_to(victim.parent / target)
    return cell


@pytest.mark.parametrize("tables", [True, False])
@pytest.mark.parametrize("place", LINKS)
def test_a_link_is_not_followed_when_results_are_read(
    place: str,
    tables: bool,
    theirs: Path,
    mine: Path,
    victim: Path,
    tmp_path: Path,
    answers: Answers,
) -> None:
    if not tables:
        without_tables(theirs)
    cell = put_link(theirs, place, victim, LINKS[place])
    before = contents(victim)
    for verb in READERS:
        code, out, err = answers(*words(verb, theirs, mine, tmp_path, cell))
        assert code in (0, 2), verb
        assert SECRET not in out + err, verb
        assert contents(victim) == before, verb
    written = [*tmp_path.glob("merged/**/*"), *tmp_path.glob("exported/**/*"), *theirs.glob("*")]
    files = [file for file in written if file.is_file() and not file.is_symlink()]
    assert not any(SECRET.encode() in file.read_bytes() for file in files)


@pytest.mark.parametrize("place", LINKS)
def test_a_link_is_not_followed_when_a_sweep_goes_on(place: str, theirs: Path, victim: Path) -> None:
    put_link(theirs, place, victim, LINKS[place])
    (victim / "owners").mkdir()
    (victim / "owners" / "settings.json").write_text("{}")  # what the claims would take for an owner's
    before = contents(victim)
    with contextlib.suppress(UserError):  # refused, or done without it: either will do
        sweep(SMALL, out=theirs, retry=True)
    assert contents(victim) == before


def test_a_sweep_s_own_folder_may_be_reached_by_a_link(
    theirs: Path, tmp_path: Path, answers: Answers
) -> None:
    # Whoever names a folder means it, wherever it lies; only what lies inside is a stranger's.
    (tmp_path / "here").symlink_to(theirs)
    assert answers("leaderboard", tmp_path / "here")[0] == 0


@pytest.mark.parametrize(
    "place", ["plan.json", "runs.parquet", "cells/{cell}/status.json", "environment.json"]
)
def test_a_pipe_in_place_of_a_file_holds_nobody_up(
    place: str, theirs: Path, mine: Path, tmp_path: Path, answers: Answers
) -> None:
    without_tables(theirs)
    cell = cell_of(theirs)
    file = theirs / place.format(cell=cell)
    file.unlink(missing_ok=True)
    os.mkfifo(file)
    for verb in READERS:
        assert answers(*words(verb, theirs, mine, tmp_path, cell))[0] in (0, 2), verb


def test_what_lies_aside_while_a_file_is_written_follows_no_link(tmp_path: Path, victim: Path) -> None:
    # Its name can be foreseen, and someone may have been there first.
    from harness.running.files import write_bytes

    aside = tmp_path / f".mine.{os.getpid()}"
    aside.symlink_to(victim / "secret.txt")
    write_bytes(tmp_path / "mine", b"new")
    assert (victim / "secret.txt").read_text() == SECRET
    assert (tmp_path / "mine").read_bytes() == b"new"
    assert not (tmp_path / "mine").is_symlink()


ROWS = {
    "unknown column": {"__class__": "x"},
    "a text for a number": {"evaluations": "many"},
    "a list for a text": {"reason": ["a", {"b": 1}]},
    "a number beyond 64 bits": {"tokens": 2**80},
    "a number for a text": {"task": 7},
    "settings that are no JSON": {"settings": "{", "options": "]"},
    "settings that are a list": {"settings": "[1]", "options": "[]"},
}


@pytest.mark.parametrize("row", ROWS)
def test_a_status_that_says_nonsense_is_answered_in_one_line(
    row: str, theirs: Path, mine: Path, tmp_path: Path, edit: Edit, answers: Answers
) -> None:
    cell = cell_of(theirs)
    edit(theirs / "cells" / cell / "status.json", lambda status: status["row"].update(ROWS[row]))
    without_tables(theirs)
    for verb in READERS:
        assert answers(*words(verb, theirs, mine, tmp_path, cell))[0] in (0, 2), verb


@pytest.mark.parametrize(
    "file", ["plan.json", "environment.json", "breakdown.json", "cells/{cell}/status.json"]
)
@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a":' * 100_000, "9" * 10_000, "[]", "{}"], ids=lambda text: text[:9]
)
def test_json_that_is_no_record_is_answered_in_one_line(
    file: str, text: str, theirs: Path, mine: Path, tmp_path: Path, answers: Answers
) -> None:
    cell = cell_of(theirs)
    (theirs / file.format(cell=cell)).write_text(text)
    without_tables(theirs)
    for verb in ("status", "report", "show", "merge"):
        assert answers(*words(verb, theirs, mine, tmp_path, cell))[0] in (0, 2), verb


@pytest.mark.parametrize(
    "session", [None, 7, "x", [], {}, {"cells": "\x1b[2J", "wall_seconds": "\x1b[2J"}], ids=repr
)
def test_a_session_that_says_nonsense_is_passed_over(session: object, theirs: Path, answers: Answers) -> None:
    (theirs / "breakdown.json").write_text(json.dumps({"sessions": [session]}))
    for flags in ([], ["--json"]):
        code, out, _ = answers("status", theirs, *flags)
        assert (code, "\x1b" in out) == (0, False)

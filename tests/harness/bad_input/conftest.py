"""What a refusal looks like: exit code 2, one line that names the place and the remedy, nothing written."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

from harness import Sweep, UserError, cli
from harness.cli import application
from harness.running.plan import make_plan

REMEDY = re.compile(
    r"must (be|name|not)|did you mean|Did you mean|; nearest:|there (is|are|were)|it has |say what |"
    r"choose|give|write|name (a|an|it|one|two|another|the|dataset)|move one|the classes are|copy it|"
    r"take both|leave |merge |add|remove|lower|make one|mend|convert|rename|run (a|the|its) sweep|"
    r"; see gradfree|run (it|again)|save|install|keep|use |quote|at least|at most|is not one of|"
    r"is none of|needs an? |takes |is missing|put "
)
"""Words by which a line says what would be right."""

Command = Callable[..., tuple[int, str, str]]
Faults = Callable[..., list[str]]


@cache
def _verbs() -> Any:
    """The application with its verbs put together once; it does so at each call, for a third of its time."""
    return typer.main.get_command(cli.app)


@pytest.fixture
def command(monkeypatch, capsys, tmp_path) -> Command:
    """Runs the command in a folder of its own: exit code, output, errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(application, "app", _verbs())

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["gradfree", *words])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            cli.main()
        printed = capsys.readouterr()
        return int(end.value.code or 0), printed.out, printed.err

    return run


@pytest.fixture
def faults(command, tmp_path) -> Faults:
    """What is wrong with the answer to bad input, a line for each fault; nothing where the answer is good."""

    def look(*words: str, names: Sequence[str] = (), legal: bool = False, written: bool = False) -> list[str]:
        before, shown = _listing(tmp_path), " ".join(repr(word)[:80] for word in words)
        try:
            code, out, err = command(*words)
        except Exception as error:
            return [f"{shown}: {type(error).__name__}: {error}"[:400]]
        if legal and code == 0:
            return []
        found = [] if code == 2 else [f"exit code {code}"]
        found += ["something on standard output"] * bool(out)
        found += _vague(err, names)
        found += ["something is written"] * (not written and _listing(tmp_path) != before)
        return [f"{shown}: {', '.join(found)}: {err[:300]!r}"] if found else []

    return look


@pytest.fixture
def plan_faults(tmp_path, monkeypatch) -> Faults:
    """As ``faults``, for a plan by a call: a command line is parsed in the time of ten of them."""
    monkeypatch.chdir(tmp_path)

    def look(tasks: str, algorithms: str, names: Sequence[str] = (), legal: bool = False) -> list[str]:
        shown = f"{tasks!r:.100} {algorithms!r:.100}"
        try:
            make_plan(Sweep.from_flags(tasks=tasks, algorithms=algorithms, budget=40, repetitions=1))
        except UserError as error:
            found = _vague(f"gradfree: error: {' '.join(str(error).split())}\n", names)
            return [f"{shown}: {', '.join(found)}: {str(error)[:300]!r}"] if found else []
        except Exception as error:
            return [f"{shown}: {type(error).__name__}: {error}"[:400]]
        return [] if legal else [f"{shown}: is accepted"]

    return look


def _vague(err: str, names: Sequence[str]) -> list[str]:
    line = err.removesuffix("\n")
    good = line.startswith("gradfree: error: ") and line.isprintable() and len(line) <= 1500
    found = [] if good else ["not one printable line"]
    found += [f"does not name {name!r}" for name in names if name not in line]
    return found + ["names no remedy"] * (not REMEDY.search(line))


def _listing(folder: Path) -> dict[str, int]:
    """Every file below a folder with the time at which it was written."""
    return {str(each): each.lstat().st_mtime_ns for each in folder.rglob("*")}

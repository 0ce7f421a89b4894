"""Code of plugins runs where their algorithm is asked for, and nowhere else."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from harness.report.entries import family
from tests.security.strangers import Trap, altered

Answers = Callable[..., tuple[int, str, str]]
Plugin = Callable[[str, str, str], None]

SMALL = ("--tasks", "sphere[dimension=2]", "--budget", "8", "--repetitions", "1")


@pytest.fixture
def sly(plugin: Plugin, trap: Trap) -> Trap:
    """An installed plugin called ``sly`` that acts when it is imported."""
    plugin("sly", "sly_module", trap.python)
    return trap


def named(theirs: Path, algorithm: str) -> None:
    """Let the results say that another algorithm has made them."""

    def change(data: pa.Table) -> pa.Table:
        names = [algorithm if name == "random" else name for name in data.column("algorithm").to_pylist()]
        place = data.schema.get_field_index("algorithm")
        return data.set_column(place, data.schema.field(place), pa.array(names, pa.string()))

    altered(theirs, "runs", change)
    changed(theirs / "plan.json", '"algorithm": "random"', f'"algorithm": "{algorithm}"')


def changed(plan: Path, old: str, new: str) -> None:
    """Replace a text in a plan, and leave away the checksum that would tell of it."""
    text = re.sub(r',\s*"checksum": "[0-9a-f]*"', "", plan.read_text())
    assert re.search(old, text)
    plan.write_text(re.sub(old, new, text))


@pytest.mark.parametrize(
    "words",
    [
        ["list"],
        ["list", "--json"],
        ["list", "tasks"],
        ["list", "suites"],
        ["plan", *SMALL, "--algorithms", "random"],
        ["plan", *SMALL, "--algorithms", "slx"],  # the answer names it as the nearest
    ],
    ids=" ".join,
)
def test_a_plugin_that_nobody_asked_for_is_not_imported(
    words: list[str], sly: Trap, answers: Answers
) -> None:
    _, out, err = answers(*words)
    assert not sly.sprung
    assert ("sly" in out + err) == (words[:2] in (["list"], ["list", "--json"]) or "slx" in words)


def test_it_is_imported_when_its_name_is_asked_for(sly: Trap, answers: Answers) -> None:
    answers("plan", *SMALL, "--algorithms", "sly")
    assert sly.sprung


def test_a_list_of_algorithms_asks_for_all_of_them(sly: Trap, answers: Answers) -> None:
    # Summaries and capabilities stand in the code; SECURITY.md says so.
    answers("list", "algorithms")
    assert sly.sprung


@pytest.mark.parametrize("tables", [True, False])
@pytest.mark.parametrize(
    "words",
    [
        ["status"],
        ["leaderboard"],
        ["leaderboard", "--by", "family"],
        ["leaderboard", "--format", "csv"],
        ["report"],
    ],
    ids=" ".join,
)
def test_results_that_name_it_do_not_import_it(
    words: list[str], tables: bool, theirs: Path, sly: Trap, answers: Answers
) -> None:
    family.cache_clear()
    named(theirs, "sly")
    if not tables:
        for file in theirs.glob("*.parquet"):
            file.unlink()
    assert answers(words[0], theirs, *words[1:])[0] == 0
    assert not sly.sprung


def test_a_run_that_names_it_is_shown_and_merged_without_it(
    theirs: Path, mine: Path, tmp_path: Path, sly: Trap, answers: Answers
) -> None:
    named(theirs, "sly")
    run = next(iter((theirs / "cells").iterdir()))
    assert answers("show", run)[0] == 0
    assert answers("merge", theirs, mine, "--out", tmp_path / "merged")[0] == 0
    assert not sly.sprung


def test_the_family_of_a_plugin_is_as_its_plan_says(theirs: Path, sly: Trap, answers: Answers) -> None:
    named(theirs, "sly")
    changed(theirs / "plan.json", r'"family": "[^"]*"', '"family": "<b>foxes</b>"')
    _, out, _ = answers("leaderboard", theirs, "--by", "family", "--format", "csv")
    assert "<b>foxes</b>,sly," in out
    assert answers("report", theirs)[0] == 0
    page = (theirs / "report.html").read_text()
    assert "&lt;b&gt;foxes&lt;/b&gt;" in page
    assert "<b>foxes</b>" not in page
    assert not sly.sprung


def test_only_what_is_registered_can_be_named(tmp_path: Path, trap: Trap, answers: Answers) -> None:
    # A module's path is no name, wherever the module lies.
    (tmp_path / "stray.py").write_text(trap.python)
    for name in ("stray", "stray:Algorithm", str(tmp_path / "stray.py"), "os:system", "../stray"):
        code, _, err = answers("plan", *SMALL, "--algorithms", f'"{name}"')
        assert (code, "unknown algorithm" in err) == (2, True)
    assert not trap.sprung


def test_built_ins_and_strangers_come_by_the_same_way() -> None:
    points = importlib.metadata.entry_points(group="gradfree.algorithms")
    assert {"random", "mezo"} <= {point.name for point in points}

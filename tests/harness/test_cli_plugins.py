"""``gradfree check`` and ``gradfree new``: what they print, and how they end."""

from __future__ import annotations

import json
import sys

import pytest

from harness import cli
from harness.plugins.registry import ALGORITHMS
from harness.plugins.template import Template


class Nameless(Template):
    """Belongs nowhere, and asks for more than there is."""

    family = "other"
    expected_failures = {"budget": "it knows no end"}  # noqa: RUF012

    def ask(self, remaining):
        return super().ask(10)


@pytest.fixture
def gradfree(monkeypatch, capsys, tmp_path):
    """Runs the command in a folder of its own: exit code, output, errors."""
    monkeypatch.chdir(tmp_path)

    def command(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["gradfree", *words])
        with pytest.raises(SystemExit) as end:
            cli.main()
        printed = capsys.readouterr()
        return int(end.value.code or 0), printed.out, printed.err

    return command


def test_check_prints_a_line_for_each_check_and_ends_with_zero(gradfree):
    with ALGORITHMS.register("mine", Template):
        code, said, _ = gradfree("check", "mine[population=4]", "sphere[dimension=3]")
    assert code == 0
    lines = said.splitlines()
    assert lines[0] == "mine[population=4]:"
    assert "  passed            same-seed-same-run" in lines
    assert "  skipped           memory: it asks for Points, whose memory is n times d" in lines
    assert "sphere[dimension=3]:" in lines
    assert len(lines) == 2 + 23 + 13


def test_check_ends_with_one_where_a_check_fails(gradfree):
    with ALGORITHMS.register("nameless", Nameless):
        code, said, _ = gradfree("check", "nameless")
        json_code, as_json, _ = gradfree("check", "nameless", "--json")
    assert (code, json_code) == (1, 1)
    assert "  failed            description: its family is 'other', which is nobody's; say what it is" in said
    assert "  expected failure  budget: it knows no end\n" in said
    (report,) = json.loads(as_json)
    assert (report["name"], report["ok"]) == ("nameless", False)
    statuses = {check["name"]: check["status"] for check in report["checks"]}
    assert (statuses["description"], statuses["budget"]) == ("failed", "expected failure")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("spere", "unknown algorithm or task 'spere': did you mean 'sphere'?"),
        ("random[sigm=1]", "random: unknown option 'sigm': did you mean 'sigma'?"),
        ("sentiment/reference/promt", "unknown tuning 'promt': did you mean 'prompt'?"),
    ],
)
def test_check_ends_with_two_for_a_name_that_is_not_there(gradfree, name, said):
    code, out, errors = gradfree("check", name)
    assert (code, out) == (2, "")
    assert errors.startswith("gradfree: error: ")
    assert said in errors


def test_new_writes_a_package_and_says_what_comes_next(gradfree, tmp_path):
    (tmp_path / "projects").mkdir()
    code, said, _ = gradfree("new", "my-optimizer", "--into", "projects")
    assert code == 0
    assert (tmp_path / "projects" / "my-optimizer" / "my_optimizer.py").is_file()
    assert said == (
        "projects/my-optimizer is written; next: pip install -e projects/my-optimizer, "
        "then gradfree check my-optimizer\n"
    )


def test_new_ends_with_two_for_a_name_that_is_taken(gradfree):
    code, _, errors = gradfree("new", "random")
    assert code == 2
    assert "algorithm 'random' is already registered by gradfree==" in errors

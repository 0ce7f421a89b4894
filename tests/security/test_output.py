"""What results say is shown as it stands there: to a terminal, a page, a spreadsheet, a paper."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from harness.core import UserError
from tests.security.strangers import Edit, altered, filled

Answers = Callable[..., tuple[int, str, str]]

TERMINAL = "\x1b[2J\x1b]0;owned\x07\x1b]8;;https://stranger\x1b\\\x9b31mred\x08\x7f\u202eevil\u2066\r\nnext"
MARKUP = "[red]red[/red] [link=https://stranger]here[/link] [bold"
PAGE = "<script>window.hacked=1</script><img src=x onerror=hacked()>\"'><!-- ]]> {{7*7}} </title>"
FORMULAS = ("=cmd|' /C calc'!A0", "+1+1", "-1+1", "@SUM(A1)", "\t=1+1", "\r=1+1", '=HYPERLINK("x")')
HOSTILE = (TERMINAL, MARKUP, PAGE, *FORMULAS)

COLUMNS = ("task", "algorithm", "reason", "provider", "metric", "environment", "inside", "model")
"""Texts of the table of runs that some verb shows."""


def unsafe(text: str) -> set[str]:
    """Characters that a terminal does something with, beside line breaks; rich's own colours are off here."""
    return {each for each in text if each != "\n" and not each.isprintable()}


def hostile(theirs: Path, text: str) -> None:
    """The text in every column that is shown, and in what lies beside the tables: of a run that failed."""

    def change(data: Any) -> Any:
        ours = data.filter(pc.field("algorithm") != "random")
        data = data.filter(pc.field("algorithm") == "random")
        for column in COLUMNS:
            data = filled(data, column, text)
        ours, data = filled(ours, "task", text), filled(data, "status", "failed")
        return pa.concat_tables([data, ours])

    altered(theirs, "runs", change)
    altered(theirs, "metrics", lambda data: filled(data, "metric", text))
    (theirs / "environment.json").write_text(json.dumps({text: {text: text}}))
    (theirs / "sweep.yaml").write_text(text, newline="")


SHOWN = (
    ["status"],
    ["leaderboard"],
    ["leaderboard", "--by", "tuning"],
    ["leaderboard", "--by", "family"],
    ["leaderboard", "--format", "csv"],
    ["leaderboard", "--format", "json"],
    ["leaderboard", "--format", "markdown"],
    ["leaderboard", "--format", "latex"],
    ["leaderboard", "--json"],
    ["status", "--json"],
    ["leaderboard", "--metric", "nothing"],
)


@pytest.mark.parametrize("words", SHOWN, ids=" ".join)
def test_a_terminal_is_told_nothing_by_what_results_say(
    words: list[str], theirs: Path, answers: Answers
) -> None:
    hostile(theirs, TERMINAL)
    code, out, err = answers(words[0], theirs, *words[1:])
    assert code in (0, 2)
    assert "Traceback" not in err
    assert unsafe(out + err) == set()
    assert "owned" in out + err or words == ["leaderboard", "--by", "family"]


@pytest.mark.parametrize("words", SHOWN[:4], ids=" ".join)
def test_markup_of_the_terminal_s_library_stays_text(
    words: list[str], theirs: Path, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    hostile(theirs, MARKUP)
    code, out, _ = answers(words[0], theirs, *words[1:])
    assert code == 0
    assert "[red]red[/red]" in out
    assert "[link=https://stranger]here[/link]" in out


@pytest.mark.parametrize("as_json", [False, True])
def test_a_run_s_own_words_tell_a_terminal_nothing(
    as_json: bool, theirs: Path, edit: Edit, answers: Answers
) -> None:
    run = next(iter((theirs / "cells").iterdir()))
    edit(
        run / "status.json",
        lambda status: status["row"].update(
            reason=TERMINAL, provider=TERMINAL, settings=json.dumps({TERMINAL: 1})
        ),
    )
    (run / "traceback.txt").write_text(TERMINAL)
    _, out, err = answers("show", run, *["--json"] * as_json)
    assert "owned" in out
    assert unsafe(out + err) == set()


def test_an_answer_that_quotes_what_was_given_tells_a_terminal_nothing(
    answers: Answers, theirs: Path
) -> None:
    for words in (
        ["leaderboard", f"nowhere{TERMINAL}"],
        ["leaderboard", theirs, "--metric", TERMINAL],
        ["plan", "--tasks", TERMINAL, "--algorithms", "random"],
        ["plan", "--tasks", "sphere", "--algorithms", f'"{TERMINAL}"'],
        ["sweep", TERMINAL],
        ["check", TERMINAL],
        ["new", TERMINAL],
        [TERMINAL],
    ):
        code, out, err = answers(*words)
        assert code == 2
        assert unsafe(out + err) == set()


def test_progress_quotes_no_control_characters() -> None:
    from harness.running.progress import Lines

    said = io.StringIO()
    Lines(said).note(f"failed: {TERMINAL}")
    assert unsafe(said.getvalue()) == set()


class Tags(HTMLParser):
    """Tags and attributes of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.mark.parametrize("text", HOSTILE, ids=repr)
def test_a_page_has_no_tag_that_results_have_brought(text: str, theirs: Path, answers: Answers) -> None:
    answers("report", theirs)
    plain = [tag for tag, _ in Tags((theirs / "report.html").read_text()).found]
    hostile(theirs, text)
    assert answers("report", theirs, "--title", text)[0] == 0
    found = Tags((theirs / "report.html").read_text()).found
    tags = [tag for tag, _ in found]
    assert tags.count("script") == plain.count("script")
    assert "img" not in tags
    names = {name for _, attributes in found for name in attributes}
    assert not any(name.startswith("on") for name in names)
    links = [attributes.get("href") or "" for _, attributes in found if "href" in attributes]
    assert all(link.startswith(("#", "data:,")) for link in links)


def test_a_page_may_load_nothing_from_anywhere(theirs: Path, answers: Answers) -> None:
    # Should a name get through in spite of all, there is nowhere to send anything.
    answers("report", theirs)
    policies = [
        attributes["content"] or ""
        for tag, attributes in Tags((theirs / "report.html").read_text()).found
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert len(policies) == 1
    assert "default-src 'none'" in policies[0]
    assert "http" not in policies[0]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_spreadsheet_computes_nothing(text: str, theirs: Path, tmp_path: Path, answers: Answers) -> None:
    hostile(theirs, text)
    _, out, _ = answers("leaderboard", theirs, "--format", "csv", "--csv", tmp_path / "board.csv")
    written = (tmp_path / "board.csv").read_text()
    for content in (out, written):
        rows = list(csv.reader(io.StringIO(content)))
        assert len(rows) > 1
        texts = [cell for row in rows for cell in row if not is_number(cell)]
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in texts)
        assert any(cell == "'" + " ".join(text.split()) for cell in texts)


def is_number(text: str) -> bool:
    """Whether a cell is a number, which may have a sign."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def test_names_that_are_no_formulas_are_written_as_they_are(theirs: Path, answers: Answers) -> None:
    _, out, _ = answers("leaderboard", theirs, "--format", "csv")
    assert "sphere[dimension=2],random," in out


def test_a_message_of_two_lines_is_said_in_one(answers: Answers, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> Iterator[None]:
        raise UserError(f"first\nsecond {TERMINAL}")

    monkeypatch.setattr("harness.running.results.load_results", fail)
    code, out, err = answers("leaderboard", "x")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert unsafe(err) == set()

"""The verb that writes reports: one folder, several, and other formats."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import Sweep, UserError, sweep
from harness.cli.reports import report


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    words = Sweep.from_flags(tasks="sphere[dimension=2]", algorithms="random", budget=20, repetitions=1)
    return sweep(words, out=tmp_path_factory.mktemp("report") / "out").path


def written(capsys):
    return Path(capsys.readouterr().out.split(" is written")[0])


def test_one_folder_has_its_report_beside_its_tables(out, capsys):
    report([out])
    assert written(capsys) == out / "report.html"
    assert "<h2>Leaderboard</h2>" in (out / "report.html").read_text()


def test_two_folders_have_a_page_of_both(out, tmp_path, capsys):
    report([out, out], to=tmp_path / "both.html", title="Twice")
    assert written(capsys) == tmp_path / "both.html"
    assert "<h1>Twice</h1>" in (tmp_path / "both.html").read_text()


def test_markdown_and_figures_are_named_by_to(out, tmp_path, capsys):
    report([out], form="markdown", to=tmp_path / "mine.md")
    assert written(capsys).read_text().startswith("# out\n")
    report([out], form="svg", to=tmp_path / "figures")
    assert (written(capsys) / "captions.txt").is_file()


def test_what_cannot_be_written_is_the_users_to_mend(out):
    with pytest.raises(UserError, match="'bmp' is none of html, markdown, png, svg, pdf"):
        report([out], form="bmp")
    with pytest.raises(UserError, match="leave out --format"):
        report([out, out], form="pdf")
    with pytest.raises(UserError, match="there is no such folder"):
        report([out, out / "nowhere"])

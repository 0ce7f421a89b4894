"""The report to paste: all parts, one line a row, and names that Markdown shows as they are."""

from __future__ import annotations

import json
import re

import pytest

from harness import UserError
from harness.report.example import example
from harness.report.markdown import markdown_report
from harness.report.writing import write_report
from harness.running.schema import make_table


def test_every_part_is_there_in_order():
    text = markdown_report(example().results, "mine")
    heads = re.findall(r"^#{1,2} (.*)$", text, re.MULTILINE)
    assert heads == [
        "mine",
        "Over all tasks",
        "Leaderboard by task",
        "Cells without a clean result",
        "Methods and definitions",
        "Environment",
    ]
    assert "mezo has the best average rank: 1.00 of 2" in text
    assert "| mezo | 1.00 | best | 0.500 [" in text


def test_every_row_of_a_table_has_as_many_cells_as_its_head(hostile):
    for text in (markdown_report(example().results), markdown_report(hostile)):
        tables = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
        assert len(tables) >= 3
        for table in tables:
            assert len({len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}) == 1


def test_hostile_names_are_no_markup(hostile):
    text = markdown_report(hostile, "<script>")
    assert "<script" not in text
    assert "<img" not in text
    assert "\u202e" not in text
    assert text.splitlines()[0] == "# &lt;script&gt;"


def test_reasons_and_machines_are_listed(results, tmp_path):
    made = results(("t", "a", 0, "skipped", None, {"reason": "too | large"}), ("t", "b", 0, "failed", None))
    made.tables["curve"] = make_table("curve", [])
    (tmp_path / "environment.json").write_text(json.dumps({"k1": {"torch": "2.6"}}))
    text = markdown_report(made)
    assert "| skipped | t | a | 0 | too \\| large |" in text
    assert "### k1\n\n| what | value |\n| --- | --- |\n| torch | 2.6 |" in text


def test_nothing_planned_has_a_text(results):
    made = results()
    made.tables["curve"] = make_table("curve", [])
    assert "Nothing was planned." in markdown_report(made)


def test_it_is_written_beside_the_tables(results, tmp_path):
    made = results(("t", "a", 0, "finished", 0.5))
    made.tables["curve"] = make_table("curve", [])
    assert write_report(made, form="markdown") == tmp_path / "report.md"


def test_another_format_is_the_users_to_mend():
    with pytest.raises(UserError, match="'bmp' is none of html, markdown, png, svg, pdf"):
        write_report(example().results, form="bmp")

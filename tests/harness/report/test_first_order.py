"""The first-order row: in every table of tasks that have gradients, and marked as missing where none ran."""

from __future__ import annotations

import csv
import io
import json
import math

import pytest
from rich.console import Console

from harness.report.boards import board
from harness.report.first_order import has_gradients, missing_first_order
from harness.report.formats import lines, rendered
from harness.report.html import html_report
from harness.report.markdown import markdown_report
from harness.report.sections import promises_by_task, promises_table
from harness.report.study import Study
from harness.report.tables import as_csv, leaderboard, overall
from harness.report.terminal import show_board, show_leaderboard
from harness.running.schema import make_table
from tests.harness.report.test_html import Page

PROMPT, LORA = "sentiment/reference/prompt", "topic/reference/lora"
RANDOM = {"dimension": 10, "tuning": "prompt"}
REFERENCE = {**RANDOM, "reference": True}
REMEDY = "not run: list adam among the sweep's algorithms to have it"


def cells(*named, repetitions=2):
    return [
        (task, name, r, "finished", 0.5 + 0.1 * (name == "adam") + 0.01 * r, more)
        for task, name, more in named
        for r in range(repetitions)
    ]


@pytest.fixture
def without(results):
    """Two text tasks, nothing first-order."""
    made = results(
        *cells(
            (PROMPT, "random", RANDOM),
            (PROMPT, "zero-shot", {**REFERENCE, "evaluations": 0}),
            (LORA, "random", RANDOM | {"tuning": "lora"}),
            (LORA, "zero-shot", {**REFERENCE, "tuning": "lora", "evaluations": 0}),
        )
    )
    made.tables["curve"] = make_table("curve", [])
    return made


@pytest.fixture
def on_one(results):
    """Two text tasks, adam on the first alone."""
    made = results(
        *cells(
            (PROMPT, "random", RANDOM),
            (PROMPT, "adam", REFERENCE),
            (LORA, "random", RANDOM | {"tuning": "lora"}),
        )
    )
    made.tables["curve"] = make_table("curve", [])
    return made


def test_a_task_says_by_its_objective_whether_it_has_gradients():
    assert has_gradients(PROMPT)
    assert has_gradients("sentiment/reference/prompt[objective=entropy]")
    assert not has_gradients("sentiment/reference/prompt[objective=accuracy]")
    assert not has_gradients("countdown/reference/full[objective=reward]")
    assert has_gradients("rosenbrock[dimension=4]")
    assert not has_gradients("of/no/plugin[objective=here]")


def test_the_row_is_there_without_a_number_and_says_how_to_have_it(without):
    made = leaderboard(without)
    rows = made[made["algorithm"] == "first-order"].to_dict("records")
    assert [row["task"] for row in rows] == [PROMPT, LORA]
    for row in rows:
        assert row["reference"]
        assert (row["n"], row["planned"], row["reason"]) == (0, 0, REMEDY)
        assert math.isnan(row["test_mean"])
        assert math.isnan(row["rank"])
    assert "first-order" not in overall(made).ranks["algorithm"].tolist()


def test_tasks_on_which_it_ran_show_it_and_the_others_show_it_missing(on_one):
    made = leaderboard(on_one)
    assert made.loc[made["task"] == PROMPT, "algorithm"].tolist() == ["random", "adam"]
    assert made.loc[made["task"] == LORA, "algorithm"].tolist() == ["random", "first-order"]


def test_one_that_was_planned_and_skipped_is_its_own_row(results):
    made = leaderboard(
        results((PROMPT, "random", 0, "finished", 0.5), (PROMPT, "adam", 0, "skipped", None, REFERENCE))
    )
    assert made["algorithm"].tolist() == ["random", "adam"]


def test_what_has_no_gradient_shows_none(results):
    task = "sentiment/reference/prompt[objective=accuracy]"
    made = leaderboard(results((task, "random", 0, "finished", 0.5), ("a task", "random", 0, "failed", None)))
    assert made["algorithm"].tolist() == ["random", "random"]


def test_where_adam_does_not_fit_the_row_says_so_instead_of_recommending_it(results):
    large = {"dimension": 355_412_057}
    study = Study(results(("sst2/roberta-large/full", "random", 0, "finished", 0.5, large)))
    # The limit of the first-order references, a hundred million coordinates.
    assert missing_first_order(study.runs) == {
        "sst2/roberta-large/full": "not run: adam does not fit, 355,412,057 coordinates are more than its "
        "limit of 100,000,000"
    }


@pytest.mark.parametrize("by", ["task", "tuning", "family"])
@pytest.mark.parametrize("columns", ["results", "promises"])
def test_every_grouping_has_the_row(without, by, columns):
    made = board(without, by, columns)
    rows = made.rows[made.rows["algorithm"] == "first-order"]
    expected = {"task": [PROMPT, LORA], "tuning": ["prompt", "lora"], "family": ["references"]}
    assert rows["group"].tolist() == expected[by]
    assert set(rows["reason"]) == {REMEDY}
    assert set(rows["tie"]) == {"not run"}
    assert rows[list(made.measures)].isna().all(axis=None)
    assert lines(made, rows["group"].iloc[0])[-1][:2] == ["ref", "first-order (not run)"]


def test_running_times_and_numbers_of_examples_have_the_row_too(results):
    few, many = f"{PROMPT[:-6]}prompt[per_class=4]", f"{PROMPT[:-6]}prompt[per_class=16]"
    made = results(*cells((few, "random", RANDOM), (many, "random", RANDOM)))
    made.tables["curve"] = make_table("curve", [])
    for columns in ("ert", "data"):
        assert "first-order" in board(made, columns=columns).rows["algorithm"].tolist()


def test_aggregates_over_tasks_of_which_one_lacks_it_say_which(on_one):
    made = board(on_one, "family")
    assert "first-order" not in made.rows["algorithm"].tolist()
    assert f"first-order reference on {LORA} {REMEDY}" in made.notes["references"]


def test_every_format_has_the_row_and_the_line(without):
    for by in ("task", "tuning", "family"):
        made = board(without, by)
        for row in csv.DictReader(io.StringIO(rendered(made, "csv"))):
            if row["algorithm"] == "first-order":
                assert row["reason"] == REMEDY
                assert {row[name] for name in made.measures} == {""}
        found = json.loads(rendered(made, "json"))["rows"]
        missing = [row for row in found if row["algorithm"] == "first-order"]
        assert missing
        assert all(row[name] is None for row in missing for name in made.measures)
        assert all(row["reason"] == REMEDY for row in missing)
        for form in ("markdown", "latex"):
            text = rendered(made, form)
            assert "first-order (not run)" in text
            assert f"first-order {REMEDY}" in text
    text = as_csv(leaderboard(without))
    assert f"{PROMPT},first-order,True,,accuracy,,,,0,0,,,,,,,,0,0,0,0,{REMEDY}" in text


def printed(act):
    stream = io.StringIO()
    act(Console(file=stream, width=100))
    return " ".join(stream.getvalue().split())


def test_the_terminal_has_the_row_and_says_the_line_once_a_task(without):
    table = leaderboard(without)
    for detail in (None, board(without)):
        text = printed(lambda to, detail=detail: show_leaderboard(table, overall(table), to, detail))
        assert text.count("ref first-order (not") == 2
        assert text.count(f"first-order {REMEDY}") == 2
        assert "unknown version: random, zero-shot" in text or detail is None
    text = printed(lambda to: show_board(board(without, "tuning"), to))
    assert text.count("first-order (not run)") == text.count(f"first-order {REMEDY}") == 2


def test_the_page_has_the_row_in_its_tables_and_the_line(without):
    study = Study(without)
    assert study.standing["entry"].tolist()[-1] == "first-order"
    assert promises_table(study).rows[-1]["entry"] == "first-order"
    assert [table.rows[-1]["entry"] for table in promises_by_task(study).values()] == ["first-order"] * 2
    text = " ".join(Page(html_report(without)).text.split())
    # Over all, by task and its two pages; promises over all and by task.
    assert text.count("first-order not run") == 1 + 2 + 2 + 1 + 2
    assert text.count(f"First-order reference {REMEDY}.") >= 3


def test_a_page_of_tasks_that_all_have_it_says_nothing_of_it(on_one):
    text = Page(html_report(on_one)).text
    assert f"First-order reference on {LORA} {REMEDY}." in " ".join(text.split())
    made = on_one.runs[on_one.runs["task"] == PROMPT]
    on_one.tables["runs"] = on_one.tables["runs"].slice(0, len(made))
    del on_one.__dict__["runs"]
    assert "not run" not in Page(html_report(on_one)).text


def test_the_text_to_paste_has_the_row_in_both_tables(without):
    text = markdown_report(without)
    assert "| first-order | – | not run |" in text
    assert text.count("first-order (not run)") == 2
    assert f"First-order reference {REMEDY}." in text

"""Leaderboards in groups: intervals and n of every number, ties, what ran, and the formats."""

from __future__ import annotations

import csv
import io
import json
import math
import re

import pytest
from rich.console import Console

from harness.core.errors import UserError
from harness.report.boards import board
from harness.report.example import example
from harness.report.formats import escape_markdown, lines, rendered
from harness.report.latex import escape_latex, latex_table
from harness.report.metrics import measured_by
from harness.report.tables import leaderboard, overall
from harness.report.terminal import show_board, show_leaderboard
from harness.running.schema import make_table


def row(made, algorithm, group=None):
    rows = made.rows[made.rows["algorithm"] == algorithm]
    return (rows if group is None else rows[rows["group"] == group]).iloc[0].to_dict()


def test_each_measure_has_its_interval_and_its_own_n(results):
    made = board(
        results(
            ("t", "a", 0, "finished", 0.7, {"dev_metric": None}),
            ("t", "a", 1, "finished", 0.8),
            ("t", "a", 2, "finished", 0.9),
        )
    )
    found = row(made, "a")
    # 0.8 +- 4.302653 * 0.1 / sqrt(3), and of two dev metrics 0.85 +- 12.706205 * 0.05
    assert [found["test"], found["test_low"], found["test_n"]] == pytest.approx(
        [0.8, 0.8 - 0.248414, 3], abs=1e-5
    )
    assert [found["dev"], found["dev_high"], found["dev_n"]] == pytest.approx(
        [0.85, 0.85 + 0.635310, 2], abs=1e-5
    )
    assert lines(made, "t")[0][3] == "0.850 [0.215, 1.485] (n=2)"


def test_ties_are_what_a_paired_test_cannot_tell_from_the_best(results):
    step = [0.001 * r for r in range(8)]
    made = board(
        results(
            *[("t", "best", r, "finished", 0.9 + step[r]) for r in range(8)],
            *[("t", "close", r, "finished", 0.9 + (0.002, -0.0021)[r % 2] * (r + 1)) for r in range(8)],
            *[("t", "worse", r, "finished", 0.5 - step[r]) for r in range(8)],
            *[("t", "gap", r, "finished" if r else "failed", 0.9 if r else None) for r in range(8)],
            *[("t", "zero", r, "finished", 0.99, {"reference": True}) for r in range(8)],
        )
    )
    ties = dict(zip(made.rows["algorithm"], made.rows["tie"], strict=True))
    # Eight blocks on one side: p = 2 / 2^8, times the three pairs at most.
    assert ties == {
        "best": "best",
        "close": "tied",
        "worse": "worse",
        "gap": "not ranked",
        "zero": "reference",
    }


def test_under_six_repetitions_a_tie_is_not_claimed(results):
    made = board(results(*[("t", name, r, "finished", 0.5) for name in "ab" for r in range(3)]))
    assert set(made.rows["tie"]) == {"best"}  # equal means share the place
    made = board(results(("t", "a", 0, "finished", 0.5), ("t", "b", 0, "finished", 0.4)))
    assert made.rows["tie"].tolist() == ["best", "not enough data"]


def test_options_and_versions_stand_in_the_row_of_what_ran_with_them(results):
    tuned = {"kind": "tuned", "options": json.dumps({"sigma": 0.1}), "provider": "gradfree==1, cma==4"}
    made = board(
        results(("t", "a", 0, "finished", 0.5), ("t", "a", 0, "finished", 0.6, {"id": "2", **tuned}))
    )
    found = row(made, "a (tuned)")
    assert (found["kind"], found["options"], found["provider"]) == (
        "tuned",
        "sigma=0.1",
        "gradfree==1, cma==4",
    )
    assert row(made, "a")["kind"] == "default"


def test_default_and_tuned_options_stand_side_by_side_with_what_the_trials_spent(results):
    """Paired by repetition: of three default runs two were tuned too, with changes of .1 and .3."""
    tuned = {"kind": "tuned", "effort": 320, "options": json.dumps({"lr": 2})}
    made = board(
        results(
            *[("t", "a", r, "finished", value) for r, value in enumerate((0.4, 0.5, 0.9))],
            *[("t", "a", r, "finished", v, {"id": f"tuned-{r}", **tuned}) for r, v in enumerate((0.5, 0.8))],
            *[("t", "b", r, "finished", 0.6) for r in range(3)],
            *[("t", "b", r, "finished", 0.6, {"id": f"b-{r}", "kind": "tuned"}) for r in range(3)],
            ("t", "zero-shot", 0, "finished", 0.3, {"reference": True}),
            ("t", "a", 1_000_000, "finished", None, {"id": "trial", "kind": "trial"}),
        ),
        columns="tuning",
    )
    assert made.rows["algorithm"].tolist() == ["a", "b", "zero-shot"]
    found = row(made, "a")
    assert [found[name] for name in ("default", "tuned", "change")] == pytest.approx([0.6, 0.65, 0.2])
    assert [found[f"{name}_n"] for name in ("default", "tuned", "change")] == [3, 2, 2]
    assert found["change_high"] == pytest.approx(0.2 + 12.706205 * 0.1)
    assert (found["rank"], found["effort"], found["kind"]) == (1, 320, "tuned")
    assert lines(made, "t")[0][-2] == "lr=2 (trials: 320 evaluations)"
    assert row(made, "b")["change"] == 0
    assert math.isnan(row(made, "zero-shot")["tuned"])
    with pytest.raises(UserError, match="no options were tuned; sweep with --trials"):
        board(results(("t", "a", 0, "finished", 0.5)), columns="tuning")


def test_by_tuning_aggregates_stay_within_it(results):
    def cells(task, tuning, values):
        return [
            (task, name, r, "finished", value + 0.01 * r, {"tuning": tuning})
            for name, value in values.items()
            for r in range(3)
        ]

    made = board(
        results(
            *cells("s", "lora", {"a": 0.9, "b": 0.5}),
            *cells("t", "prompt", {"a": 0.5, "b": 0.9}),
            *cells("f", None, {"a": 0.5, "b": 0.4}),
        ),
        "tuning",
    )
    assert row(made, "a", "lora")["rank"] == 1.0
    assert row(made, "a", "prompt")["rank"] == 2.0
    assert row(made, "a", "prompt")["level"] == pytest.approx(0.51)  # interquartile mean of .50 .51 .52
    assert "no model" in made.notes
    assert made.notes["lora"].startswith("1 task, ranks over 3 blocks")


def test_by_family_each_algorithm_stands_under_its_own(results):
    made = board(
        results(*[("t", name, r, "finished", 0.5) for name in ("openai-es", "nobody") for r in range(2)]),
        "family",
    )
    assert row(made, "openai-es")["group"] == "evolution strategies"
    assert row(made, "nobody")["group"] == "unknown"


def test_an_aggregate_over_a_ragged_set_of_tasks_is_missing(results):
    made = board(
        results(
            ("s", "a", 0, "finished", 0.9), ("s", "b", 0, "finished", 0.8),
            ("t", "a", 0, "finished", 0.9), ("t", "b", 0, "failed", None),
        ),
        "family",
    )  # fmt: skip
    assert math.isnan(row(made, "b")["level"])
    assert "left out" in made.notes["unknown"]


def test_another_metric_ranks_by_its_own_direction(results):
    made = results(
        ("t", "a", 0, "finished", 0.9, {"reported_at": 10}),
        ("t", "b", 0, "finished", 0.8, {"reported_at": 10}),
        ("u", "a", 0, "finished", 0.8),
    )
    scores = [
        {"id": f"t-{name}-0", "evaluations": at, "split": "test", "metric": "loss", "value": value}
        for name, at, value in (("a", 10, 0.7), ("b", 10, 0.3), ("b", 5, 9.0))
    ]
    made.tables["metrics"] = make_table("metrics", scores)
    found = board(measured_by(made, "loss"))
    assert found.rows[["group", "algorithm", "test"]].values.tolist() == [["t", "b", 0.3], ["t", "a", 0.7]]
    with pytest.raises(UserError, match="there are accuracy, loss"):
        measured_by(made, "f1")


def test_markdown_rows_have_as_many_cells_whatever_the_names(hostile):
    text = rendered(board(hostile), "markdown")
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert "<" not in text
    assert {line.replace("\\|", "").count("|") for line in tables} == {10}


def test_latex_specials_are_escaped_whatever_the_names(hostile):
    text = rendered(board(hostile), "latex")
    assert escape_latex("a_b & 50 % {x} \\y [1]") == (r"a\_b \& 50 \% \{x\} \textbackslash{}y {[}1{]}")
    for form, rows in tabulars(text):
        assert {row.replace(r"\&", "").count("&") for row in rows} == {len(form) - 1}
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}")


def tabulars(text):
    """The columns of each table, a letter for each, and its rows."""
    for body in re.findall(r"\\begin\{tabular\}(.*?)\\end\{tabular\}", text, re.DOTALL):
        form, *rows = body.split("\n")
        yield re.sub(r"p\{[\d.]+\\linewidth\}", "p", form)[1:-1], [row for row in rows if row.endswith(r"\\")]


@pytest.mark.parametrize(
    ("by", "columns"), [("task", "results"), ("task", "promises"), ("tuning", "promises")]
)
def test_a_wide_latex_table_goes_on_in_parts_that_repeat_the_names(by, columns):
    made = board(example().results, by, columns)
    text = rendered(made, "latex")
    parts = list(tabulars(text))
    group = made.rows["group"].iloc[0]
    own = parts[: len(parts) // made.rows["group"].nunique()]
    names = made.rows.loc[made.rows["group"] == group, "algorithm"].tolist()
    for form, rows in own:
        assert len(form) <= 8
        assert form.startswith("rl")
        assert all(row.count("&") == len(form) - 1 for row in rows)
        assert [row.split(" & ")[1] for row in rows[1:]] == names
        # As many letters as a page of one column has in footnotesize, with two for each gap.
        plain = [re.sub(r"\$\\times\$", "x", row).replace("{[}", "[").replace("{]}", "]") for row in rows]
        widths = [
            max(map(len, column)) for column in zip(*(row[:-3].split(" & ") for row in plain), strict=True)
        ]
        assert sum(widths) + 2 * len(form) <= 80
    heads = [head for _, rows in own for head in rows[0].removesuffix(r" \\").split(" & ")[2:]]
    measures = [made.headings[name].replace("{metric}", "accuracy") for name in made.measures]
    assert heads == [*map(escape_latex, measures), "n", "options", "versions"]
    assert text.count("continued") >= 1
    # Nothing but booktabs and what LaTeX has by itself.
    commands = set(re.findall(r"\\([a-zA-Z]+)", text))
    assert commands <= {
        *("begin", "end", "caption", "footnotesize", "setlength", "tabcolsep", "toprule", "midrule"),
        *("bottomrule", "times", "textless", "textgreater", "linewidth", "allowbreak", "usepackage"),
    }


def test_long_options_are_broken_in_latex_and_lose_nothing():
    options = "sigma=0.02, population=32, step=adam, units=raw, rank=1"
    long = "openai-es[lr=0.1,population=32,sigma=0.02]"
    text = latex_table(
        ["rank", "algorithm", "a", "options", "versions"], [["1", long, "0.5", options, "v"]], "c"
    )
    assert re.search(r"\{rp\{0\.4\d\\linewidth\}", text)
    ((form, rows),) = tabulars(text)
    assert form == "rprpl"
    assert escape_latex(options) in rows[1].replace(r"\allowbreak ", "")
    assert escape_latex(long) in rows[1].replace(r"\allowbreak ", "")
    assert r"sigma=\allowbreak 0.02, population" in rows[1]


def test_a_narrow_latex_table_is_one():
    text = latex_table(
        ["rank", "algorithm", "a", "n", "options", "versions"], [["1", "x", "0.5", "3", "", ""]], "c"
    )
    assert text.count(r"\begin{table}") == 1


def test_a_name_cannot_make_a_link_in_markdown():
    assert escape_markdown("[x](javascript:1)") == "[x]\\(javascript:1)"


def test_csv_and_json_hold_the_same_rows_unshortened(results):
    made = board(results(*[("t", "a", r, "finished", r / 3) for r in range(3)]))
    (from_csv,) = csv.DictReader(io.StringIO(rendered(made, "csv")))
    (from_json,) = json.loads(rendered(made, "json"))["rows"]
    assert float(from_csv["test_low"]) == pytest.approx(from_json["test_low"], rel=1e-14)
    assert set(from_csv) == set(from_json)
    assert from_json["test"] == pytest.approx(1 / 3)


def test_words_that_are_none_are_refused(results):
    with pytest.raises(UserError, match="none of task, tuning, family"):
        board(results(), "colour")
    with pytest.raises(UserError, match="none of table, csv"):
        rendered(board(results()), "xml")


@pytest.mark.parametrize("by", ["task", "tuning", "family"])
def test_nothing_planned_is_an_empty_board(results, by):
    made = board(results(), by)
    assert len(made.rows) == 0
    for form in ("csv", "json", "markdown", "latex"):
        assert rendered(made, form)


def test_a_terminal_shows_ties_and_versions_below_the_table(results):
    made = results(
        *[
            ("t", name, r, "finished", 0.5 + (name == "a"), {"provider": "gradfree==1"})
            for name in "ab"
            for r in range(2)
        ]
    )
    stream = io.StringIO()
    table = leaderboard(made)
    show_leaderboard(table, overall(table), Console(file=stream, width=100), board(made))
    ranks = [
        line.split()[:2] for line in stream.getvalue().splitlines() if line.split()[1:2] in (["a"], ["b"])
    ]
    assert ranks == [["1*", "a"], ["2?", "b"]]
    assert "? too few blocks for a test" in stream.getvalue()
    assert "gradfree==1: a, b" in stream.getvalue()
    stream = io.StringIO()
    show_board(board(made, "family"), Console(file=stream, width=100))
    assert "1.500 [1.500, 1.500]" in stream.getvalue()

"""The finding in words: what it may say, and what it must not."""

from __future__ import annotations

import pytest

from harness.report.finding import finding
from harness.report.study import Study


def grid(tasks, repetitions, **values):
    """Finished cells: of each algorithm a base value, to which task and repetition add the same for all."""
    return [
        (task, name, repetition, "finished", value + 0.001 * repetition + 0.0001 * place)
        for place, task in enumerate(tasks)
        for name, value in values.items()
        for repetition in range(repetitions)
    ]


def said(results, rows):
    return " ".join(finding(Study(results(*rows))))


def test_with_few_blocks_it_names_the_best_and_says_that_nothing_follows(results):
    text = said(results, grid(["s"], 3, a=0.9, b=0.1))
    assert "a has the best average rank: 1.00 of 2 over 3 blocks" in text
    assert "not enough data: 3 blocks, 6 are needed" in text
    assert "better than" not in text


def test_with_enough_blocks_it_says_whom_the_best_beats_and_whom_it_does_not(results):
    rows = grid(["s", "t"], 6, a=0.9, b=0.1)
    tied = [
        (task, "c", r, status, v + (0.001 if r % 2 else -0.002)) for task, n, r, status, v in rows if n == "a"
    ]
    text = said(results, rows + tied)
    assert "It is better than b (paired signed-rank tests, Holm-corrected, p < 0.05)." in text
    assert "It cannot be told apart from c." in text


def test_a_lead_by_chance_is_no_finding(results):
    rows = [
        ("s", name, r, "finished", 0.5 + sign * (0.01 if r % 2 else -0.009))
        for r in range(8)
        for name, sign in (("a", 1), ("b", -1))
    ]
    assert "No test tells it apart from any other" in said(results, rows)


def test_what_was_left_out_of_the_comparison_is_named(results):
    rows = grid(["s", "t", "u"], 2, a=0.9, b=0.5)
    rows += [("s", "c", r, "finished", 0.99) for r in range(2)]
    rows += [(task, "c", r, "skipped", None) for task in "tu" for r in range(2)]
    text = said(results, rows)
    assert "a has the best average rank" in text
    assert "c left out (no score on 2 of 3 tasks)" in text


def test_where_gain_is_undefined_it_says_so_and_why(results):
    assert "undefined on every task: no zero-shot result" in said(results, grid(["s"], 2, a=0.9, b=0.5))


@pytest.mark.parametrize(("adam", "expected"), [(0.9, "50 %"), (0.51, "under 0.02")])
def test_gain_is_told_where_first_order_gains_enough(results, adam, expected):
    rows = grid(["s"], 1, a=0.7)
    rows.append(("s", "zero-shot", 0, "finished", 0.5, {"reference": True, "evaluations": 0}))
    rows.append(("s", "adam", 0, "finished", adam, {"reference": True}))
    assert expected in said(results, rows)


def test_a_sweep_without_any_result_says_that(results):
    assert "No cell has a result yet." in said(results, [("s", "a", 0, "pending", None)])


def test_a_smoke_run_is_no_finding(results):
    rows = [(*row, {"smoke": True}) for row in grid(["s"], 1, a=0.7)]
    assert "its figures mean nothing" in said(results, rows)

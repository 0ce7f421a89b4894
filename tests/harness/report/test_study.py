"""What a report computes: roles, first-order references, aggregates that are refused, traces."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.report.entries import entries
from harness.report.example import example
from harness.report.study import Study
from harness.report.traces import traces
from harness.running.schema import make_table

REFERENCE = {"reference": True}
IDLE = {"reference": True, "evaluations": 0}


def test_trials_of_options_are_no_entries_and_tuned_cells_are_their_own(results):
    found = entries(
        results(
            ("t", "a", 0, "finished", 0.5),
            ("t", "a", 1, "finished", None, {"kind": "trial"}),
            ("t", "a", 2, "finished", 0.7, {"kind": "tuned"}),
        ).runs
    )
    assert found["entry"].tolist() == ["a", "a (tuned)"]


def test_references_are_first_order_where_their_class_needs_gradients(results):
    rows = (
        ("t", "adam", 0, "finished", 0.5, IDLE),
        ("t", "chain[first=sgd,then=mezo]", 0, "finished", 0.5, REFERENCE),
        ("t", "chain[first=checkpoint[path=a],then=mezo]", 0, "finished", 0.5, REFERENCE),
        ("t", "zero-shot", 0, "finished", 0.5, IDLE),
        ("t", "a", 0, "finished", 0.5),
    )
    expected = ["first-order", "first-order", "reference", "untuned", "contestant"]
    assert Study(results(*rows)).runs["role"].tolist() == expected


def test_a_reference_that_is_not_installed_is_first_order_where_it_spent_evaluations(results):
    study = Study(
        results(
            ("t", "their-adam", 0, "finished", 0.5, REFERENCE),
            ("t", "their-majority", 0, "finished", 0.5, IDLE),
        )
    )
    assert study.runs["role"].tolist() == ["first-order", "reference"]


def test_a_better_reference_without_gradients_is_not_the_one_of_gain(results):
    study = Study(
        results(
            ("t", "adam", 0, "finished", 0.9, REFERENCE),
            ("t", "linear-probe", 0, "finished", 0.99, REFERENCE),
            ("t", "chain[first=checkpoint[path=a],then=mezo]", 0, "finished", 0.99, REFERENCE),
            ("t", "zero-shot", 0, "finished", 0.5, IDLE),
        )
    )
    assert study.first_order == {"t": ("adam", 0.9)}


def test_one_name_under_two_budgets_is_two_entries(results):
    found = entries(
        results(
            ("t", "a", 0, "finished", 0.5, {"id": "1"}),
            ("t", "a", 0, "finished", 0.6, {"id": "2", "budget": 99}),
        ).runs
    )
    assert found["entry"].tolist() == ["a @10", "a @99"]


def test_the_first_order_reference_is_chosen_on_dev_and_not_on_test(results):
    study = Study(
        results(
            ("t", "adam", 0, "finished", 0.8, {**REFERENCE, "dev_metric": 0.9}),
            ("t", "sgd", 0, "finished", 0.9, {**REFERENCE, "dev_metric": 0.8}),
            ("t", "zero-shot", 0, "finished", 0.5, IDLE),
            ("t", "a", 0, "finished", 0.65),
        )
    )
    assert study.first_order == {"t": ("adam", 0.8)}
    assert study.gain("a").value == pytest.approx(0.5)


def test_gain_of_a_metric_that_falls_counts_its_fall(results):
    lower = {"metric_direction": "min"}
    study = Study(
        results(
            ("t", "adam", 0, "finished", 1.0, {**REFERENCE, **lower}),
            ("t", "zero-shot", 0, "finished", 3.0, {**IDLE, **lower}),
            ("t", "a", 0, "finished", 2.0, lower),
        )
    )
    assert study.gain("a").value == pytest.approx(0.5)


def test_no_aggregate_for_an_entry_with_a_gap(results):
    study = Study(
        results(
            ("s", "a", 0, "finished", 0.9),
            ("t", "a", 0, "finished", 0.9),
            ("s", "b", 0, "finished", 0.9),
            ("t", "b", 0, "failed", None),
        )
    )
    assert study.level("a").value == pytest.approx(0.9)
    assert math.isnan(study.level("b").value)
    assert study.tie("b") == "not on every task"


def test_no_mean_over_different_metrics(results):
    study = Study(results(("s", "a", 0, "finished", 0.9), ("t", "a", 0, "finished", 0.9, {"metric": "f1"})))
    assert study.common_metric is None
    assert math.isnan(study.level("a").value)


def test_the_anytime_value_begins_at_zero_shot(results):
    # Of example(): dev .5 + .01 r until 50 of 100, then the first value until 100, where the last one comes
    assert example().anytime("mezo") == pytest.approx(0.5 * 0.51 + 0.5 * 0.56)


def curve(*rows):
    return make_table(
        "curve",
        [{"id": i, "evaluations": e, "tokens": 2 * e, "dev_metric": d} for i, e, d in rows],
    )


def test_a_trace_keeps_the_steps_and_the_end(results):
    nan = math.nan
    found = traces(
        curve(("a", 1, nan), ("a", 2, 0.5), ("a", 3, 0.5), ("a", 4, 0.6), ("a", 5, 0.6), ("b", 1, 0.6))
    )
    assert found["a"].evaluations.tolist() == [2, 4, 5]
    assert found["a"].tokens.tolist() == [4, 8, 10]
    assert found["b"].dev.tolist() == [0.6]


def test_a_cell_without_a_dev_metric_has_no_trace():
    assert traces(curve(("a", 1, math.nan))) == {}
    assert traces(make_table("curve", [])) == {}


def test_cells_whose_rows_are_mixed_are_taken_apart():
    found = traces(curve(("a", 1, 0.1), ("b", 1, 0.2), ("a", 2, 0.3), ("b", 2, 0.2)))
    assert found["a"].dev.tolist() == [0.1, 0.3]
    assert found["b"].evaluations.tolist() == [1, 2]


@given(st.lists(st.sampled_from([math.nan, 0.1, 0.2]), min_size=1, max_size=12))
def test_a_trace_says_at_every_time_what_the_curve_says(values):
    found = traces(curve(*[("a", place + 1, value) for place, value in enumerate(values)])).get("a")
    for place, value in enumerate(values):
        if not math.isnan(value):
            at = np.searchsorted(found.evaluations, place + 1, side="right") - 1
            assert found.dev[at] == value

"""Boards at a smaller budget: what each run would have reported there, and what is not known."""

from __future__ import annotations

import math

import pytest

from harness.core.errors import UserError
from harness.report.boards import board
from harness.report.formats import rendered
from harness.report.stopping import Limit, stopped_at
from harness.running.schema import make_table

LOSSES = [0.9, 0.8, 0.1, 0.2]


def run(results, dev, status="finished", direction="max", **more):
    """One run that was scored on dev after 10, 20, ... evaluations of 5 tokens and 0.3 seconds each."""
    made = results(
        ("t", "a", 0, status, 0.99, {"train_metric": 0.99, "metric_direction": direction, **more}),
        ("t", "zero-shot", 0, "finished", 0.4, {"reference": True, "evaluations": 0, "tokens": 0}),
    )
    points = list(enumerate(dev, 1))
    curve = [
        {
            "id": "t-a-0",
            "generation": place - 1,
            "evaluations": 10 * place,
            "tokens": 50 * place,
            "flops": 1.0 * place,
            **dict.fromkeys(("seconds_ask", "seconds_evaluate", "seconds_tell"), 1.0 * place),
        }
        for place, _ in points
    ]
    scores = [
        {"id": "t-a-0", "evaluations": 10 * place, "split": "dev", "metric": name, "value": value}
        for (place, own), loss in zip(points, LOSSES, strict=False)
        for name, value in (("accuracy", own), ("loss", loss))
    ]
    scores += [
        {"id": "t-a-0", "evaluations": 20, "split": "test", "metric": "loss", "value": 77.0},
        {"id": "t-zero-shot-0", "evaluations": 0, "split": "dev", "metric": "accuracy", "value": 0.4},
    ]
    made.tables["curve"] = make_table("curve", curve)
    made.tables["metrics"] = make_table("metrics", scores)
    return made


def first(stopped):
    return stopped.results.runs.iloc[0]


@pytest.mark.parametrize(
    ("most", "dev", "at"),
    [(10, 0.5, 10), (29, 0.8, 20), (30, 0.8, 20), (40, 0.9, 40), (999, 0.9, 40)],
)
def test_a_run_reports_its_best_dev_point_within_the_limit(results, most, dev, at):
    found = first(stopped_at(run(results, [0.5, 0.8, 0.7, 0.9]), Limit("evaluations", most)))
    assert (found["dev_metric"], found["test_metric"], found["reported_at"]) == (dev, dev, at)
    assert math.isnan(found["train_metric"])


def test_of_equal_dev_points_the_earliest_counts_and_of_a_falling_metric_the_lowest(results):
    assert first(stopped_at(run(results, [0.5, 0.8, 0.8]), Limit("evaluations", 30)))["reported_at"] == 20
    falling = run(results, [0.5, 0.3, 0.4], direction="min")
    assert first(stopped_at(falling, Limit("evaluations", 30)))["dev_metric"] == 0.3


@pytest.mark.parametrize("limit", [Limit("evaluations", 25), Limit("tokens", 149), Limit("seconds", 8.9)])
def test_costs_are_what_was_spent_within_the_limit_of_whatever_cost(results, limit):
    found = first(stopped_at(run(results, [0.5, 0.8, 0.7]), limit))
    assert found[["evaluations", "tokens", "flops", "seconds_ask"]].tolist() == [20, 100, 2.0, 2.0]
    assert math.isnan(found["energy"])


def test_before_the_first_dev_point_nothing_is_known(results):
    stopped = stopped_at(run(results, [0.5, 0.8]), Limit("evaluations", 9))
    assert math.isnan(first(stopped)["dev_metric"])
    assert first(stopped)["evaluations"] == 0
    made = board(stopped.results, split="dev")
    assert made.rows.set_index("algorithm").loc[["a", "zero-shot"], "dev_n"].tolist() == [0, 1]


@pytest.mark.parametrize(("most", "status"), [(15, "finished"), (30, "failed")])
def test_a_run_that_failed_later_had_finished_at_the_limit(results, most, status):
    failed = run(results, [0.5, 0.8, 0.7], "failed", reason="boom")
    assert first(stopped_at(failed, Limit("evaluations", most)))["status"] == status


def test_another_metric_is_read_where_the_tasks_own_was_best_and_never_on_test(results):
    stopped = stopped_at(run(results, [0.5, 0.8, 0.7]), Limit("evaluations", 30), "loss")
    found = first(stopped)
    assert (found["metric"], found["metric_direction"]) == ("loss", "min")
    assert (found["dev_metric"], found["test_metric"]) == (0.8, 0.8)  # of losses, the second; on test 77


@pytest.mark.parametrize("form", ["csv", "json", "markdown", "latex"])
def test_every_format_says_that_it_compares_on_dev(results, form):
    stopped = stopped_at(run(results, [0.5, 0.8]), Limit("evaluations", 10))
    text = rendered(board(stopped.results, split="dev", about=stopped.about), form)
    assert "dev" in text
    assert "0.99" not in text
    if form != "csv":
        assert "test is looked at once, at the end of a whole run" in text
    assert "test accuracy" not in text


def test_a_limit_that_is_no_number_or_of_no_cost_is_refused():
    for text in ("many", "tokens=", "hours=3", "-1", "nan", "inf", "evaluations=1=2"):
        with pytest.raises(UserError, match="is none of N, tokens=N, seconds=N"):
            Limit.parse(text)

"""Expected running times of a sweep, as a board, and the bands around their distributions."""

from __future__ import annotations

import json
import math

import pytest

from harness.report.boards import board
from harness.report.example import example
from harness.report.figures import run_times
from harness.report.formats import lines, rendered
from harness.report.html import html_report
from harness.report.study import Study
from harness.report.targets import expected
from harness.running.schema import make_table

IDLE = {"reference": True, "evaluations": 0}


def sweep(results, *runs, direction="max"):
    """One task from zero-shot at .5: of each run its status and dev metric after 10, 20, ... evaluations."""
    way = {"metric_direction": direction}
    rows = [("t", "zero-shot", r, "finished", 0.5, {**IDLE, **way}) for r in range(len(runs))]
    curve = []
    for r, (status, dev) in enumerate(runs):
        value = dev[-1] if dev and status == "finished" else None
        rows.append(("t", "a", r, status, value, {"evaluations": 40, **way}))
        rows.append(("t", "b", r, "finished", 0.9 if direction == "max" else 0.1, way))
        best = 0.9 if direction == "max" else 0.1
        steps = [("a", 10 * (place + 1), each) for place, each in enumerate(dev)] + [("b", 10, best)]
        curve += [
            {"id": f"t-{name}-{r}", "evaluations": at, "tokens": at, "dev_metric": each}
            for name, at, each in steps
        ]
    made = results(*rows)
    made.tables["curve"] = make_table("curve", curve)
    return made


def test_runs_that_miss_a_target_count_with_all_that_they_spent(results):
    # From .5 to .9: half of the way is .7. Reached after 20; missed after 30; failed with nothing after 40.
    made = sweep(results, ("finished", [0.5, 0.7]), ("finished", [0.5, 0.5, 0.6]), ("failed", []))
    half = expected(Study(made))["t", "a"][2]
    assert (half.value, half.successes, half.runs) == (20 + 30 + 40, 1, 3)
    assert half.high == math.inf


def test_of_a_metric_that_falls_targets_lie_below(results):
    made = sweep(results, ("finished", [0.5, 0.3]), direction="min")
    assert [time.value for time in expected(Study(made))["t", "a"]][2:4] == [20.0, math.inf]


def test_a_board_of_running_times_shows_successes_and_what_is_never_reached(results):
    made = board(sweep(results, ("finished", [0.5, 0.7]), ("finished", [0.5, 0.6])), columns="ert")
    of_a = next(line for line in lines(made, "t") if line[1] == "a")
    assert of_a[4] == "40 [20, ∞] 1/2"  # (20 + 20) / 1
    assert of_a[7] == "∞ [–] 0/2"
    row = next(row for row in json.loads(rendered(made, "json"))["rows"] if row["algorithm"] == "a")
    assert (row["to_50_successes"], row["to_50_n"], row["to_100_successes"]) == (1, 2, 0)
    assert r"$\infty$" in rendered(made, "latex")


def test_without_a_target_the_board_says_why(results):
    made = results(("t", "a", 0, "finished", 0.5))
    made.tables["curve"] = make_table("curve", [])
    assert "no target" in board(made, columns="ert").notes["t"]


def test_the_page_has_a_table_of_running_times():
    assert "Expected running time" in html_report(example().results)


@pytest.mark.parametrize("axis", ["evaluations", "tokens", "seconds"])
def test_each_distribution_lies_in_its_bootstrap_band(axis):
    for trace in run_times(example()).views[axis].traces:
        for height, (low, high) in zip(trace["y"], trace["customdata"], strict=True):
            assert low - 0.02 <= height <= high + 0.02

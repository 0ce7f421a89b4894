"""What a plan says of costs is what the runs then cost."""

from __future__ import annotations

import pytest

from harness.core import Cost, Estimate
from harness.running.catalog import plan_overview
from harness.running.estimate import Speed, cost_of, memory_of
from harness.running.plan import builder_of, make_plan
from harness.running.sweep_file import Sweep
from harness.running.sweeping import sweep

SMALL = {"per_class": 4, "minibatch": 8, "dev_points": 3, "test_rows": 20}
PER_ROW = Cost(1, 10, 1000.0)


def rows(count):
    return Cost(count, 10 * count, 1000.0 * count)


ESTIMATE = Estimate(rows(4), {"train": rows(8), "dev": rows(8), "test": rows(20)}, 1000, 50, 100)


def cells(algorithm, **more):
    words = Sweep.from_flags(tasks="sphere[dimension=3]", algorithms=algorithm, **{"budget": 30, **more})
    found = [cell for cell in make_plan(words).cells if cell.algorithm != "zero-shot"]
    return found or list(make_plan(words).cells)


def test_a_cell_is_evaluated_scored_on_dev_at_every_point_and_once_on_the_others():
    alone = cells("random", repetitions=1)
    # 30 candidates x 4 rows x 10 tokens; 3 x 8 rows of dev; 8 of train and 20 of test.
    assert cost_of(alone, ESTIMATE, dev_points=3).tokens == 1200 + 240 + 280
    assert cost_of(alone, ESTIMATE, dev_points=3).flops == 1000.0 * (120 + 24 + 28)
    assert cost_of(cells("random", repetitions=3), ESTIMATE, 3).tokens == 3 * (1200 + 240 + 280)


def test_the_untouched_model_is_scored_once_on_each_split_and_keeps_nothing():
    alone = cells("zero-shot", repetitions=1)
    assert cost_of(alone, ESTIMATE, dev_points=3).tokens == 80 + 280
    assert memory_of(alone[0], ESTIMATE) == 1050


def test_a_gradient_costs_three_evaluations_of_operations_and_one_of_tokens():
    alone = cells("adam", repetitions=1)
    cost = cost_of(alone, ESTIMATE, dev_points=3)
    assert cost.tokens == 400 + 240 + 280
    assert cost.flops == 1000.0 * (120 + 24 + 28)


def test_trials_are_not_scored_on_train_and_test():
    trials = [cell for cell in cells("random", repetitions=1, tuning={"trials": 2}) if cell.kind == "trial"]
    assert cost_of(trials, ESTIMATE, dev_points=3).tokens == 2 * (1200 + 240)


@pytest.mark.parametrize(
    ("algorithm", "kept"),
    # The center and the one that is reported; the velocity; Adam's two means; the curvatures; the snapshot.
    [
        ("mezo", 2),
        ("mezo[step=momentum]", 3),
        ("openai-es", 4),
        ("openai-es[step=sgd]", 2),
        ("hizoo", 3),
        ("zo-svrg", 3),
    ],
)
def test_an_algorithm_keeps_points_of_the_spaces_size(algorithm, kept):
    assert memory_of(cells(algorithm)[0], ESTIMATE) == 1050 + kept * 100


def test_a_task_that_tells_nothing_has_no_costs():
    words = Sweep.from_flags(tasks="sphere", algorithms="random")
    builder = builder_of(words, planning=True)
    row = plan_overview(make_plan(words, builder), builder)[0]
    assert (row["tokens"], row["flops"], row["gpu_hours"], row["memory"]) == (None, None, None, None)
    assert row["evaluations"] == 600


def test_hours_follow_from_peak_and_utilisation():
    assert Speed(peak_flops=1e12, utilisation=0.5).hours(1.8e15) == 1.0


def test_the_estimate_of_a_text_task_is_what_its_runs_cost(tmp_path):
    words = Sweep.from_flags(
        tasks="sentiment/reference/prompt[tokens=2],sentiment/reference/full",
        algorithms="random,mezo",
        budget=12,
        repetitions=2,
        device="cpu",
        protocol=SMALL,
    )
    builder = builder_of(words, planning=True)
    planned = {(r["task"], r["algorithm"]): r for r in plan_overview(make_plan(words, builder), builder)}
    runs = sweep(words, out=tmp_path).runs
    for key, group in runs.groupby(["task", "algorithm"]):
        tokens = group["tokens"].sum() + group["score_tokens"].sum()
        flops = group["flops"].sum() + group["score_flops"].sum()
        # Texts differ in length; a generation of random's crosses all dev points at once.
        within = {"abs": 0, "rel": 0.1} if key[1] != "random" else {"abs": 0, "rel": 0.25}
        assert planned[key]["tokens"] == pytest.approx(tokens, **within)
        assert planned[key]["flops"] == pytest.approx(flops, **within)
        assert planned[key]["memory"] > 0

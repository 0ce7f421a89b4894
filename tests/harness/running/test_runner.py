"""What the runner guarantees, whatever algorithms and tasks do."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import ClassVar

import pandas as pd
import pytest
import torch

from harness.core import Cost, Gradients, Protocol, UserError
from harness.running import cohort
from harness.running.schema import measured


def row(results, algorithm):
    return results.runs.set_index("algorithm").loc[algorithm]


def unmeasured(results, table, ids):
    frame = getattr(results, table).drop(columns=measured(table))
    return frame[frame["id"].isin(ids)].reset_index(drop=True)


def test_a_round_is_one_packed_evaluation_for_all_cells(tmp_path, toys):
    task = toys.Quadratic()
    toys.run(tmp_path, [toys.cell("walk", 0), toys.cell("walk", 1), toys.cell("directions")], task)
    assert task.calls == [3] * 10


def test_asks_that_go_on_with_a_generation_share_its_minibatch(tmp_path, toys):
    task = toys.Quadratic()
    toys.run(tmp_path, [toys.cell("piecemeal", budget=28)], task)
    assert task.generations == [0, 0, 0, 1, 1, 1, 2]


def test_a_cell_gives_the_same_rows_alone_and_in_company(tmp_path, toys):
    alone = toys.run(tmp_path / "a", [toys.cell("walk")])
    company = [toys.cell("walk", 1), toys.cell("raises"), toys.cell("walk"), toys.cell("untouched")]
    together = toys.run(tmp_path / "b", company)
    ids = [toys.cell("walk").id]
    for table in ("runs", "curve", "metrics", "losses"):
        pd.testing.assert_frame_equal(unmeasured(alone, table, ids), unmeasured(together, table, ids))


def test_large_models_take_turns_and_end_the_same(tmp_path, toys, monkeypatch):
    cells = [toys.cell("walk", repetition) for repetition in range(3)]
    together = toys.run(tmp_path / "a", cells)
    monkeypatch.setattr(cohort, "COORDINATES", 5)
    task = toys.Quadratic()
    turns = toys.run(tmp_path / "b", cells, task)
    assert task.calls == [1] * 30
    ids = [each.id for each in cells]
    pd.testing.assert_frame_equal(unmeasured(together, "losses", ids), unmeasured(turns, "losses", ids))


def test_the_budget_is_spent_exactly_and_only_by_the_runner(tmp_path, toys):
    results = toys.run(tmp_path, [toys.cell("walk", budget=42), toys.cell("spender", budget=42)])
    assert row(results, "walk")["evaluations"] == row(results, "spender")["evaluations"] == 42
    assert row(results, "spender")["generations"] == 11
    assert results.losses.groupby("id").size().tolist() == [42, 42]


def test_gradients_cost_three_evaluations_each(tmp_path, toys):
    descent = row(toys.run(tmp_path, [toys.cell("descent", budget=20)]), "descent")
    assert (descent["evaluations"], descent["generations"], descent["status"]) == (18, 6, "finished")


@pytest.mark.parametrize(
    ("algorithm", "reason"),
    [
        ("raises", "RuntimeError in ask: out of ideas second line (conftest.py:"),
        ("tellraises", "ZeroDivisionError in tell: told badly"),
        ("bestraises", "LookupError in best: nothing is best"),
        ("initraises", "ValueError in __init__: cannot start"),
        ("greedy", "ContractError in ask: it asked for 41 evaluations, 40 remain"),
        ("misshapen", "ContractError in ask: its points have shape (1, 4), the space has 3 coordinates"),
        ("nonsense", "ContractError in ask: it returned Tensor, not Points or Perturbations"),
        ("smuggler", "ContractError in ask: it asked for gradients without declaring needs_gradient"),
        ("twins", "ContractError in best: best() must return a population of one, or None"),
        ("poison", "FloatingPointError in evaluate: an infinite point"),
    ],
)
def test_what_an_algorithm_does_wrong_fails_its_own_cell_alone(tmp_path, toys, algorithm, reason):
    cells = [toys.cell("walk"), toys.cell(algorithm), toys.cell("untouched")]
    results = toys.run(tmp_path, cells, toys.PoisonedQuadratic())
    assert results.runs["status"].tolist() == ["finished", "failed", "finished"]
    assert results.runs["reason"][1].startswith(reason)
    assert "\n" not in results.runs["reason"][1]
    assert (tmp_path / "cells" / cells[1].id / "traceback.txt").exists()
    assert math.isnan(results.runs["test_metric"][1])


def test_rows_before_a_failure_are_kept(tmp_path, toys):
    results = toys.run(tmp_path, [toys.cell("raises")])
    assert len(results.losses) == 8
    assert results.curve["evaluations"].tolist() == [4, 8]
    assert results.runs["evaluations"][0] == 8


def test_a_task_that_answers_with_the_wrong_shape_fails_the_cells_and_not_the_sweep(tmp_path, toys):
    class Short(toys.Quadratic):
        def evaluate(self, requests):
            return [replace(answer, losses=answer.losses[:-1]) for answer in super().evaluate(requests)]

    results = toys.run(tmp_path, [toys.cell("walk"), toys.cell("untouched")], Short())
    assert results.runs["status"].tolist() == ["failed", "finished"]
    assert "losses of shape (3,)" in results.runs["reason"][0]


def test_a_task_that_forgets_an_answer_is_asked_one_by_one(tmp_path, toys):
    class Forgetful(toys.Quadratic):
        def evaluate(self, requests):
            return super().evaluate(requests)[:1]

    results = toys.run(tmp_path, [toys.cell("walk", 0), toys.cell("walk", 1)], Forgetful())
    assert results.runs["status"].tolist() == ["finished", "finished"]


def test_a_task_that_cannot_be_loaded_fails_its_cells(tmp_path, toys):
    class Broken(toys.Quadratic):
        def signature(self):
            raise OSError("the model is gone")

    results = toys.run(tmp_path, [toys.cell("walk")], Broken())
    assert results.runs["reason"][0].startswith("OSError in loading the task: the model is gone")


def test_what_a_user_has_to_mend_in_a_task_ends_the_sweep_before_any_cell_runs(tmp_path, toys):
    class Mistaken(toys.Quadratic):
        def signature(self):
            raise UserError("per_class: 16 are more rows than it has; lower protocol.per_class")

    good, mistaken = toys.Quadratic(), Mistaken()
    cells = [toys.cell("walk"), toys.cell("walk", task="mistaken")]
    make_task = {"quadratic": good, "mistaken": mistaken}
    with pytest.raises(UserError, match=r"^mistaken: per_class: 16 are more rows than it has"):
        toys.run(tmp_path, cells, tasks=make_task)
    assert good.calls == []
    assert not list((tmp_path / "cells").iterdir())


def test_a_task_that_cannot_be_made_as_it_is_written_ends_the_sweep(tmp_path, toys):
    class Raising(dict):
        def __getitem__(self, name):
            raise UserError(f"{name}: subspace: 9 coordinates are more than 3")

    with pytest.raises(UserError, match=r"^quadratic: subspace: 9 coordinates are more than 3$"):
        toys.run(tmp_path, [toys.cell("walk")], tasks=Raising())


def test_a_task_that_cannot_be_loaded_stops_no_other(tmp_path, toys):
    class Broken(toys.Quadratic):
        def signature(self):
            raise OSError("the model is gone")

    cells = [toys.cell("walk", task="broken"), toys.cell("walk")]
    results = toys.run(tmp_path, cells, tasks={"broken": Broken(), "quadratic": toys.Quadratic()})
    assert results.runs["status"].tolist() == ["failed", "finished"]


def test_nan_losses_are_told_and_stored_as_nan(tmp_path, toys):
    results = toys.run(tmp_path, [toys.cell("walk")], toys.NanQuadratic())
    assert results.losses["loss"].isna().sum() == 10
    assert results.runs["failed_evaluations"][0] == 10
    assert results.curve["loss_best"].notna().all()
    assert results.losses["loss"].dtype == "float64"


def test_what_an_algorithm_writes_into_its_losses_reaches_neither_tables_nor_the_task(tmp_path, toys):
    class Keeping(toys.Quadratic):
        kept: ClassVar = []

        def evaluate(self, requests):
            answers = super().evaluate(requests)
            self.kept += [answer.losses for answer in answers]
            return answers

    results = toys.run(tmp_path, [toys.cell("vandal")], Keeping())
    assert (results.losses["loss"] >= 0).all()
    assert all((losses >= 0).all() for losses in Keeping.kept)


def test_dev_is_scored_where_the_fixed_points_of_the_budget_are_crossed(tmp_path, toys):
    results = toys.run(tmp_path, [toys.cell("walk", budget=50)], protocol=Protocol(dev_points=4))
    dev = results.metrics.query("split == 'dev' and metric == 'score'")
    # points at 12.5, 25, 37.5 and 50, in generations of 4 evaluations
    assert dev["evaluations"].tolist() == [16, 28, 40, 50]


def test_the_end_of_a_run_is_a_dev_point_wherever_the_algorithm_stops(tmp_path, toys):
    results = toys.run(tmp_path, [toys.cell("early")], protocol=Protocol(dev_points=2))
    assert results.metrics.query("split == 'dev'")["evaluations"].unique().tolist() == [10]


def test_the_best_dev_candidate_is_reported_the_earliest_on_ties(tmp_path, toys):
    class Scripted(toys.Quadratic):
        script = iter([0.1, 0.7, 0.7, 0.3, 0.2])

        def score(self, candidates, split):
            scores = super().score(candidates, split)
            return [{"score": next(self.script)} for _ in candidates] if split == "dev" else scores

    results = toys.run(tmp_path, [toys.cell("walk")], Scripted())
    assert (results.runs["reported_at"][0], results.runs["dev_metric"][0]) == (16, 0.7)


@pytest.mark.parametrize(("direction", "expected"), [("max", 24), ("min", 8)])
def test_a_dev_metric_of_nan_is_never_better(tmp_path, toys, direction, expected):
    class Scripted(toys.Quadratic):
        metric_direction = direction
        script = iter([math.nan, 0.1, 0.7, math.nan, math.nan] if direction == "max" else [0.1, math.nan] * 3)

        def score(self, candidates, split):
            scores = super().score(candidates, split)
            return [{"score": next(self.script)} for _ in candidates] if split == "dev" else scores

    results = toys.run(tmp_path, [toys.cell("walk")], Scripted())
    assert results.runs["reported_at"][0] == expected


def test_test_is_looked_at_once_for_each_cell_and_after_everything_else(tmp_path, toys):
    task = toys.Quadratic()
    toys.run(tmp_path, [toys.cell("walk")], task)
    assert [split for split, _ in task.scored] == ["dev"] * 5 + ["train", "test"]


def test_the_reported_candidate_is_the_one_that_is_tested(tmp_path, toys):
    results = toys.run(tmp_path, [toys.cell("walk")])
    at = results.runs["reported_at"][0]
    losses = results.metrics[results.metrics["metric"] == "loss"].set_index(["split", "evaluations"])["value"]
    dev, test = losses["dev", at], losses["test", at]
    assert dev == test
    assert results.runs["test_metric"][0] == pytest.approx(-dev - 0.5)


def test_an_untouched_model_is_scored_as_it_is_and_asks_nothing(tmp_path, toys):
    task = toys.Quadratic()
    untouched = row(toys.run(tmp_path, [toys.cell("untouched")], task), "untouched")
    assert task.calls == []
    assert (untouched["evaluations"], untouched["reported_at"], untouched["test_metric"]) == (0, 0, -3.5)


def test_a_cell_that_uses_up_its_seconds_keeps_what_it_found(tmp_path, toys):
    cells = [toys.cell("walk"), toys.cell("untouched")]
    results = toys.run(tmp_path, cells, protocol=Protocol(dev_points=5, timeout=1e-9))
    walk = row(results, "walk")
    assert (walk["status"], walk["evaluations"]) == ("timeout", 4)
    assert "1e-09 seconds" in walk["reason"]
    assert not math.isnan(walk["test_metric"])
    assert row(results, "untouched")["status"] == "finished"


def test_a_skipped_cell_is_a_row_with_its_reason_in_its_place(tmp_path, toys):
    cells = [toys.cell("walk", 1, skip="too small"), toys.cell("walk", 0)]
    results = toys.run(tmp_path, cells)
    assert results.runs["status"].tolist() == ["skipped", "finished"]
    assert results.runs["reason"][0] == "too small"


def test_costs_are_counted_per_cell_and_shared_seconds_are_marked(tmp_path, toys):
    results = toys.run(tmp_path, [toys.cell("walk", 0), toys.cell("walk", 1), toys.cell("untouched")])
    walk, untouched = results.runs.iloc[0], results.runs.iloc[2]
    assert (walk["tokens"], walk["sequences"]) == (400, 40)
    assert walk["seconds_shared"]
    assert not untouched["seconds_shared"]
    # five dev points of 30 tokens, train of 20 and test of 50
    assert (walk["scored_candidates"], walk["score_sequences"], walk["score_tokens"]) == (7, 14, 220)
    assert walk["peak_memory"] > 2**20


class Clock:
    """Stands for the time module: it moves when it is told to, and not by itself."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        return self.now

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(cohort, "time", clock)
    return clock


def ticking(toys, clock):
    """A task whose repetition r has 1 + 3 r tokens a candidate; a second for each token, three a score."""

    class Ticking(toys.Quadratic):
        def evaluate(self, requests):
            answers = []
            for request, answer in zip(requests, super().evaluate(requests), strict=True):
                tokens = (1 + 3 * request.repetition) * len(answer.losses)
                clock.now += tokens
                answers.append(replace(answer, cost=replace(answer.cost, tokens=tokens)))
            return answers

        def score(self, candidates, split):
            clock.now += 3.0 * sum(1 + repetition for _, repetition in candidates)
            return super().score(candidates, split)

    return Ticking()


def test_shared_seconds_are_split_by_tokens_and_those_of_scores_by_candidates(tmp_path, toys, clock):
    task = ticking(toys, clock)
    runs = toys.run(tmp_path, [toys.cell("walk", 0), toys.cell("walk", 1)], task).runs
    assert task.calls == [2] * 10
    # 40 candidates each, of 1 and of 4 tokens
    assert runs["seconds_evaluate"].tolist() == pytest.approx([40.0, 160.0])
    # five dev points, train and test, at 3 and 6 seconds
    assert runs["seconds_score"].tolist() == pytest.approx([7 * 4.5] * 2)
    assert runs["seconds_shared"].tolist() == [True, True]


def test_seconds_are_split_by_candidates_where_a_task_counts_no_tokens(tmp_path, toys, clock):
    class Uncounted(toys.Quadratic):
        def evaluate(self, requests):
            clock.now += 6.0
            return [replace(answer, cost=Cost()) for answer in super().evaluate(requests)]

    # ten rounds of 4 and 3 x 1 candidates: a gradient is priced as three evaluations
    cells = [toys.cell("walk", budget=40), toys.cell("descent", budget=30)]
    runs = toys.run(tmp_path, cells, Uncounted()).runs
    assert runs["seconds_evaluate"].tolist() == pytest.approx([60 * 4 / 7, 60 * 3 / 7])


def test_cells_that_share_no_forward_are_each_timed_alone(tmp_path, toys, clock):
    task = ticking(toys, clock)
    task.shares_forward = False
    cells = [toys.cell("walk", 0), toys.cell("walk", 1)]
    alone = toys.run(tmp_path / "a", cells, task)
    assert task.calls == [1] * 20
    assert alone.runs["seconds_evaluate"].tolist() == [40.0, 160.0]
    assert alone.runs["seconds_score"].tolist() == [7 * 3.0, 7 * 6.0]
    assert alone.runs["seconds_shared"].tolist() == [False, False]
    together = toys.run(tmp_path / "b", cells, ticking(toys, clock))
    ids = [each.id for each in cells]
    for table in ("runs", "curve", "metrics", "losses"):
        pd.testing.assert_frame_equal(unmeasured(alone, table, ids), unmeasured(together, table, ids))


def test_a_cell_that_shares_no_forward_fails_alone(tmp_path, toys):
    task = toys.PoisonedQuadratic()
    task.shares_forward = False
    results = toys.run(tmp_path, [toys.cell("poison"), toys.cell("walk")], task)
    assert results.runs["status"].tolist() == ["failed", "finished"]


def test_memory_is_put_down_to_the_cell_that_took_it(tmp_path, toys, monkeypatch):
    held = {"peak": 0}
    monkeypatch.setattr(cohort, "reset_peak_memory", lambda task: held.update(peak=100))
    monkeypatch.setattr(cohort, "peak_memory", lambda task: held["peak"])

    class Allocating(toys.Quadratic):
        shares_forward = False

        def evaluate(self, requests):
            wants = [900 if isinstance(request.population, Gradients) else 300 for request in requests]
            held["peak"] = max(held["peak"], *wants)
            return super().evaluate(requests)

    cells = [toys.cell("descent"), toys.cell("walk"), toys.cell("untouched")]
    assert toys.run(tmp_path, cells, Allocating()).runs["peak_memory"].tolist() == [900, 300, 100]


def test_global_random_state_is_left_alone(tmp_path, toys):
    before = torch.get_rng_state()
    toys.run(tmp_path, [toys.cell("walk"), toys.cell("directions")])
    assert torch.equal(before, torch.get_rng_state())


def test_a_cell_for_which_the_device_has_no_memory_fails_alone(tmp_path, toys, monkeypatch):
    class Small(toys.Quadratic):
        """Holds four candidates at once, of one cell or of several."""

        def evaluate(self, requests):
            if any(len(request.population) > 4 for request in requests):
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
            return super().evaluate(requests)

    class Crowd(toys.Walk):
        population = 9

    monkeypatch.setitem(toys.KINDS, "crowd", Crowd)
    cells = [toys.cell("walk"), toys.cell("crowd"), toys.cell("walk", 1)]
    beside = toys.run(tmp_path / "beside", cells, Small())
    alone = toys.run(tmp_path / "alone", [cells[0], cells[2]], Small())
    assert beside.runs["status"].tolist() == ["finished", "failed", "finished"]
    assert beside.runs["reason"][1].startswith("OutOfMemoryError in evaluate: CUDA out of memory.")
    kept = beside.losses[beside.losses["id"] != cells[1].id].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, alone.losses, check_exact=True)

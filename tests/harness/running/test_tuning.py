"""Equal tuning effort: trials on a split of their own, judged on dev alone; cells that follow the best."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from harness.core import UserError, ranges
from harness.plugins.build import algorithm_class
from harness.plugins.options import all_options, typed_options
from harness.plugins.registry import ALGORITHMS, TASKS
from harness.plugins.spec import Spec
from harness.running.checksums import sealed
from harness.running.files import read_json, write_json
from harness.running.observer import Observer
from harness.running.plan import Plan, make_plan
from harness.running.schema import TABLES, measured
from harness.running.sweep_file import Sweep
from harness.running.sweeping import sweep
from harness.running.tuning import SPLIT, variants

FEW = {"dev_points": 2, "per_class": 2}


def words(algorithms="mezo,random,zero-shot", **more):
    return Sweep.from_flags(
        **{
            "tasks": "sphere[dimension=4]",
            "algorithms": algorithms,
            "repetitions": 2,
            "budget": 24,
            "protocol": FEW,
            "tuning": {"trials": 4},
            **more,
        }
    )


def test_trials_begin_with_the_algorithm_as_listed_and_stay_within_its_ranges():
    spans = ranges(sigma=(0.05, 5.0), lr=(0.03, 30.0))
    names = variants(Spec.parse("mezo[queries=2]"), spans, trials=8, seed=3)
    assert names[0] == "mezo[queries=2]"
    assert len(set(names)) == len(names) == 8
    for name in names[1:]:
        _, options = algorithm_class(name)
        assert options["queries"] == 2
        assert all(options[key] in span for key, span in spans.items())


def test_the_points_cover_every_eighth_of_a_range_as_a_sobol_sequence_does():
    # The first 8 points of a scrambled Sobol sequence in one dimension fall into 8 different eighths; the
    # first of them is left out here only where trial 0 takes its place.
    spans = ranges(sigma=(1.0, math.e**8))
    names = variants(Spec.parse("random"), spans, trials=9, seed=0)
    eighths = [int(math.log(float(dict(Spec.parse(name).options)["sigma"]))) for name in names[1:]]
    assert sorted(eighths) == list(range(8))


def test_more_trials_begin_with_the_fewer_and_another_seed_draws_others():
    spans = ranges(sigma=(0.05, 5.0))
    eight = variants(Spec.parse("random"), spans, 8, seed=1)
    assert variants(Spec.parse("random"), spans, 5, seed=1) == eight[:5]
    assert variants(Spec.parse("random"), spans, 8, seed=2)[1:] != eight[1:]


def test_what_is_given_by_hand_and_what_is_raw_is_not_tuned():
    def searched(name):
        kind, options = algorithm_class(name)
        return set(kind.searched(**options))

    assert searched("mezo") == {"sigma", "lr"}
    assert searched("mezo[sigma=1]") == {"lr"}
    assert searched("mezo[lr=1e-6,units=raw]") == set()


@pytest.mark.parametrize("name", sorted(ALGORITHMS.names()))
def test_the_ranges_of_every_algorithm_hold_its_defaults_and_fit_its_options(name):
    kind = ALGORITHMS.load(name)
    defaults = all_options(kind, {})
    for option, span in getattr(kind, "search", {}).items():
        assert defaults[option] in span
        typed_options(kind, {option: span.low}, name)
        typed_options(kind, {option: span.high}, name)
    step_sizes = {"sigma", "lr"} & {key for key, value in defaults.items() if isinstance(value, float)}
    assert step_sizes <= set(getattr(kind, "search", {}))


def test_every_algorithm_has_as_many_trials_as_any_and_none_without_anything_to_tune():
    plan = make_plan(words())
    kinds = pd.DataFrame([(c.algorithm, c.kind) for c in plan.cells], columns=["algorithm", "kind"])
    counts = kinds.value_counts().to_dict()
    assert counts == {
        ("mezo", "default"): 2,
        ("mezo", "trial"): 4,
        ("mezo", "tuned"): 2,
        ("random", "default"): 2,
        ("random", "trial"): 4,
        ("random", "tuned"): 2,
        ("zero-shot", "default"): 2,
    }
    trials = [cell for cell in plan.cells if cell.kind == "trial"]
    assert {cell.repetition for cell in trials} == {SPLIT}
    assert len({cell.id for cell in plan.cells}) == len(plan.cells)
    assert Plan.from_json(plan.to_json()) == plan


def test_default_cells_are_the_same_with_and_without_tuning_and_trials_with_more_of_them():
    plain, few, many = (
        {cell.id: cell.kind for cell in make_plan(words(tuning=tuning)).cells}
        for tuning in (None, {"trials": 3}, {"trials": 4})
    )
    assert set(plain) == {key for key, kind in few.items() if kind == "default"}
    assert {key for key, kind in few.items() if kind == "trial"} < set(many)
    # What a tuned cell follows is another choice.
    assert not {key for key, kind in few.items() if kind == "tuned" and key in many}


def test_tuned_cells_of_what_leaves_nothing_open_are_the_default_ones_and_cost_nothing():
    plan = make_plan(words("mezo[units=raw],mezo"))
    spent = {(cell.algorithm, cell.kind): cell.evaluations for cell in plan.cells}
    assert spent["mezo[units=raw]", "default"] == spent["mezo", "tuned"] == 24
    assert spent["mezo[units=raw]", "tuned"] == 0
    assert ("mezo[units=raw]", "trial") not in spent


def test_a_skipped_algorithm_has_no_trials_and_a_tuned_row_that_says_why():
    plan = make_plan(words("pycma", tasks="sphere[dimension=2001]"))
    cells = [cell for cell in plan.cells if cell.algorithm == "pycma"]
    assert [cell.kind for cell in cells] == ["default", "default", "tuned", "tuned"]
    assert all("full covariance" in cell.skip for cell in cells)


def test_tuned_cells_follow_the_trial_that_is_best_on_dev(tmp_path):
    results = sweep(words(), out=tmp_path)
    runs = results.runs
    assert (runs["status"] == "finished").all()
    for name in ("mezo", "random"):
        mine = runs[runs["algorithm"] == name]
        trials, tuned = mine[mine["kind"] == "trial"], mine[mine["kind"] == "tuned"]
        best = trials.loc[trials["dev_metric"].idxmin()]  # the sphere's metric is its loss
        assert best["metric_direction"] == "min"
        assert set(tuned["trial"]) == {best["trial"]}
        assert set(tuned["options"]) == {best["options"]}
        assert set(tuned["effort"]) == {int(trials["evaluations"].sum())}
        assert set(mine[mine["kind"] != "tuned"]["effort"]) == {0}
    assert set(runs.loc[runs["algorithm"] == "zero-shot", "kind"]) == {"default"}


def test_trials_never_look_at_test(tmp_path, toys):
    class Watched(toys.Quadratic):
        """The toy, as a registered task."""

    made = Watched()
    with TASKS.register("watched", lambda: made):
        results = sweep(words("random", tasks="watched"), out=tmp_path)
    looks = {split for split, repetition in made.scored if repetition == SPLIT}
    assert looks == {"dev"}
    runs, metrics = results.runs, results.metrics
    trials = runs[runs["kind"] == "trial"]
    assert trials["test_metric"].isna().all()
    assert trials["train_metric"].isna().all()
    assert trials["dev_metric"].notna().all()
    assert set(metrics[metrics["id"].isin(trials["id"])]["split"]) == {"dev"}
    assert runs[runs["kind"] == "tuned"]["test_metric"].notna().all()


def test_a_choice_of_what_is_listed_takes_the_default_cells_results(tmp_path):
    # One trial: the algorithm as it is listed.
    results = sweep(words("random", tuning={"trials": 1}), out=tmp_path)
    runs = results.runs[results.runs["algorithm"] == "random"].set_index("id")
    default, tuned = (runs[runs["kind"] == kind] for kind in ("default", "tuned"))
    same = ["algorithm", "repetition", "test_metric", "seconds_ask", "options", "settings"]
    pd.testing.assert_frame_equal(
        default[same].reset_index(drop=True), tuned[same].reset_index(drop=True), check_exact=True
    )
    for table in ("curve", "losses", "metrics"):
        rows = getattr(results, table)
        for one, other in zip(default.index, tuned.index, strict=True):
            first, second = (rows[rows["id"] == each].drop(columns="id") for each in (one, other))
            pd.testing.assert_frame_equal(first.reset_index(drop=True), second.reset_index(drop=True))


class StopError(Exception):
    """Ends a run in its middle, as a kill would."""


class StopAfter(Observer):
    """Stops the sweep when so many cells have ended."""

    def __init__(self, cells):
        self.left = cells

    def ended(self, cell, status, reason):
        self.left -= 1
        if self.left < 0:
            raise StopError


@pytest.mark.parametrize("cells", [1, 4, 5])
def test_broken_off_anywhere_and_started_again_it_ends_with_the_same_tables(tmp_path, cells):
    # 2 default cells, 3 trials, then the tuned ones, of which those that follow trial 0 are not run.
    chosen = words("mezo[sigma=2]", repetitions=1, budget=8, tuning={"trials": 3})
    whole = sweep(chosen, out=tmp_path / "whole")
    with pytest.raises(StopError):
        sweep(chosen, out=tmp_path / "cut", progress=StopAfter(cells), flush_seconds=0.0)
    again = sweep(chosen, out=tmp_path / "cut", flush_seconds=0.0)
    for table in TABLES:
        drop = measured(table)
        pd.testing.assert_frame_equal(
            getattr(whole, table).drop(columns=drop), getattr(again, table).drop(columns=drop)
        )


def test_a_finished_tuned_sweep_runs_nothing_again(tmp_path):
    class Counting(Observer):
        ran = 0

        def ended(self, cell, status, reason):
            self.ran += 1

    sweep(words("random"), out=tmp_path)
    watching = Counting()
    sweep(words("random"), out=tmp_path, progress=watching)
    assert watching.ran == 0


def test_another_best_trial_clears_what_followed_the_old_one(tmp_path):
    first = sweep(words("random"), out=tmp_path)
    runs = first.runs
    tuned = runs[(runs["kind"] == "tuned") & (runs["algorithm"] == "random")]
    trials = runs[(runs["kind"] == "trial") & (runs["trial"] != tuned["trial"].iloc[0])]
    file = tmp_path / "cells" / trials["id"].iloc[0] / "status.json"
    content = read_json(file)
    content["row"]["dev_metric"] = -1.0  # better than any
    write_json(file, sealed(content))
    again = sweep(words("random"), out=tmp_path).runs
    moved = again[(again["kind"] == "tuned") & (again["algorithm"] == "random")]
    assert set(moved["trial"]) == {trials["trial"].iloc[0]}
    assert set(moved["options"]) == {trials["options"].iloc[0]}


def test_a_wrong_key_of_tuning_is_answered_with_the_right_ones():
    with pytest.raises(UserError, match="trials"):
        words(tuning={"trial": 3})

"""Running times, their distributions, profiles and areas: against cocopp 2.9.1 and derivations."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.report.statistics import (
    area_under_curve,
    at_points,
    bootstrapped_restarts,
    data_profile,
    ecdf,
    expected_running_time,
    performance_profile,
    running_times,
    simulated_restarts,
    targets,
)

# Eight runs, which cocopp 2.9.1 was given too: five reach the target, three end without.
TIMES = [10, math.inf, 30, 70, math.inf, 25, math.inf, 90.0]
SPENT = [100, 120, 100, 100, 80, 100, 200, 100.0]


def test_the_expected_running_time_is_that_of_cocopp():
    # cocopp.toolsstats.sp: 125.0 with a success rate of .625
    time = expected_running_time(TIMES, SPENT)
    assert time.value == 125.0
    assert (time.successes, time.runs) == (5, 8)
    assert time.low < 125.0 < time.high


def test_without_a_success_it_is_infinite_and_has_no_interval():
    time = expected_running_time([math.inf] * 3, [50.0] * 3)
    assert time.value == math.inf
    assert math.isnan(time.low)


def test_resamples_without_a_success_make_the_upper_end_infinite():
    # A resample of two runs holds no success with probability 1/4
    assert expected_running_time([10.0, math.inf], [50.0, 50.0]).high == math.inf


def test_simulated_restarts_have_the_distribution_of_cocopp():
    # cocopp.toolsstats.drawSP, 200,000 draws: mean 124.98; its distribution at 50 ... 800
    drawn = simulated_restarts(TIMES, SPENT, 40000, np.random.default_rng(0))
    assert drawn.mean() == pytest.approx(124.98, rel=0.02)
    expected = [0.375, 0.6406, 0.7714, 0.9449, 0.9965]
    assert ecdf(drawn, [50, 100, 200, 400, 800]).tolist() == pytest.approx(expected, abs=0.006)


def test_the_mean_of_simulated_restarts_is_the_expected_running_time():
    # With success s: E = E[success] + (1 - s) / s E[failure], the same as the sum over successes
    drawn = simulated_restarts([20.0, math.inf], [50.0, 60.0], 100000, np.random.default_rng(1))
    assert drawn.mean() == pytest.approx(20 + 60, rel=0.02)


def test_restarts_that_never_succeed_are_infinite():
    assert simulated_restarts([math.inf], [9.0], 2, np.random.default_rng(0)).tolist() == [math.inf] * 2


def test_a_run_reaches_a_target_with_its_best_so_far():
    assert running_times([1, 2, 3], [0.1, 0.9, 0.2], [0.1, 0.5, 0.9, 1.0]).tolist() == [1, 2, 2, math.inf]


def test_a_run_without_steps_or_values_reaches_nothing():
    assert running_times([], [], [0.5]).tolist() == [math.inf]
    assert running_times([1, 2], [math.nan, 0.6], [0.5]).tolist() == [2.0]


def test_the_best_run_reaches_the_last_target_in_spite_of_rounding():
    start, best = 0.1, 0.1 + 0.2
    assert running_times([7], [best], targets(start, best)[-1:]).tolist() == [7.0]


def test_there_is_nothing_to_reach_where_nobody_got_beyond_the_start():
    assert len(targets(0.5, 0.4)) == 0
    assert len(targets(math.nan, 0.4)) == 0


@given(st.lists(st.floats(1, 1e6) | st.just(math.inf), min_size=1, max_size=20))
def test_a_distribution_rises_to_the_share_of_successes(times):
    heights = ecdf(times, np.geomspace(1, 1e6, 30))
    assert (np.diff(heights) >= 0).all()
    assert heights[-1] == pytest.approx(np.isfinite(times).mean())


def test_a_performance_profile_counts_a_problem_that_nobody_solves_for_nobody():
    inf = math.inf
    profile = performance_profile([[1.0, 2.0], [6.0, 3.0], [inf, inf], [4.0, inf]], [1, 2, 100])
    # ratios: (1, 2), (2, 1), none, (1, inf)
    assert profile.tolist() == [[0.5, 0.25], [0.75, 0.5], [0.75, 0.5]]


def test_two_that_are_equally_fast_are_both_fastest():
    assert performance_profile([[5.0, 5.0]], [1]).tolist() == [[1.0, 1.0]]


def test_a_data_profile_is_in_simplex_gradients():
    # d + 1 = 10 and 100: 10/10, 100/10, 100/100
    profile = data_profile([[10.0], [100.0], [100.0]], [9, 9, 99], [1, 9, 10])
    assert profile[:, 0].tolist() == pytest.approx([2 / 3, 2 / 3, 1.0])


def test_a_curve_is_read_as_a_staircase():
    assert at_points([10, 20], [1.0, 2.0], [9.9, 10, 19.9, 20])[1:].tolist() == [1.0, 1.0, 2.0]
    assert np.isnan(at_points([], [], [1.0])).all()


def test_the_area_is_the_mean_height_of_the_staircase():
    assert area_under_curve([], [], 0.5, 100) == 0.5
    assert area_under_curve([25, 75], [0.6, 0.8], 0.4, 100) == pytest.approx(0.25 * 0.4 + 0.5 * 0.6 + 0.2)
    assert area_under_curve([25, 150], [0.6, 0.8], 0.4, 100) == pytest.approx(0.25 * 0.4 + 0.75 * 0.6)


def test_resampled_restarts_are_restarts_of_the_resample():
    random = np.random.default_rng(2)
    totals = bootstrapped_restarts([[[10.0], [math.inf]]], [[50.0, 50.0]], 400, 400, random)[0, :, 0]
    # Both succeed in a quarter of the resamples, none in a quarter; else 10, and 50 for each miss before.
    kinds = [np.isinf(each).all() or (each == 10).all() for each in totals]
    assert np.mean(kinds) == pytest.approx(0.5, abs=0.07)
    mixed = totals[~np.asarray(kinds)]
    assert set(np.unique(mixed % 50)) == {10.0}
    assert mixed.mean() == pytest.approx(60, rel=0.02)


def test_all_costs_of_a_run_are_added_up_beside_each_other():
    times = np.asarray([[10.0, math.inf], [20.0, math.inf], [math.inf, 30.0]])
    spent = np.asarray([40.0, 40.0, 40.0])
    totals = bootstrapped_restarts([times, 7 * times], [spent, 7 * spent], 30, 20, np.random.default_rng(3))
    assert totals.shape == (2, 20, 2, 30)
    assert np.array_equal(7 * totals[0], totals[1])


def test_of_the_runs_as_they_are_the_distribution_is_that_of_cocopp():
    drawn = bootstrapped_restarts([[[time] for time in TIMES]], [SPENT], 40000, 0, np.random.default_rng(5))
    assert drawn.shape == (1, 1, 1, 40000)
    expected = [0.375, 0.6406, 0.7714, 0.9449, 0.9965]  # as above
    assert ecdf(drawn.ravel(), [50, 100, 200, 400, 800]).tolist() == pytest.approx(expected, abs=0.006)


def test_runs_that_never_differ_have_a_band_of_no_width():
    totals = bootstrapped_restarts([[[10.0]] * 4], [[50.0] * 4], 5, 9, np.random.default_rng(4))
    assert (totals == 10).all()

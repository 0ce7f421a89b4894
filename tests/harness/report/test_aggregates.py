"""Gain, interquartile mean, probability of improvement: against rliable 1.2.0 and derivations."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.report.statistics import interquartile_mean, normalised_gain, probability_of_improvement

# Scores of six tasks over five repetitions, which rliable 1.2.0 was given too.
OURS = [
    [0.6, 0.612, 0.621, 0.22, 0.631],
    [0.66, 0.868, 0.414, 0.342, 0.563],
    [0.545, 0.502, 0.594, 0.232, 0.097],
    [0.422, 0.476, 0.739, 0.553, 0.492],
    [0.509, 0.698, 0.331, 0.347, 0.59],
    [0.402, 0.671, 0.508, 0.654, 0.623],
]
THEIRS = [
    [0.32, 0.557, 0.387, 0.074, 0.553],
    [0.538, 0.951, 0.375, 0.592, 0.615],
    [0.348, 0.364, 0.748, 0.296, 0.037],
    [0.251, 0.409, 0.457, 0.323, 0.542],
    [0.618, 0.665, 0.41, 0.308, 0.756],
    [0.231, 0.631, 0.476, 0.691, 0.472],
]


def test_the_interquartile_mean_is_that_of_rliable():
    assert interquartile_mean(OURS).value == pytest.approx(0.539, abs=1e-12)
    assert interquartile_mean(OURS).n == 30


@pytest.mark.parametrize(
    ("scores", "low", "high"), [(OURS, 0.4745, 0.5887), (THEIRS, 0.3960, 0.5340)], ids=["ours", "theirs"]
)
def test_its_interval_is_that_of_rliable_with_50000_resamples(scores, low, high):
    # rliable's own two seeds differ by .0008
    estimate = interquartile_mean(scores, resamples=20000)
    assert (estimate.low, estimate.high) == pytest.approx((low, high), abs=0.0015)


def test_the_probability_of_improvement_is_that_of_rliable():
    estimate = probability_of_improvement(OURS, THEIRS, resamples=5000)
    assert estimate.value == pytest.approx(0.6133333333333334, abs=1e-12)
    assert (estimate.low, estimate.high) == pytest.approx((0.46667, 0.75333), abs=0.008)


def test_the_interval_is_about_repetitions_and_not_about_tasks():
    # Repetitions that agree leave nothing to draw, however far the tasks are apart.
    assert interquartile_mean([[0.0] * 3, [1.0] * 3])[:3] == (0.5, 0.5, 0.5)


def test_single_repetitions_have_no_interval():
    assert math.isnan(interquartile_mean([[0.5], [0.7]]).low)


def test_a_missing_score_is_refused_and_not_averaged_over():
    with pytest.raises(ValueError, match="restrict the tasks first"):
        interquartile_mean([[0.5, math.nan], [0.7, 0.8]])
    with pytest.raises(ValueError, match="restrict the tasks first"):
        interquartile_mean([[0.5], []])


def test_nothing_at_all_is_no_estimate():
    assert interquartile_mean([]).n == 0
    assert math.isnan(interquartile_mean([]).value)


@given(st.lists(st.lists(st.floats(0, 1), min_size=3, max_size=3), min_size=1, max_size=4))
def test_improvement_over_each_other_sums_to_one(scores):
    other = [[0.5, 0.2, 0.9] for _ in scores]
    ahead = probability_of_improvement(scores, other, resamples=10).value
    behind = probability_of_improvement(other, scores, resamples=10).value
    assert ahead + behind == pytest.approx(1.0)


def test_equal_runs_improve_on_each_other_half_of_the_time():
    assert probability_of_improvement([[0.5, 0.5]], [[0.5]]).value == 0.5


def test_the_same_seed_gives_the_same_interval():
    assert interquartile_mean(OURS) == interquartile_mean(OURS)
    assert interquartile_mean(OURS, seed=1) != interquartile_mean(OURS)


def test_gain_is_0_at_zero_shot_and_1_at_first_order():
    gains = normalised_gain({"t": [0.5, 0.9, 0.7, 0.3]}, {"t": 0.5}, {"t": 0.9})
    assert gains.values["t"].tolist() == pytest.approx([0.0, 1.0, 0.5, -0.5])


def test_gain_of_a_metric_that_falls_is_the_same_with_its_sign_turned():
    gains = normalised_gain({"t": [-2.0]}, {"t": -3.0}, {"t": -1.0})
    assert gains.values["t"].tolist() == [0.5]


def test_gain_is_undefined_where_first_order_gains_under_two_points():
    gains = normalised_gain(
        {"flat": [0.9], "edge": [0.5], "no zero": [0.5], "no first": [0.5]},
        {"flat": 0.5, "edge": 0.5, "no first": 0.5},
        {"flat": 0.519, "edge": 0.52, "no zero": 0.9},
    )
    assert list(gains.values) == ["edge"]
    assert gains.undefined == {
        "flat": "first-order tuning gains 0.019 over zero-shot, under 0.02",
        "no zero": "no zero-shot result",
        "no first": "no first-order result",
    }


def test_scale_and_shift_of_a_metric_do_not_change_gains():
    scores = np.asarray([0.4, 0.7])
    plain = normalised_gain({"t": scores.tolist()}, {"t": 0.2}, {"t": 0.8}).values["t"]
    other = normalised_gain({"t": (10 * scores - 3).tolist()}, {"t": -1.0}, {"t": 5.0}).values["t"]
    assert plain.tolist() == pytest.approx(other.tolist())

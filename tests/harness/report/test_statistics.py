"""Intervals and ranks, against derivations and scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from harness.report.statistics import average_ranks, mean_interval

VALUES = st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=12)


def test_the_interval_is_students_t_of_the_mean():
    # t(0.975, 2) = 4.302653; the standard error of 1, 2, 3 is 1 / sqrt(3)
    interval = mean_interval([1.0, 2.0, 3.0])
    assert interval.mean == 2.0
    assert interval.high - 2.0 == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)
    assert interval.n == 3


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=12))
def test_the_interval_agrees_with_scipy(values):
    if np.std(values) < 1e-6:
        return
    expected = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    interval = mean_interval(values)
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), rel=1e-6, abs=1e-6)


def test_one_value_has_no_interval_and_none_has_no_mean():
    assert math.isnan(mean_interval([0.5]).low)
    assert math.isnan(mean_interval([]).mean)
    assert mean_interval([]).n == 0


def test_a_missing_value_does_not_count():
    assert mean_interval([1.0, math.nan, 3.0])[0] == 2.0
    assert mean_interval([1.0, math.nan, 3.0]).n == 2


def test_ties_share_the_mean_of_their_places():
    assert average_ranks([0.9, 0.5, 0.9, 0.1], "max") == [1.5, 3.0, 1.5, 4.0]
    assert average_ranks([0.9, 0.5, 0.9, 0.1], "min") == [3.5, 2.0, 3.5, 1.0]


@given(VALUES)
def test_ranks_sum_to_the_same_whatever_the_ties(values):
    assert sum(average_ranks(values, "max")) == len(values) * (len(values) + 1) / 2


@given(VALUES)
def test_turning_the_direction_turns_the_ranks(values):
    up, down = average_ranks(values, "max"), average_ranks(values, "min")
    assert [a + b for a, b in zip(up, down, strict=True)] == [len(values) + 1] * len(values)


def test_what_is_missing_has_no_rank_and_takes_no_place():
    ranks = average_ranks([0.1, math.nan, 0.9], "max")
    assert (ranks[0], ranks[2]) == (2.0, 1.0)
    assert math.isnan(ranks[1])

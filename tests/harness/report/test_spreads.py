"""Means over tasks, pooled deviations and shares: against Student's and Welch's intervals and scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from harness.report.statistics import mean_interval, pooled_deviation, share, stratified_mean

VALUES = st.lists(st.integers(0, 100), min_size=2, max_size=8)


@given(VALUES)
def test_of_one_task_the_interval_is_students(values):
    assert stratified_mean([values]) == pytest.approx(mean_interval(values))


@given(VALUES, VALUES)
def test_of_two_tasks_it_is_that_of_welchs_difference(ours, theirs):
    # The mean of x and -y is half of Welch's difference x - y.
    if min(np.std(ours), np.std(theirs)) == 0:  # scipy warns
        return
    expected = stats.ttest_ind(ours, theirs, equal_var=False).confidence_interval(0.95)
    found = stratified_mean([ours, [-value for value in theirs]])
    assert (2 * found.low, 2 * found.high) == pytest.approx((expected.low, expected.high))


def test_tasks_count_alike_whatever_their_repetitions():
    assert stratified_mean([[0.0] * 9, [1.0]]).mean == 0.5


def test_a_task_without_a_value_is_no_mean():
    assert math.isnan(stratified_mean([[1.0, 2.0], []]).mean)
    assert stratified_mean([]).n == 0


def test_the_pooled_deviation_weighs_tasks_by_their_degrees_of_freedom():
    # squares 2 and 8 over 1 + 2 degrees of freedom, chi-squared(3) quantiles 9.3484 and 0.21580
    found = pooled_deviation([[0.0, 2.0], [0.0, 2.0, 4.0]])
    assert found.mean == pytest.approx(math.sqrt(10 / 3))
    assert (found.low, found.high) == pytest.approx(
        (math.sqrt(10 / 9.3484), math.sqrt(10 / 0.2158)), rel=1e-4
    )
    assert found.n == 5


@given(st.integers(1, 40), st.data())
def test_the_interval_of_a_share_is_that_of_scipy(n, data):
    count = data.draw(st.integers(0, n))
    expected = stats.binomtest(count, n).proportion_ci(method="wilson")
    found = share(count, n)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_a_share_of_nothing_is_missing():
    assert math.isnan(share(0, 0).mean)

"""Ranges of options."""

from __future__ import annotations

import math

import pytest

from harness.core import Range, ranges


def test_bounds_belong_to_a_range():
    span = Range(0.1, 10.0)
    assert 0.1 in span
    assert 10.0 in span
    assert 10.1 not in span


@pytest.mark.parametrize("bounds", [(1.0, 1.0), (2.0, 1.0), (1.0, math.inf), (math.nan, 1.0), (0.0, 1.0)])
def test_bounds_that_make_no_logarithmic_range_are_refused(bounds):
    with pytest.raises(ValueError, match="range needs"):
        Range(*bounds)


def test_a_linear_range_may_begin_at_nought():
    assert 0.0 in Range(0.0, 1.0, log=False)


def test_ranges_are_logarithmic():
    assert ranges(lr=(0.1, 1.0)) == {"lr": Range(0.1, 1.0, log=True)}

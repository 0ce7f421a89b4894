"""Paired tests, ranks and critical differences: against scipy, statsmodels, Demsar's example, derivations."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import studentized_range, wilcoxon

from harness.report.statistics import (
    cliques,
    complete_blocks,
    critical_difference,
    friedman,
    holm,
    paired_tests,
    without_gaps,
)

# Demsar, 2006, table 6: AUC of C4.5, with m, with cf, with both, on 14 data sets. In `voting` the last two
# are printed as .975 both and ranked 2 and 3, so a digit is added here. Ranked by hand from these rows the
# sums are 44, 28, 40.5 and 27.5 of 14 x 10; over 14 they are the average ranks that the paper prints.
DEMSAR = np.asarray(
    [
        [0.763, 0.768, 0.771, 0.798],
        [0.599, 0.591, 0.590, 0.569],
        [0.954, 0.971, 0.968, 0.967],
        [0.628, 0.661, 0.654, 0.657],
        [0.882, 0.888, 0.886, 0.898],
        [0.936, 0.931, 0.916, 0.931],
        [0.661, 0.668, 0.609, 0.685],
        [0.583, 0.583, 0.563, 0.625],
        [0.775, 0.838, 0.866, 0.875],
        [1.000, 1.000, 1.000, 1.000],
        [0.940, 0.962, 0.965, 0.962],
        [0.619, 0.666, 0.614, 0.669],
        [0.972, 0.981, 0.9751, 0.975],
        [0.957, 0.978, 0.946, 0.970],
    ]
)


def test_average_ranks_and_critical_difference_are_those_of_demsars_example():
    test = friedman(DEMSAR)
    assert test.ranks == pytest.approx([3.143, 2.000, 2.893, 1.964], abs=5e-4)
    assert test.difference == pytest.approx(1.25, abs=0.005)
    # chi squared of the ranks without a correction for ties: 9.28
    chi = 12 * 14 / (4 * 5) * (sum(rank**2 for rank in test.ranks) - 4 * 25 / 4)
    assert chi == pytest.approx(9.28, abs=0.005)
    assert 13 * chi / (14 * 3 - chi) == pytest.approx(3.69, abs=0.005)  # Iman and Davenport's F
    assert test.p < 0.05


@pytest.mark.parametrize(
    ("contestants", "quantile"), [(2, 1.960), (3, 2.343), (5, 2.728), (7, 2.949), (10, 3.164)]
)
def test_the_quantiles_are_those_of_demsars_table_5(contestants, quantile):
    scale = math.sqrt(contestants * (contestants + 1) / 6)
    assert critical_difference(contestants, 1) / scale == pytest.approx(quantile, abs=1e-3)


def test_the_critical_difference_is_where_nemenyis_p_is_the_level():
    test = friedman(DEMSAR)
    from scikit_posthocs import posthoc_nemenyi_friedman  # here: it brings figures and models along

    p = posthoc_nemenyi_friedman(DEMSAR).to_numpy()
    apart = np.abs(np.subtract.outer(test.ranks, test.ranks))
    assert ((p < 0.05) == (apart >= test.difference)).all()
    scale = test.difference / studentized_range.ppf(0.95, 4, math.inf)
    assert p[0, 3] == pytest.approx(studentized_range.sf(apart[0, 3] / scale, 4, math.inf), abs=1e-6)


def test_contestants_that_are_always_equal_differ_in_nothing():
    test = friedman(np.ones((8, 3)))
    assert (test.ranks, test.p) == ([2.0, 2.0, 2.0], 1.0)


def test_two_contestants_have_ranks_and_no_friedman_test():
    test = friedman([[0.9, 0.1]] * 8)
    assert test.ranks == [1.0, 2.0]
    assert test.note == "Friedman's test needs three contestants"


def test_rounding_noise_is_no_rank():
    assert friedman([[0.1 + 0.2, 0.3, 0.1]] * 6).ranks == [1.5, 1.5, 3.0]


def test_five_blocks_are_not_enough_and_six_are():
    differing = np.stack([np.arange(6.0) + 1, np.zeros(6)], axis=1)
    assert np.isnan(paired_tests(differing[:5]).p).all()
    assert "5 blocks, 6 are needed" in paired_tests(differing[:5]).note
    assert paired_tests(differing).p[0, 1] == pytest.approx(2 / 2**6)
    assert friedman(np.ones((5, 3))).note == "not enough data: 5 blocks, 6 are needed"


def test_the_signed_rank_test_is_exact_where_differences_tie():
    # d = 1, 1, 1, 1, 1, -1: all ranks 3.5, so W is decided by the number of signs: 2 (6 + 1) / 2^6
    scores = np.asarray([[1.0, 0.0]] * 5 + [[0.0, 1.0]])
    assert paired_tests(scores).p[0, 1] == pytest.approx(14 / 64)


@pytest.mark.parametrize("blocks", [6, 9, 14, 30, 51])
def test_all_pairs_at_once_have_the_p_that_scipy_gives_each_of_them(blocks):
    random = np.random.default_rng(blocks)
    # Contestants with few values, so with ties and zeros, and with many, so without.
    few = random.integers(0, 4, size=(blocks, 3)) / 4
    table = np.concatenate([few, random.normal(0.5, 0.1, size=(blocks, 3)), few[:, :1]], axis=1)
    pairs = [(a, b) for a in range(7) for b in range(a + 1, 7) if (a, b) != (0, 6)]
    p = [wilcoxon(table[:, a] - table[:, b], zero_method="pratt").pvalue for a, b in pairs]
    expected = holm([*p, 1.0])[:-1]
    found = paired_tests(table).p
    assert [found[pair] for pair in pairs] == pytest.approx(expected)
    assert found[0, 6] == 1.0


def test_equal_contestants_have_p_1():
    assert paired_tests(np.ones((7, 2))).p[0, 1] == 1.0


def test_pairs_are_corrected_for_their_number():
    random = np.random.default_rng(0)
    table = random.normal(loc=[0.0, 0.5, 1.0], size=(20, 3))
    alone = [paired_tests(table[:, pair]).p[0, 1] for pair in ([0, 1], [0, 2], [1, 2])]
    together = paired_tests(table).p
    assert [together[0, 1], together[0, 2], together[1, 2]] == pytest.approx(holm(alone))
    assert max(alone) <= together[0, 1]


@pytest.mark.parametrize(
    ("p", "expected"),
    [
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
        ([0.2, 0.2, 0.001], [0.4, 0.4, 0.003]),
        ([0.9, 0.5], [1.0, 1.0]),
        ([0.04], [0.04]),
        ([], []),
    ],
)
def test_holms_correction_is_that_of_statsmodels(p, expected):
    # statsmodels 0.15.0, multipletests(p, method="holm")
    assert holm(p) == pytest.approx(expected)


def test_groups_reach_as_far_as_the_critical_difference_and_no_group_is_in_another():
    assert cliques([1.0, 1.4, 1.9, 5.0], 1.0) == [[0, 1, 2]]
    assert cliques([1.0, 3.0, 5.0], 1.0) == []
    assert cliques([1.0, 2.0], 1.0) == []


def frame(*rows):
    return pd.DataFrame(rows, columns=["task", "repetition", "algorithm", "score"])


def test_a_repetition_that_any_contestant_lacks_is_left_out_and_named():
    blocks = complete_blocks(
        frame(("s", 0, "a", 1.0), ("s", 0, "b", 2.0), ("s", 1, "a", 3.0), ("s", 1, "b", math.nan))
    )
    assert blocks.repetitions == [0]
    assert blocks.scores.tolist() == [[1.0, 2.0]]
    assert blocks.note == "1 of 2 blocks left out: no score on them for b (1)"


def test_a_contestant_that_sat_out_most_tasks_is_left_out_and_the_tasks_are_kept():
    rows = [(task, 0, name, 1.0) for task in "stu" for name in "ab"]
    blocks = complete_blocks(frame(*rows, ("s", 0, "c", 1.0), ("t", 0, "c", math.nan), ("u", 0, "c", None)))
    assert blocks.contestants == ["a", "b"]
    assert blocks.tasks == ["s", "t", "u"]
    assert blocks.note == "c left out (no score on 2 of 3 tasks)"


def test_a_task_that_most_sat_out_is_left_out_and_the_contestants_are_kept():
    rows = [(task, 0, name, 1.0) for task in "stu" for name in "abc"]
    blocks = complete_blocks(frame(*rows, ("x", 0, "a", 1.0), ("x", 0, "b", None), ("x", 0, "c", None)))
    assert blocks.contestants == ["a", "b", "c"]
    assert blocks.note == "x left out (no score of 2 of 3 contestants)"


def test_a_contestant_without_any_score_does_not_take_all_blocks_with_it():
    blocks = complete_blocks(frame(("s", 0, "a", 1.0), ("s", 0, "b", math.nan)))
    assert blocks.contestants == ["a"]
    assert blocks.scores.tolist() == [[1.0]]
    assert blocks.note == "b left out (no score on 1 of 1 tasks)"


@given(st.lists(st.lists(st.booleans(), min_size=4, max_size=4), min_size=1, max_size=6))
def test_what_is_kept_has_no_gaps(known):
    rows, columns = without_gaps(known)
    assert all(known[row][column] for row in rows for column in columns)


def test_blocks_keep_the_order_in_which_tasks_and_contestants_came():
    blocks = complete_blocks(
        frame(("z", 0, "b", 1.0), ("z", 0, "a", 2.0), ("a", 0, "b", 3.0), ("a", 0, "a", 4.0))
    )
    assert blocks.tasks == ["z", "a"]
    assert blocks.contestants == ["b", "a"]
    assert [task.tolist() for task in blocks.cube("a")] == [[2.0], [4.0]]


def test_no_cells_are_no_blocks():
    blocks = complete_blocks(frame())
    assert (blocks.contestants, blocks.tasks, blocks.note) == ([], [], "")

"""Finite differences, mu-lambda, random search and Adam against their definitions."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.core import Block, Budget, Gradients, Space
from tests.algorithms.drive import REGISTERED, drive, final_loss, make, space_of


def quadratic(points: torch.Tensor) -> torch.Tensor:
    """``z' H z / 2 + b' z`` with a full H; its gradient at 0 is b."""
    d = points.shape[1]
    root = torch.arange(d * d).double().reshape(d, d).sin()
    return 0.5 * ((points @ root) ** 2).sum(1) + points @ torch.arange(d).double().cos()


def test_a_central_difference_is_exact_on_a_quadratic_whatever_sigma() -> None:
    for sigma in (0.1, 3.0):
        descent = make("finite-difference", space_of(6), 12, coordinates=6, sigma=sigma, lr=1.0)
        drive(descent, 12, quadratic)
        expected = -torch.arange(6).double().cos()
        torch.testing.assert_close(descent.best().values[0].double(), expected, rtol=1e-4, atol=1e-5)


def test_a_forward_difference_is_off_by_half_sigma_times_the_curvature() -> None:
    descent = make("finite-difference", space_of(6), 7, coordinates=6, sigma=0.1, lr=1.0, scheme="forward")
    drive(descent, 7, lambda points: points.square().sum(1) + points.sum(1))
    assert descent.best().values[0].tolist() == pytest.approx([-1.1] * 6, rel=1e-4)


def test_random_coordinates_are_scaled_to_be_right_on_average() -> None:
    slope = torch.linspace(1.0, 2.0, 6).double()
    total = torch.zeros(6).double()
    for seed in range(300):
        descent = make("finite-difference", space_of(6), 4, seed, coordinates=2, sigma=0.5, lr=1.0)
        drive(descent, 4, lambda points: points @ slope)
        step = descent.best().values[0].double()
        assert int((step != 0).sum()) == 2
        total += step / 300
    torch.testing.assert_close(-total, slope, rtol=0.3, atol=0.0)


def test_finite_differences_that_cannot_be_paid_once_are_a_misfit() -> None:
    kind = REGISTERED["finite-difference"].load()
    assert "640" in kind.misfit(320, 200, coordinates=320)
    assert kind.misfit(320, 200) is None
    assert kind.misfit(320, 321, coordinates=320, scheme="forward") is None


def test_comma_selection_recombines_the_best_offspring_with_log_rank_weights() -> None:
    es = make("mu-lambda", space_of(), 100, population=6, parents=3)
    asked = es.ask(100)
    es.tell(asked, torch.tensor([5.0, 1.0, 4.0, 3.0, 2.0, 6.0], dtype=torch.float64))
    weights = torch.tensor([3.5, 3.5, 3.5]).log() - torch.tensor([1.0, 2.0, 3.0]).log()
    expected = (weights / weights.sum()) @ asked.values[[1, 4, 3]]
    torch.testing.assert_close(es.best().values[0], expected)


def test_comma_selection_forgets_its_parents_and_plus_selection_keeps_them() -> None:
    losses = torch.ones(20).double()
    losses[3] = 0.5
    for selection, kept in (("comma", False), ("plus", True)):
        es = make("mu-lambda", space_of(), 200, selection=selection, reevaluate=False, parents=1)
        first = es.ask(200)
        es.tell(first, losses[: len(first)])
        parent = first.values[3]
        worse = es.ask(180)
        es.tell(worse, 2 + losses[: len(worse)])
        assert bool((es.best().values[0] == parent).all()) == kept


def test_plus_selection_evaluates_its_parents_anew_and_counts_them() -> None:
    es = make("mu-lambda", space_of(), 200, selection="plus", population=8, parents=2)
    first = es.ask(200)
    assert len(first) == 1 + 8
    assert not first.values[0].any()
    es.tell(first, torch.arange(9).double())
    second = es.ask(191)
    assert torch.equal(second.values[:2], first.values[:2])
    # A parent that was lucky once is dropped when its second evaluation is bad.
    es.tell(second, torch.tensor([9.0, 8.0, *range(8)], dtype=torch.float64))
    assert torch.equal(es.parents, second.values[2:4])


def test_step_sizes_mutate_log_normally_with_the_published_rates() -> None:
    """Var ln(s) = 1/(2d) + 1/(2 sqrt d), of which 1/(2d) is shared by an offspring's coordinates."""
    d = 16
    es = make("mu-lambda", Space([Block("x", (d,), "vector")]), 10_000, population=4000)
    es.ask(10_000)
    logs = es._steps.log()
    assert float(logs.var()) == pytest.approx(1 / (2 * d) + 1 / (2 * d**0.5), rel=0.05)
    assert float(logs.mean(1).var()) == pytest.approx(1 / (2 * d) + 1 / (2 * d**0.5) / d, rel=0.1)


def test_random_search_reports_its_best_candidate_and_begins_at_the_start() -> None:
    search = make("random", space_of(), 60)
    asked = drive(search, 60)
    assert not asked[0][0].any()
    losses = 0.5 * (torch.cat(asked) - 1).square().mean(1)
    assert final_loss(search) == pytest.approx(float(losses.min()), rel=1e-6)


def test_adam_asks_for_gradients_and_pays_three_evaluations_for_each() -> None:
    adam = make("adam", space_of(), 100)
    assert adam.reference
    assert adam.needs_gradient
    asked = adam.ask(100)
    assert isinstance(asked, Gradients)
    assert Budget.price(asked) == 3
    assert adam.ask(2) is None
    assert not isinstance(adam.best(), Gradients)


def test_adam_equals_the_adam_of_torch() -> None:
    weights = torch.linspace(0.5, 3.0, 10)
    adam = make("adam", space_of(), 90, lr=0.05)
    drive(adam, 90, lambda points: ((points - 1).square() * weights).sum(1))
    point = torch.zeros(10, requires_grad=True)
    optimizer = torch.optim.Adam([point], lr=0.05)
    for _ in range(30):
        optimizer.zero_grad()
        ((point - 1).square() * weights).sum().backward()
        optimizer.step()
    torch.testing.assert_close(adam.best().values[0], point.detach(), rtol=1e-4, atol=1e-5)


def test_adam_leaves_out_a_step_whose_gradient_is_not_finite() -> None:
    adam = make("adam", space_of(), 90)
    adam.tell(adam.ask(90), torch.ones(1).double(), torch.full((1, 10), torch.nan))
    assert not adam.best().values.any()


def test_the_zero_shot_reference_asks_nothing_and_reports_the_untouched_model() -> None:
    untouched = make("zero-shot", space_of(), 100)
    assert untouched.reference
    assert untouched.ask(100) is None
    assert untouched.best() is None


@settings(max_examples=30, deadline=None)
@given(losses=st.lists(st.sampled_from([0.0, 1.0, 2.0, 3.0, float("inf"), float("nan")]), min_size=2))
def test_ranks_are_means_over_ties_with_failures_last(losses: list[float]) -> None:
    from scipy.stats import rankdata

    from algorithms.shaping import ranks, shape

    clean = [float("inf") if loss != loss else loss for loss in losses]
    expected = (rankdata(clean) - 1).tolist()
    told = torch.tensor(losses).double()
    assert ranks(told).tolist() == expected
    assert float(shape(told, "centred-rank").sum()) == pytest.approx(0.0, abs=1e-9)
    assert shape(told, "z-score").isfinite().all()

"""The (1+1) and guided evolution strategies, and what all rank-based and dense ones have in common."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from harness.core import Algorithm, Block, Space
from tests.algorithms.drive import drive, make, sphere

NAMES = ("one-plus-one", "snes", "xnes", "pgpe", "guided-es")
every = pytest.mark.parametrize("name", NAMES)


def flat(dimension: int) -> Space:
    return Space([Block("x", (dimension,), "vector")])


def advance(es: Algorithm, generations: int) -> torch.Tensor:
    """Some generations on the sphere; all that was asked."""
    asked = []
    for _ in range(generations):
        population = es.ask(10_000)
        es.tell(population, sphere(population.values.double()))
        asked.append(population.values)
    return torch.cat(asked)


def equal(one: Any, other: Any) -> bool:
    """Whether two snapshots, nested dictionaries of tensors and numbers, are the same bit for bit."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    assert isinstance(one, int | float)
    return one == other


@every
def test_a_snapshot_resumes_the_same_run_and_is_not_moved_by_it(name: str) -> None:
    first, second = (make(name, flat(6), 10_000, seed) for seed in (1, 2))
    advance(first, 8)
    snapshot, copy = first.state(), first.state()
    asked = advance(first, 5)
    assert equal(snapshot, copy)
    second.load_state(snapshot)
    assert torch.equal(advance(second, 5), asked)
    assert equal(first.state(), second.state())
    assert equal(snapshot, copy)


@every
@pytest.mark.parametrize("value", [torch.nan, torch.inf, 0.5])
def test_a_generation_that_fails_or_ties_as_a_whole_changes_nothing(name: str, value: float) -> None:
    es = make(name, flat(6), 10_000)
    advance(es, 5)
    asked = es.ask(10_000)
    before = es.state()
    es.tell(asked, torch.full((len(asked),), value).double())
    assert equal(es.state(), before)


@pytest.mark.parametrize("name", ["one-plus-one", "snes", "xnes", "pgpe"])
def test_strictly_increasing_maps_of_the_loss_change_nothing(name: str) -> None:
    plain, mapped = (make(name, flat(6), 600) for _ in range(2))
    asked = drive(plain, 600)
    again = drive(mapped, 600, lambda points: (3 * sphere(points)).exp() - 7)
    assert all(torch.equal(a, b) for a, b in zip(asked, again, strict=True))


@every
def test_the_first_generation_moves_downhill(name: str) -> None:
    slope = torch.linspace(1.0, 2.0, 6).double()
    for seed in range(5):
        es = make(name, flat(6), 10_000, seed)
        moved = 0.0
        while not moved:  # the first child of one-plus-one may be worse
            asked = es.ask(10_000)
            es.tell(asked, asked.values.double() @ slope)
            moved = float(es.best().values[0].double() @ slope)
        assert moved < 0


@every
def test_endless_slopes_and_a_start_at_the_optimum_leave_finite_numbers(name: str) -> None:
    for loss in (lambda points: points.sum(1), lambda points: points.square().sum(1)):
        es = make(name, flat(3), 8_000)
        asked = drive(es, 8_000, loss)
        assert torch.cat(asked).isfinite().all()
        assert es.best().values.isfinite().all()
        sigma = torch.as_tensor(getattr(es, "sigma", 1.0))
        assert bool(((sigma >= 1e-30) & (sigma <= 1e15)).all())


def test_one_plus_one_multiplies_its_step_size_as_published() -> None:
    es = make("one-plus-one", flat(8), 100, sigma=2.0)
    for parent, child, factor in ((2.0, 1.0, 0.8), (1.0, 2.0, -0.2), (1.0, torch.nan, -0.2)):
        before = es.sigma
        es.tell(es.ask(100), torch.tensor([parent, child]).double())
        assert es.sigma / before == pytest.approx(math.exp(factor / 3))  # sqrt(8 + 1)


def test_one_plus_one_converges_on_the_sphere_at_the_rate_of_the_theory() -> None:
    """(1+1) progress on the sphere: at best d E[ln ratio] = -.202 for large d (Rechenberg 1973).

    With p the share of successes ln sigma falls by (p - 1/5)/s a step, as fast as the distance: this fixes p.
    """
    d, steps, rates, successes = 20, 900, [], 0
    for seed in range(5):
        es = make("one-plus-one", flat(d), 4000, seed, sigma=0.3, reevaluate=False)
        for step in range(steps + 100):
            if step == 100:
                first = float((es.parent - 1).norm())
            parent = es.parent.clone()
            population = es.ask(4000)
            es.tell(population, sphere(population.values.double()))
            successes += step >= 100 and not torch.equal(parent, es.parent)
        rates.append(math.log(float((es.parent - 1).norm()) / first) / steps)
    rate = sum(rates) / len(rates)
    assert -0.22 < rate * d < -0.14
    assert successes / (5 * steps) == pytest.approx(0.2 + rate * math.sqrt(d + 1), abs=0.02)


def test_one_plus_one_evaluates_its_parent_beside_each_child() -> None:
    es = make("one-plus-one", flat(4), 100)
    first = es.ask(100)
    assert not first.values[0].any()
    es.tell(first, torch.tensor([2.0, 1.0]).double())
    second = es.ask(98)
    assert torch.equal(second.values[0], first.values[1])
    # The parent was lucky: on this minibatch its child is better, though worse than the parent was.
    es.tell(second, torch.tensor([5.0, 4.0]).double())
    assert torch.equal(es.best().values[0], second.values[1])


def test_one_plus_one_may_keep_the_loss_of_its_parent() -> None:
    es = make("one-plus-one", flat(4), 100, reevaluate=False)
    asked = drive(es, 100)
    assert [len(points) for points in asked] == [2] + [1] * 98
    parents = torch.cat(asked)
    assert float(sphere(es.best().values.double())) == float(sphere(parents).min())


def test_guided_es_equals_its_equations_pair_by_pair() -> None:
    d, sigma, lr, beta = 7, 0.5, 3.0, 1.5
    options: dict[str, Any] = {"sigma": sigma, "lr": lr, "beta": beta, "population": 6, "surrogates": 2}
    es = make("guided-es", flat(d), 400, **options)
    center, published_sigma, estimates = np.zeros(d), sigma * math.sqrt(d), []
    for generation in range(5):
        asked = es.ask(200)
        losses = sphere(asked.values.double())
        u, told = asked.values[::2].double().numpy() - center, losses.numpy()
        g = np.zeros(d)
        for direction, plus, minus in zip(u, told[::2], told[1::2], strict=True):
            g += beta / (2 * published_sigma**2 * 3) * (plus - minus) * direction
        center = center - lr * g
        estimates.append(g)
        es.tell(asked, losses)
        np.testing.assert_allclose(es.center.numpy(), center, rtol=1e-4, atol=1e-5)
        assert len(es.basis) == (2 if generation >= 1 else 0)
    basis = es.basis.double().numpy()
    np.testing.assert_allclose(basis @ basis.T, np.eye(2), atol=1e-5)
    last = np.stack(estimates[-2:])
    np.testing.assert_allclose(last @ basis.T @ basis, last, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(("alpha", "sigma"), [(0.5, 1.0), (0.2, 0.1), (1.0, 1.0)])
def test_a_guided_estimate_is_the_published_scaled_gradient_on_average(alpha: float, sigma: float) -> None:
    """``E g = beta (alpha/d I + (1 - alpha)/k Q Q') grad``, for any sigma where the loss is linear."""
    d, k = 6, 2
    options: dict[str, Any] = {"alpha": alpha, "sigma": sigma, "beta": 2.0, "lr": 1.0}
    es = make("guided-es", flat(d), 200_000, population=50_000, surrogates=k, **options)
    es.basis = torch.linalg.qr(torch.arange(d * k).reshape(d, k).float().cos())[0].T.contiguous()
    basis, slope = es.basis.double(), torch.linspace(1.0, -2.0, d).double()
    asked = es.ask(200_000)
    es.tell(asked, asked.values.double() @ slope)
    expected = 2.0 * (alpha / d * slope + (1 - alpha) / k * basis.T @ (basis @ slope))
    torch.testing.assert_close(-es.center, expected, rtol=0.0, atol=0.02)


def test_guided_es_searches_without_guidance_until_there_are_enough_estimates() -> None:
    """u has the variance sigma^2 in each coordinate, then (alpha + (1 - alpha) d/k) sigma^2 along Q."""
    d = 10
    es = make("guided-es", flat(d), 200_000, population=20_000, sigma=0.5, surrogates=1, lr=1e-9)
    asked = es.ask(100_000)
    assert float(asked.values.var()) == pytest.approx(0.25, rel=0.02)
    es.tell(asked, asked.values[:, 0].double())
    asked = es.ask(50_000).values - es.center.float()
    along = asked @ es.basis[0]
    assert float(along.var()) == pytest.approx((0.5 + 0.5 * d) * 0.25, rel=0.05)
    across = asked - along[:, None] * es.basis
    assert float(across.square().sum(1).mean()) == pytest.approx(0.5 * 0.25 * (d - 1), rel=0.05)

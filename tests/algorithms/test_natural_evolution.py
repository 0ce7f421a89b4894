"""SNES, xNES and PGPE: updates against plain transcriptions, and what they solve."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm

from algorithms.evolution_strategies.natural import utilities
from harness.core import Block, Space
from tests.algorithms.drive import REGISTERED, drive, final_loss, make

Array = np.ndarray


def flat(dimension: int) -> Space:
    return Space([Block("x", (dimension,), "vector")])


def crooked(points: torch.Tensor) -> torch.Tensor:
    """A smooth function without symmetries, whose least value is not at the start."""
    d = points.shape[1]
    root = torch.arange(d * d).double().reshape(d, d).sin()
    return ((points - 1) @ root).square().sum(1) + points.exp().mean(1)


def published_utilities(count: int) -> Array:
    """Wierstra et al. 2014, for the samples in order, the best first."""
    raw = [max(0.0, math.log(count / 2 + 1) - math.log(k)) for k in range(1, count + 1)]
    return np.array([value / sum(raw) - 1 / count for value in raw])


def test_defect_10_utilities_follow_the_ranks_and_not_the_order_of_the_samples() -> None:
    losses = torch.tensor([5.0, 1.0, 4.0, 2.0, 3.0, torch.nan, 0.5])
    expected = np.empty(7)
    expected[[6, 1, 3, 4, 2, 0, 5]] = published_utilities(7)
    np.testing.assert_allclose(utilities(losses).numpy(), expected, atol=1e-15)


@settings(max_examples=30, deadline=None)
@given(losses=st.lists(st.sampled_from([0.0, 1.0, 2.0, float("inf"), float("nan")]), min_size=1))
def test_utilities_sum_to_zero_and_are_shared_by_ties(losses: list[float]) -> None:
    shared = utilities(torch.tensor(losses))
    assert float(shared.sum()) == pytest.approx(0.0, abs=1e-12)
    clean = [float("inf") if loss != loss else loss for loss in losses]
    for value in set(clean):
        of_value = [float(u) for u, loss in zip(shared, clean, strict=True) if loss == value]
        assert of_value == pytest.approx([of_value[0]] * len(of_value))


def test_defaults_are_the_published_ones() -> None:
    """At d = 500: 4 + floor(3 ln d) = 22, (3 + ln d)/(5 sqrt d) and .6 (3 + ln d)/(d sqrt d)."""
    snes, xnes = make("snes", flat(500), 100), make("xnes", flat(500), 100)
    assert snes.population == xnes.population == 22
    assert snes.eta_mean == xnes.eta_mean == 1.0
    assert snes.eta_sigma == pytest.approx(9.214608 / 111.80340)
    assert xnes.eta_sigma == xnes.eta_shape == pytest.approx(0.6 * 9.214608 / 11180.340)
    assert REGISTERED["xnes"].load().misfit(501, 1000) is not None
    assert make("pgpe", flat(900), 100, sigma=2.0).lr == pytest.approx(2.0)  # radius 60, its 15th is 2 lr


def test_snes_equals_its_equations_sample_by_sample() -> None:
    d = 5
    es = make("snes", flat(d), 400, sigma=0.7, eta_mean=0.9, eta_sigma=0.4)
    mean, sigma = np.zeros(d), np.full(d, 0.7)
    for remaining in (400, 300, 11):
        asked = es.ask(remaining)
        losses = crooked(asked.values.double())
        s = (asked.values.double().numpy() - mean) / sigma
        s = s[losses.numpy().argsort()]
        grad_mean, grad_sigma = np.zeros(d), np.zeros(d)
        for utility, sample in zip(published_utilities(len(s)), s, strict=True):
            grad_mean += utility * sample
            grad_sigma += utility * (sample**2 - 1)
        mean = mean + 0.9 * sigma * grad_mean
        sigma = sigma * np.exp(0.4 / 2 * grad_sigma)
        es.tell(asked, losses)
        np.testing.assert_allclose(es.mean.numpy(), mean, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(es.sigma.numpy(), sigma, rtol=1e-5)
    np.testing.assert_allclose(es.best().values[0].numpy(), mean, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("population", [4, 15])
def test_defect_10_xnes_takes_the_matrix_exponential_of_the_whole_gradient(population: int) -> None:
    """With fewer and with more samples than coordinates; scipy's expm on the dense matrix."""
    d = 6
    options = {"eta_sigma": 0.5, "eta_shape": 0.8, "eta_mean": 0.9}
    es = make("xnes", flat(d), 4000, sigma=0.7, population=population, **options)
    mean, sigma, shape = np.zeros(d), 0.7, np.eye(d)
    for _ in range(4):
        asked = es.ask(1000)
        losses = crooked(asked.values.double())
        s = np.linalg.solve(sigma * shape, (asked.values.double().numpy() - mean).T).T
        s = s[losses.numpy().argsort()]
        grad_mean, grad_matrix = np.zeros(d), np.zeros((d, d))
        for utility, sample in zip(published_utilities(population), s, strict=True):
            grad_mean += utility * sample
            grad_matrix += utility * (np.outer(sample, sample) - np.eye(d))
        grad_sigma = np.trace(grad_matrix) / d
        mean = mean + 0.9 * sigma * shape @ grad_mean
        sigma = sigma * math.exp(0.5 / 2 * grad_sigma)
        shape = shape @ expm(0.8 / 2 * (grad_matrix - grad_sigma * np.eye(d)))
        es.tell(asked, losses)
        np.testing.assert_allclose(es.mean.numpy(), mean, rtol=1e-4, atol=1e-5)
        assert es.sigma == pytest.approx(sigma, rel=1e-4)
        np.testing.assert_allclose(es.shape.numpy(), shape, rtol=1e-4, atol=1e-4)
    assert float(torch.linalg.det(es.shape)) == pytest.approx(1.0)


def test_pgpe_equals_its_equations_pair_by_pair() -> None:
    d, lr, momentum = 5, 0.3, 0.9
    es = make("pgpe", flat(d), 400, sigma=0.7, lr=lr, population=8)
    center, sigma, velocity = np.zeros(d), np.full(d, 0.7), np.zeros(d)
    for _ in range(6):
        asked = es.ask(200)
        losses = crooked(asked.values.double())
        fitness = 0.5 - losses.numpy().argsort().argsort() / 7
        noise = asked.values[::2].double().numpy() - center
        grad_center, grad_sigma = np.zeros(d), np.zeros(d)
        for e, plus, minus in zip(noise, fitness[::2], fitness[1::2], strict=True):
            grad_center += e * (plus - minus) / 2 / 4
            grad_sigma += ((plus + minus) / 2 - fitness.mean()) * (e**2 - sigma**2) / sigma / 4
        velocity = momentum * velocity + lr * grad_center / np.linalg.norm(grad_center)
        velocity *= min(1.0, 2 * lr / np.linalg.norm(velocity))
        center = center + velocity
        sigma = np.clip(sigma + 0.1 * grad_sigma, 0.8 * sigma, 1.2 * sigma)
        es.tell(asked, losses)
        np.testing.assert_allclose(es.center.numpy(), center, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(es.sigma.numpy(), sigma, rtol=1e-4)


def test_a_constant_added_to_raw_losses_does_not_move_pgpe() -> None:
    plain, raised = (make("pgpe", flat(5), 400, shaping="raw") for _ in range(2))
    asked = drive(plain, 400, crooked)
    again = drive(raised, 400, lambda points: crooked(points) + 64.0)
    for a, b in zip(asked, again, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


def test_pgpe_changes_a_sigma_by_a_fifth_at_most() -> None:
    es = make("pgpe", flat(50), 4000, sigma_lr=1e3)
    before = es.sigma.clone()
    for _ in range(20):
        asked = es.ask(4000)
        es.tell(asked, crooked(asked.values.double()))
        change = es.sigma / before - 1
        assert float(change.abs().max()) == pytest.approx(0.2)
        before = es.sigma.clone()


def test_pgpe_steps_grow_from_lr_to_the_speed_limit_of_twice_lr() -> None:
    es = make("pgpe", flat(8), 40_000, lr=0.01, population=400)
    before, lengths = es.center.clone(), []
    for _ in range(30):
        asked = es.ask(40_000)
        es.tell(asked, asked.values.double().sum(1))
        lengths.append(float((es.center - before).norm()))
        before = es.center.clone()
    assert lengths[0] == pytest.approx(0.01)
    assert lengths[-1] == pytest.approx(0.02)
    assert max(lengths) <= 0.02 * (1 + 1e-9)


def test_a_sigma_shrinks_where_both_members_of_far_pairs_are_worse_and_grows_where_they_are_better() -> None:
    for sign, ordered in ((1.0, torch.lt), (-1.0, torch.gt)):
        es = make("pgpe", flat(4), 40_000, population=2000)
        asked = es.ask(40_000)
        es.tell(asked, sign * asked.values.double()[:, 0].square())
        assert bool(ordered(es.sigma[0], 0.99 if sign > 0 else 1.01))


def conditioned(points: torch.Tensor) -> torch.Tensor:
    """An ellipsoid of condition 1e4 around 1."""
    d = points.shape[1]
    return ((points - 1).square() * torch.logspace(0, 4, d).double()).sum(1)


def rotated(points: torch.Tensor) -> torch.Tensor:
    d = points.shape[1]
    turn = torch.linalg.qr(torch.arange(d * d).double().reshape(d, d).sin() + torch.eye(d).double())[0]
    return conditioned((points - 1) @ turn + 1)


def test_snes_solves_the_sphere_and_an_ellipsoid_along_the_axes() -> None:
    for loss, budget in ((lambda points: (points - 1).square().sum(1), 4_000), (conditioned, 12_000)):
        es = make("snes", flat(20), budget)
        drive(es, budget, loss)
        assert final_loss(es, loss) < 1e-6


def test_xnes_solves_an_ellipsoid_turned_away_from_the_axes() -> None:
    es = make("xnes", flat(10), 8_000)
    drive(es, 8_000, rotated)
    assert final_loss(es, rotated) < 1e-6

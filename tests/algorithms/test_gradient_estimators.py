"""The named gradient estimators, step by step, against numpy transcriptions of their equations."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, get_args

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from algorithms.descent import Descent
from algorithms.gradient_estimators.zeroth_order import Direction, EstimatorName
from algorithms.steps import StepRule
from harness.core import Block, Budget, Gaussian, Gradients, Noise, Perturbations, Space
from tests.algorithms.drive import REGISTERED, coordinates, drive, make, space_of

Array = NDArray[np.float64]

NAMED = sorted(
    name
    for name, entry in REGISTERED.items()
    if entry.load().family == "gradient estimators" and issubclass(entry.load(), Descent)
)
PLAIN = sorted(set(NAMED) - {"zo-svrg"})
DIFFERENCES = sorted(set(NAMED) - {"one-point"})


def matrices() -> Space:
    """Two matrices of one shape and a vector, which begin at numbers of different size."""
    blocks = [
        Block("p", (4, 3), "matrix", 0.5),
        Block("q", (4, 3), "matrix", 2.0),
        Block("b", (4,), "vector"),
    ]
    generator = torch.Generator().manual_seed(0)
    return Space(blocks, {b.name: torch.randn(b.shape, generator=generator) for b in blocks})


def valley(points: torch.Tensor) -> torch.Tensor:
    """Not quadratic, and steep in some coordinates: ``sum_i log(1 + i (z_i - 1)^2)``."""
    steep = torch.arange(1, points.shape[1] + 1).double() / points.shape[1]
    return (1 + steep * (points.double() - 1).square()).log().sum(1)


def loss_at(z: Array) -> float:
    return float(valley(torch.from_numpy(z)[None])[0])


def draws(noise: Noise, queries: int) -> Array:
    """Directions 0..q-1 as coordinates ``[q, d]``."""
    blocks = noise.space.blocks
    return np.stack(
        [
            np.concatenate([noise.draw(j, b.name).double().flatten().numpy() for b in blocks])
            for j in range(queries)
        ]
    )


def center(algorithm: Any) -> Array:
    return coordinates(algorithm.best())[0].numpy()


def follow(
    algorithm: Any, step: Callable[[Array, Noise, int], Array], steps: int, rtol: float = 1e-4
) -> None:
    """Tell the valley's losses, and compare the center with that of ``step(z, noise, t)`` throughout."""
    z = np.zeros(algorithm.space.size)
    for t in range(steps):
        asked = algorithm.ask(10_000)
        algorithm.tell(asked, valley(asked.coordinates()))
        z = step(z, asked.noise, t)
        np.testing.assert_allclose(center(algorithm), z, rtol=rtol, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "options", "price"),
    [
        ("spsa", {}, 2),
        ("gaussian-smoothing", {"queries": 3}, 4),
        ("mezo", {"queries": 3}, 6),
        ("sphere-smoothing", {"queries": 3}, 6),
        ("one-point", {}, 1),
        ("residual-feedback", {}, 1),
        ("leave-one-out", {"queries": 3}, 3),
        ("orthogonal-smoothing", {"queries": 3}, 6),
        ("lozo", {}, 2),
        ("subzero", {}, 2),
        ("hizoo", {}, 3),
        ("sparse-mezo", {}, 2),
        ("fzoo", {"queries": 3}, 4),
        ("spsa-1.5", {"queries": 3}, 7),
        ("forward-gradient", {}, 3),
        ("finite-difference", {"coordinates": 10}, 20),
        ("finite-difference", {"coordinates": 10, "scheme": "forward"}, 11),
        ("finite-difference", {"coordinates": 3, "scheme": "forward"}, 4),
    ],
)
def test_a_step_costs_what_its_publication_says(name: str, options: dict[str, Any], price: int) -> None:
    algorithm = make(name, space_of(), 200, **options)
    for _ in range(3):
        asked = algorithm.ask(100)
        assert Budget.price(asked) == price
        algorithm.tell(asked, torch.arange(len(asked)).double(), torch.ones(len(asked), 10))


@pytest.mark.parametrize(("scheme", "slope"), [("forward", 3 + 3 * 0.1 + 0.1**2), ("central", 3 + 0.1**2)])
def test_finite_differences_are_off_by_the_order_of_their_scheme(scheme: str, slope: float) -> None:
    """By hand, of ``(z + 1)^3`` at 0, whose slope is 3: O(sigma) forward and O(sigma^2) central."""
    search = make("finite-difference", space_of(), 100, scheme=scheme, coordinates=10, sigma=0.1, lr=1.0)
    asked = search.ask(20)
    search.tell(asked, (asked.values.double() + 1).pow(3).sum(1))
    np.testing.assert_allclose(-center(search), slope, rtol=1e-5)


@pytest.mark.parametrize("count", [1, 3])
def test_finite_differences_along_s_of_d_coordinates_count_d_over_s_times(count: int) -> None:
    slope = torch.linspace(1.0, 2.0, 10).double()
    search = make("finite-difference", space_of(), 100, coordinates=count, lr=1.0)
    search.tell(asked := search.ask(2 * count), asked.values.double() @ slope)
    moved = center(search) != 0
    assert moved.sum() == count
    np.testing.assert_allclose(center(search)[moved], -10 / count * slope.numpy()[moved], rtol=1e-5)


def test_mezo_and_spsa_follow_their_equations() -> None:
    """20 steps on a loss that is not quadratic, with the same draws."""

    def mezo_step(z: Array, noise: Noise, t: int) -> Array:
        g = np.zeros_like(z)
        for u in draws(noise, 2):
            g += (loss_at(z + 0.2 * u) - loss_at(z - 0.2 * u)) / (2 * 0.2) * u / 2
        return z - 0.05 * g

    def spsa_step(z: Array, noise: Noise, k: int) -> Array:
        offset = 0.1 * 50  # a tenth of the steps that the budget allows
        a_k = 0.1 * (1 + offset) ** 0.602 / (k + 1 + offset) ** 0.602
        c_k = 0.2 / (k + 1) ** 0.101
        delta = draws(noise, 1)[0]
        return z - a_k * (loss_at(z + c_k * delta) - loss_at(z - c_k * delta)) / (2 * c_k * delta)

    follow(make("mezo", space_of(), 100, queries=2, sigma=0.2, lr=0.05), mezo_step, 20)
    follow(make("spsa", space_of(), 100, sigma=0.2, lr=0.1), spsa_step, 20)


def test_one_sided_estimates_follow_their_equations() -> None:
    def smoothing(z: Array, noise: Noise, t: int) -> Array:
        slopes = [(loss_at(z + 0.2 * u) - loss_at(z)) / 0.2 * u for u in draws(noise, 3)]
        return z - 0.05 * np.mean(slopes, axis=0)

    def flaxman(z: Array, noise: Noise, t: int) -> Array:
        d, mu = len(z), 0.5 * np.sqrt(len(z))
        v = draws(noise, 1)[0] / np.sqrt(d)
        assert np.linalg.norm(v) == pytest.approx(1.0, rel=1e-5)
        return z - 0.001 * d / mu * loss_at(z + mu * v) * v

    before: list[float] = []

    def residual(z: Array, noise: Noise, t: int) -> Array:
        u = draws(noise, 1)[0]
        before.append(loss_at(z + 0.2 * u))
        return z - 0.01 * (before[-1] - before[-2]) / 0.2 * u if len(before) > 1 else z

    def leave_one_out(z: Array, noise: Noise, t: int) -> Array:
        u = draws(noise, 3)
        f = np.array([loss_at(z + 0.2 * row) for row in u])
        others = np.array([np.mean(np.delete(f, j)) for j in range(3)])
        return z - 0.05 * ((f - others) / 0.2) @ u / 3

    follow(make("gaussian-smoothing", space_of(), 100, queries=3, sigma=0.2, lr=0.05), smoothing, 10)
    follow(make("one-point", space_of(), 100, sigma=0.5, lr=0.001), flaxman, 10)
    follow(make("residual-feedback", space_of(), 100, sigma=0.2, lr=0.01), residual, 10)
    follow(make("leave-one-out", space_of(), 100, queries=3, sigma=0.2, lr=0.05), leave_one_out, 10)


def test_shamirs_estimate_along_unit_directions_is_ours_along_longer_ones() -> None:
    def shamir(z: Array, noise: Noise, t: int) -> Array:
        d, mu = len(z), 0.2 * np.sqrt(len(z))
        v = draws(noise, 1)[0] / np.sqrt(d)
        return z - 0.05 * d / (2 * mu) * (loss_at(z + mu * v) - loss_at(z - mu * v)) * v

    follow(make("sphere-smoothing", space_of(), 100, sigma=0.2, lr=0.05), shamir, 10)


def test_fzoo_divides_by_the_deviation_of_the_losses() -> None:
    def fzoo(z: Array, noise: Noise, t: int) -> Array:
        u = draws(noise, 4)
        assert set(np.unique(u)) == {-1.0, 1.0}
        f = np.array([loss_at(z + 0.2 * row) for row in u])
        return z - 0.05 * (f - loss_at(z)) / (4 * f.std()) @ u

    follow(make("fzoo", space_of(), 100, queries=4, sigma=0.2, lr=0.05), fzoo, 10)


def test_damped_spsa_weighs_by_curvature_and_ties_its_learning_rate_to_sigma() -> None:
    def damped(z: Array, noise: Noise, t: int) -> Array:
        g = np.zeros_like(z)
        for u in draws(noise, 2):
            up, down = loss_at(z + 0.02 * u), loss_at(z - 0.02 * u)
            curvature = abs(up - 2 * loss_at(z) + down) / 0.02**2
            g += (up - down) / (2 * 2 * 0.02) * u / max(1.0, curvature**0.1)
        return z - 0.02 * g

    # Float32 points and second differences of a small radius: some last digits are noise.
    follow(make("spsa-1.5", space_of(), 100, queries=2, sigma=0.02), damped, 10, rtol=2e-3)


def test_defect_10_hizoo_steps_with_the_hessian_that_perturbed_and_then_updates_it() -> None:
    hessian = np.ones(10)
    hizoo = make("hizoo", space_of(), 100, sigma=0.3, lr=0.05, smoothing=0.1)

    def step(z: Array, noise: Noise, t: int) -> Array:
        nonlocal hessian
        normal = draws(noise, 1)[0]
        u = normal / np.sqrt(hessian)
        up, down, middle = loss_at(z + 0.3 * u), loss_at(z - 0.3 * u), loss_at(z)
        z = z - 0.05 * (up - down) / (2 * 0.3) * u
        hessian = 0.9 * hessian + 0.1 * abs(up + down - 2 * middle) / (2 * 0.3**2) * hessian * normal**2
        found = np.concatenate([hizoo.hessian[b.name].flatten().numpy() for b in hizoo.space.blocks])
        np.testing.assert_allclose(found, hessian, rtol=1e-3)
        return z

    follow(hizoo, step, 12, rtol=1e-3)
    assert hessian.std() > 0.05  # it has moved


def test_hizoo_averages_the_curvatures_of_its_queries() -> None:
    hizoo = make("hizoo", space_of(), 100, sigma=0.5, queries=2, smoothing=0.2)
    asked = hizoo.ask(100)
    hizoo.tell(asked, torch.tensor([3.0, 1.0, 2.0, 3.5, 1.5], dtype=torch.float64))
    first, second = draws(asked.noise, 2)
    # |3 + 1 - 3| / (2 * .25) = 2 and |2 + 3.5 - 3| / .5 = 5
    expected = 0.8 + 0.2 * (2 * first**2 + 5 * second**2) / 2
    found = np.concatenate([hizoo.hessian[b.name].flatten().numpy() for b in hizoo.space.blocks])
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    asked = hizoo.ask(100)
    hizoo.tell(asked, torch.tensor([3.0, 1.0, torch.nan, 3.5, 1.5], dtype=torch.float64))
    after = np.concatenate([hizoo.hessian[b.name].flatten().numpy() for b in hizoo.space.blocks])
    np.testing.assert_array_equal(after, found)


@pytest.mark.parametrize("beta", [0.0, 0.9])
def test_lozo_is_published_lozo_with_another_radius(beta: float) -> None:
    """Losses at x +- eps U V^T, steps along U V^T / r; with momentum N V^T / r, projected when V changes."""
    rank, hold, eps, lr = 2, 3, 0.05, 0.02
    sigma = eps * rank**0.5
    lozo = make("lozo", matrices(), 100, sigma=sigma, lr=lr, rank=rank, hold=hold, momentum=beta)
    blocks = lozo.space.blocks
    z = {b.name: np.zeros(b.shape) for b in blocks}
    thin: dict[str, Array] = {}
    held: dict[str, Array] = {}
    for t in range(8):
        asked = lozo.ask(100)
        losses = valley(asked.coordinates())
        lozo.tell(asked, losses)
        slope = float(losses[0] - losses[1]) / (2 * eps)
        for b in blocks:
            factors = asked.noise.factors(0, b.name)
            if factors is None:  # a vector: MeZO's step, whose radius is sigma
                u = asked.noise.draw(0, b.name).double().numpy()
                fresh, turn, right = slope / rank**0.5 * u, None, None
            else:
                left, right = factors[0].double().numpy() * rank**0.5, factors[1].double().numpy()
                fresh, turn = slope * left, held.get(b.name)
                if t % hold == 0 and turn is not None:
                    thin[b.name] = thin[b.name] @ turn.T @ right / len(right)
                held[b.name] = right
            thin[b.name] = beta * thin[b.name] + (1 - beta) * fresh if t else fresh
            along = thin[b.name] if right is None else thin[b.name] @ right.T / rank
            z[b.name] = z[b.name] - lr * along
        expected = np.concatenate([z[b.name].flatten() for b in blocks])
        np.testing.assert_allclose(center(lozo), expected, rtol=1e-3, atol=1e-5)


def test_subzero_stays_in_its_subspace_until_that_is_drawn_again() -> None:
    space = Space([Block("w", (8, 7), "matrix")])
    subzero = make("subzero", space, 100, rank=2, hold=6)
    ranks = []
    for _ in range(8):
        asked = subzero.ask(100)
        subzero.tell(asked, valley(asked.coordinates()))
        moved = subzero.best().center["w"]
        ranks.append(int(torch.linalg.matrix_rank(moved, atol=1e-4)))
    assert ranks == [2] * 6 + [4] * 2


def test_sparse_mezo_moves_small_weights_only_by_a_threshold_of_the_start() -> None:
    space = matrices()
    sparse = make("sparse-mezo", space, 400, share=0.25, sigma=0.05, lr=0.02)
    start = space.start()
    drive(sparse, 60, valley)
    for block in space.blocks:
        threshold = np.sort(start[block.name].abs().flatten().numpy())[block.size // 4 - 1]
        large = start[block.name].abs() > float(threshold)
        assert int(large.sum()) == block.size * 3 // 4
        assert torch.equal(sparse.best().center[block.name][large], start[block.name][large])
        assert not torch.equal(sparse.best().center[block.name], start[block.name])
        asked = sparse.ask(100)
        grown = sparse.best().center[block.name].abs() > float(threshold)
        still = asked.materialise(block.name)[0] == sparse.best().center[block.name]
        assert torch.equal(still, grown)  # the mask follows the weights


def test_sparse_mezo_searches_all_of_a_block_that_starts_at_zero() -> None:
    sparse = make("sparse-mezo", Space([Block("w", (5,), "vector")]), 100, share=0.25)
    drive(sparse, 10, valley)
    assert (sparse.best().center["w"] != 0).all()


def test_sparse_mezo_resumes_with_the_thresholds_of_the_start() -> None:
    first, second = (make("sparse-mezo", matrices(), 400, share=0.25) for _ in range(2))
    drive(first, 60, valley)
    second.load_state(first.state())
    for mine, theirs in zip(drive(first, 20, valley), drive(second, 20, valley), strict=True):
        assert torch.equal(mine, theirs)


def test_zo_svrg_follows_its_equation_step_by_step() -> None:
    """Two minibatches' worth of losses by turns: f_B is the valley plus a linear term of B's own."""
    options: dict[str, Any] = {
        "sigma": 0.1,
        "lr": 0.05,
        "lr_between": 0.02,
        "period": 3,
        "batches": 2,
        "queries": 2,
    }
    svrg = make("zo-svrg", space_of(), 400, **options)
    tilt = np.sin(np.arange(40 * 10)).reshape(40, 10)

    def batch_loss(z: Array, batch: int) -> float:
        return loss_at(z) + float(tilt[batch] @ z)

    def estimated(z: Array, u: Array, batch: int) -> Array:
        slopes = [(batch_loss(z + 0.1 * row, batch) - batch_loss(z - 0.1 * row, batch)) / 0.2 for row in u]
        return np.array(slopes) @ u / len(u)

    batch, remaining = 0, 400

    def evaluated(expected_center: Array) -> tuple[Array, int]:
        """One ask and tell, on the minibatch that the harness would use."""
        nonlocal batch, remaining
        asked = svrg.ask(remaining)
        remaining -= len(asked)
        middle = asked.coordinates().double().reshape(-1, 2, 10).mean(1).numpy()
        np.testing.assert_allclose(middle, np.tile(expected_center, (len(middle), 1)), rtol=1e-4, atol=1e-5)
        used = batch
        points = asked.coordinates().double().numpy()
        svrg.tell(asked, torch.tensor([batch_loss(p, used) for p in points], dtype=torch.float64))
        batch += 0 if svrg.same_minibatch else 1
        return draws(asked.noise, 2), used

    x = np.zeros(10)
    for _ in range(3):
        parts = [estimated(x, *evaluated(x)) for _ in range(2)]
        snapshot, full = x, np.mean(parts, axis=0)
        x = x - 0.05 * full
        for _ in range(2):
            u, first = evaluated(x)
            again, second = evaluated(snapshot)
            assert first == second
            np.testing.assert_array_equal(u, again)
            x = x - 0.02 * (estimated(x, u, first) - estimated(snapshot, u, first) + full)
        np.testing.assert_allclose(center(svrg), x, rtol=1e-3, atol=1e-5)


def test_zo_svrg_is_exact_with_full_information() -> None:
    """Directions as many as coordinates, minibatches that differ by a tilt, all of them in the snapshot.

    Pairs see slopes of a quadratic exactly and the tilts average to zero, so every step is gradient descent.
    """
    options: dict[str, Any] = {"queries": 10, "direction": "orthogonal", "lr": 0.3, "lr_between": 0.2}
    svrg = make("zo-svrg", space_of(), 1000, batches=4, period=3, **options)
    tilts = torch.tensor([[1.0, -1.0, 2.0, -2.0]]).T * torch.arange(10.0)
    curvature = torch.linspace(0.5, 2.0, 10).double()

    def loss(points: torch.Tensor, batch: int) -> torch.Tensor:
        return (0.5 * curvature * (points - 1).square()).sum(1) + points @ tilts[batch % 4].double()

    batch, remaining, moves = 0, 320, [0.3, 0.2, 0.2] * 2
    x, path = torch.zeros(10).double(), []
    while (asked := svrg.ask(remaining)) is not None and len(path) < 6:
        before = center(svrg)
        svrg.tell(asked, loss(asked.coordinates().double(), batch))
        remaining -= len(asked)
        batch += 0 if svrg.same_minibatch else 1
        if (center(svrg) != before).any():
            x = x - moves[len(path)] * curvature * (x - 1)
            path.append(x)
            np.testing.assert_allclose(center(svrg), x.numpy(), rtol=1e-4, atol=1e-4)
    assert len(path) == 6


@pytest.mark.parametrize("told", range(1, 12))
def test_zo_svrg_resumes_anywhere_in_its_cycle(told: int) -> None:
    first, second = (make("zo-svrg", matrices(), 400, batches=2, period=3) for _ in range(2))
    for _ in range(told):
        asked = first.ask(400)
        first.tell(asked, valley(asked.coordinates()))
    second.load_state(first.state())
    assert first.same_minibatch == second.same_minibatch
    for mine, theirs in zip(drive(first, 40, valley), drive(second, 40, valley), strict=True):
        assert torch.equal(mine, theirs)


def test_forward_gradient_moves_along_its_direction_by_the_slope_there() -> None:
    search = make("forward-gradient", space_of(), 90, lr=0.5)
    kind = REGISTERED["forward-gradient"].load()
    assert kind.reference
    assert kind.needs_gradient
    asked = search.ask(90)
    assert isinstance(asked, Gradients)
    slope = torch.linspace(-1.0, 1.0, 10)
    search.tell(asked, torch.ones(1).double(), slope[None])
    change = search.best().values[0]
    noise = Gaussian(search.space, 0, 0)
    v = torch.cat([noise.draw(0, block.name).flatten() for block in search.space.blocks])
    torch.testing.assert_close(change, -0.5 * slope.dot(v) * v)
    search.tell(search.ask(87), torch.ones(1).double(), torch.full((1, 10), torch.nan))
    assert torch.equal(search.best().values[0], change)


def test_forward_gradients_average_to_the_gradient() -> None:
    """Within five standard errors; a coordinate's variance is |grad|^2 + grad_i^2 for normal directions."""
    slope, count = torch.linspace(-1.0, 1.0, 10), 1000
    search = make("forward-gradient", space_of(), 3 * count, lr=1.0 / count)
    for _ in range(count):
        search.tell(search.ask(3), torch.ones(1), slope[None])
    error = ((slope.square().sum() + slope.square()) / count).sqrt()
    assert ((search.best().values[0] + slope).abs() < 5 * error).all()


@pytest.mark.parametrize("direction", get_args(Direction))
@pytest.mark.parametrize("estimator", get_args(EstimatorName))
def test_every_estimator_takes_every_law_of_directions(estimator: str, direction: str) -> None:
    space = matrices()
    search = make("zeroth-order", space, 100, estimator=estimator, direction=direction, queries=3, lr=1e-3)
    asked = drive(search, 30, valley)
    assert 30 - len(asked[0]) < sum(map(len, asked)) <= 30
    assert np.isfinite(center(search)).all()
    assert center(search).any()


@pytest.mark.parametrize("step", get_args(StepRule))
@pytest.mark.parametrize("name", NAMED)
def test_every_named_method_takes_every_step_rule(name: str, step: str) -> None:
    options = {} if name == "spsa" else {"step": step}
    search = make(name, matrices(), 60, lr=0.01, **options)
    drive(search, 60, valley)
    assert np.isfinite(center(search)).all()
    assert center(search).any()


def test_named_methods_are_choices_of_zeroth_order() -> None:
    choices: dict[str, dict[str, Any]] = {
        "mezo": {"estimator": "antithetic", "queries": 1},
        "gaussian-smoothing": {"estimator": "forward", "queries": 4},
        "orthogonal-smoothing": {"direction": "orthogonal", "queries": 4},
    }
    for name, options in choices.items():
        named = make(name, space_of(), 100, sigma=0.3, lr=0.1)
        composed = make("zeroth-order", space_of(), 100, sigma=0.3, lr=0.1, **options)
        for mine, theirs in zip(drive(named, 60), drive(composed, 60), strict=True):
            assert torch.equal(mine, theirs)


@pytest.mark.parametrize("name", PLAIN)
def test_defect_2_a_step_goes_along_the_very_directions_that_were_evaluated(name: str) -> None:
    """Also where factors are drawn again, a mask or a preconditioner changes: the step is in their span."""
    options: dict[str, Any] = {"hold": 2} if name in ("lozo", "subzero", "zeroth-order") else {}
    search = make(
        name, matrices(), 200, lr=0.01, **options, **({"smoothing": 0.3} if name == "hizoo" else {})
    )
    moved = 0
    for _ in range(5):
        asked = search.ask(100)
        before, points = search.best().coordinates()[0].double(), asked.coordinates().double()
        search.tell(asked, valley(points))
        change = search.best().coordinates()[0].double() - before
        offsets = (points - before)[asked.signs != 0]
        span = torch.linalg.svd(offsets, full_matrices=False)
        basis = span.Vh[1e-4 * span.S[0] < span.S]
        outside = change - basis.T @ (basis @ change)
        assert float(outside.norm()) <= 1e-4 * float(change.norm())
        moved += int(change.any())
    assert moved >= 4


@pytest.mark.parametrize("name", DIFFERENCES)
def test_defect_3_idle_cycles_leave_bfloat16_weights_bit_for_bit(name: str) -> None:
    """200 cycles of ask and tell whose losses all tie; the published add, subtract, add drifts."""
    weights = 0.02 * torch.randn(128, generator=torch.Generator().manual_seed(1))
    space = Space([Block("w", (16, 8), "matrix", 0.02)], {"w": weights.reshape(16, 8).bfloat16()})
    search = make(name, space, 10_000, queries=2)
    for _ in range(200):
        asked = search.ask(100)
        asked.materialise("w")
        search.tell(asked, torch.ones(len(asked)).double())
    assert torch.equal(search.best().center["w"], space.start()["w"])


@pytest.mark.parametrize("name", PLAIN)
def test_defect_4_a_step_goes_downhill(name: str) -> None:
    """No update is inverted: on a linear loss a step of any estimate lowers it, on average over seeds."""
    slope = torch.linspace(-1.0, 1.0, 10).double()
    gains = []
    for seed in range(20):
        search = make(name, space_of(), 30, seed)
        drive(search, 30, lambda points: points @ slope)
        gains.append(float(coordinates(search.best())[0] @ slope))
    assert np.mean(gains) < -4 * np.std(gains) / len(gains) ** 0.5


@pytest.mark.parametrize(
    "name", ["mezo", "gaussian-smoothing", "leave-one-out", "sphere-smoothing", "zeroth-order"]
)
def test_defect_4_many_queries_estimate_the_gradient_no_fewer_and_no_more(name: str) -> None:
    """A factor of q, 1/q or 1/sigma would show: of 1,000 directions |g - grad|^2 is about d/1000 |grad|^2."""
    slope = torch.linspace(-1.0, 1.0, 10).double()
    search = make(name, space_of(), 10_000, queries=1000, lr=1.0, sigma=0.1)
    asked = search.ask(2001)
    search.tell(asked, asked.coordinates().double() @ slope)
    error = np.linalg.norm(center(search) + slope.numpy()) / float(slope.norm())
    assert error < 3 * (12 / 1000) ** 0.5


def test_published_values_in_raw_units_are_in_the_parameters() -> None:
    """``units=raw``: sigma and lr count in parameters, whatever a block's scale."""
    for name in PLAIN:
        search = make(name, matrices(), 100, units="raw", sigma=0.01, lr=0.1)
        asked = search.ask(100)
        assert isinstance(asked, Perturbations)
        offset = asked.materialise("p")[0] - search.best().center["p"]
        expected = 0.01 * asked.noise.draw(0, "p")
        torch.testing.assert_close(offset, expected, rtol=1e-3, atol=1e-5)


def test_all_members_of_a_generation_and_their_center_are_asked_once() -> None:
    for name, queries in itertools.product(["spsa-1.5", "hizoo", "fzoo"], [2, 3]):
        asked = make(name, space_of(), 100, queries=queries).ask(100)
        pairs = list(zip(asked.members.tolist(), asked.signs.tolist(), strict=True))
        assert len(set(pairs)) == len(pairs)
        assert asked.signs.tolist().count(0) == 1


@pytest.mark.parametrize("name", ["one-point", "residual-feedback", "zo-svrg"])
def test_a_search_that_diverges_beyond_float32_stays_where_it_is(name: str) -> None:
    algorithm = make(name, space_of(), 60)
    asked = drive(algorithm, 60, loss=lambda points: 1e38 * points.double().square().sum(1) ** 2 + 1e50)
    assert torch.cat(asked).isfinite().all()


def test_hizoo_survives_directions_without_curvature() -> None:
    algorithm = make("hizoo", space_of(), 90, smoothing=0.999)
    drive(algorithm, 90, loss=lambda points: points.sum(1).round())
    assert coordinates(algorithm.best()).isfinite().all()


@pytest.mark.parametrize("estimator", ["standardised", "damped"])
def test_a_budget_under_one_step_is_a_misfit(estimator: str) -> None:
    assert REGISTERED["zeroth-order"].load().misfit(4, 2, estimator=estimator)
    assert REGISTERED["zeroth-order"].load().misfit(4, 3, estimator=estimator) is None

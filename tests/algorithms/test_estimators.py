"""Estimators against their laws: unbiasedness by enumeration, variance, exactness on quadratics."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator

import pytest
import torch
from torch import Tensor

from algorithms.estimators import (
    Antithetic,
    Curvature,
    Damped,
    Estimator,
    Forward,
    LeaveOneOut,
    OnePoint,
    Residual,
    Standardised,
)
from algorithms.steps import ClipUp, Normalised, Sign
from harness.core import Block, Gaussian, Noise, Orthogonal, Rademacher, Space, Sphere

Loss = Callable[[Tensor], Tensor]

SLOPE = torch.tensor([0.3, -1.0, 0.7, 0.2], dtype=torch.float64)
ROOT = torch.arange(16).double().reshape(4, 4).sin()
HERE = torch.tensor([0.5, -0.2, 1.0, 0.1], dtype=torch.float64)


def linear(points: Tensor) -> Tensor:
    return 2.0 + points @ SLOPE


def quadratic(points: Tensor) -> Tensor:
    """A full Hessian, ROOT ROOT^T."""
    return linear(points) + 0.5 * (points @ ROOT).square().sum(-1)


def cubic(points: Tensor) -> Tensor:
    return linear(points) + points.pow(3).sum(-1)


def gradient(loss: Loss, point: Tensor) -> Tensor:
    point = point.clone().requires_grad_(True)
    (slope,) = torch.autograd.grad(loss(point), point)
    return slope


def estimate(
    estimator: Estimator, directions: Tensor, loss: Loss = quadratic, sigma: float = 0.3, point: Tensor = HERE
) -> Tensor:
    """What the estimator makes of its members' losses along directions ``[q, d]``."""
    names, signs = estimator.members(len(directions))
    points = point + sigma * signs[:, None].double() * directions[names]
    return weights(estimator, loss(points), sigma) @ directions


def weights(estimator: Estimator, losses: Tensor, sigma: float) -> Tensor:
    return torch.tensor(estimator.weights(losses, sigma), dtype=torch.float64)


def all_signs(queries: int, dimension: int = 4) -> Iterator[Tensor]:
    """Every draw ``[q, d]`` of random signs: a mean over them is an expectation."""
    for signs in itertools.product([-1.0, 1.0], repeat=queries * dimension):
        yield torch.tensor(signs, dtype=torch.float64).reshape(queries, dimension)


def mean(values: Iterable[Tensor]) -> Tensor:
    return torch.stack(list(values)).mean(0)


@pytest.mark.parametrize("loss", [linear, quadratic])
@pytest.mark.parametrize(
    ("kind", "queries"),
    [(Antithetic, 1), (Antithetic, 2), (Forward, 1), (Forward, 2), (OnePoint, 1), (OnePoint, 2)],
)
def test_an_estimate_is_right_on_average_over_all_signs(
    kind: type[Estimator], queries: int, loss: Loss
) -> None:
    """Exactly: on a quadratic, what sigma adds is even in u, and cancels."""
    found = mean(estimate(kind(), u, loss) for u in all_signs(queries))
    torch.testing.assert_close(found, gradient(loss, HERE))


@pytest.mark.parametrize("queries", [2, 3])
def test_leaving_out_the_own_loss_is_right_on_average_over_all_signs(queries: int) -> None:
    point = HERE[:2]

    def loss(points: Tensor) -> Tensor:
        return 5.0 + points @ SLOPE[:2] + 0.5 * (points @ ROOT[:2, :2]).square().sum(-1)

    found = mean(estimate(LeaveOneOut(), u, loss, point=point) for u in all_signs(queries, 2))
    torch.testing.assert_close(found, gradient(loss, point))


def test_residual_feedback_is_right_on_average_whatever_the_loss_before() -> None:
    def after(before: float, u: Tensor) -> Tensor:
        residual = Residual()
        residual.weights(torch.tensor([before]), 1.0)
        return estimate(residual, u)

    for before in (0.0, 7.0):
        found = mean(after(before, u) for u in all_signs(1))
        torch.testing.assert_close(found, gradient(quadratic, HERE))


def test_residual_feedback_telescopes() -> None:
    """Weights times sigma are differences of successive losses: their sum is the last loss less the first."""
    residual, losses = Residual(), [3.0, 1.0, 4.0, 1.5, 9.0]
    found = [residual.weights(torch.tensor([loss]), 0.5)[0] for loss in losses]
    assert found[0] == 0.0
    assert 0.5 * sum(found) == pytest.approx(losses[-1] - losses[0])


def test_residual_feedback_passes_over_a_failed_evaluation() -> None:
    residual = Residual()
    residual.weights(torch.tensor([3.0]), 0.5)
    assert not residual.informative(torch.tensor([torch.nan]))
    assert residual.weights(torch.tensor([2.0]), 0.5) == [-2.0]


def test_the_baseline_of_mirrored_members_must_leave_out_the_pair() -> None:
    """Leaving out only the own loss multiplies the antithetic estimate by q/(q - 1), q members."""
    losses = torch.tensor([3.0, 1.0, 0.5, 4.0, 2.0, 2.5], dtype=torch.float64)
    count, signs = len(losses), torch.tensor([1.0, -1.0] * 3, dtype=torch.float64)
    own = (weights(LeaveOneOut(), losses, 0.5) * signs).reshape(-1, 2).sum(1)
    pairs = weights(Antithetic(), losses, 0.5)
    torch.testing.assert_close(own, pairs * count / (count - 1))
    others = (losses.sum() - losses.reshape(-1, 2).sum(1)) / (count - 2)
    pair = ((losses - others.repeat_interleave(2)) * signs / (count * 0.5)).reshape(-1, 2).sum(1)
    torch.testing.assert_close(pair, pairs)


@pytest.mark.parametrize("sigma", [0.1, 3.0])
def test_pairs_see_the_slope_of_a_quadratic_exactly(sigma: float) -> None:
    u = next(itertools.islice(all_signs(1), 5, None))
    expected = (u[0] @ gradient(quadratic, HERE)) * u[0]
    torch.testing.assert_close(estimate(Antithetic(), u, sigma=sigma), expected)


def test_a_forward_difference_is_off_by_half_sigma_times_the_curvature() -> None:
    u = next(itertools.islice(all_signs(1), 5, None))
    curvature = (u[0] @ ROOT).square().sum()
    expected = (u[0] @ gradient(quadratic, HERE) + 0.15 * curvature) * u[0]
    torch.testing.assert_close(estimate(Forward(), u, sigma=0.3), expected)


@pytest.mark.parametrize(("kind", "order"), [(Forward, 1), (Antithetic, 2)])
def test_the_error_shrinks_with_the_order_of_the_difference(kind: type[Estimator], order: int) -> None:
    """O(sigma) one-sided and O(sigma^2) in pairs, on a cubic: an eighth of sigma, 8 or 64 times less."""
    u = next(itertools.islice(all_signs(1), 7, None))
    slope = (u[0] @ gradient(cubic, HERE)) * u[0]
    wide, narrow = (float((estimate(kind(), u, cubic, sigma=sigma) - slope).norm()) for sigma in (8e-3, 1e-3))
    assert wide / narrow == pytest.approx(8.0**order, rel=0.02)


@pytest.mark.parametrize("queries", [1, 2])
def test_the_square_of_an_estimate_over_all_signs(queries: int) -> None:
    """``E|g|^2 = (d + q - 1)/q |grad|^2``, exactly, on a linear loss."""
    squares = mean(estimate(Antithetic(), u, linear).square().sum() for u in all_signs(queries))
    assert float(squares) == pytest.approx(float(SLOPE.square().sum()) * (4 + queries - 1) / queries)


@pytest.mark.parametrize("queries", [1, 3])
@pytest.mark.parametrize(
    ("law", "expected"),
    [
        (Rademacher, lambda d, q: (d + q - 1) / q),
        (Sphere, lambda d, q: (d + q - 1) / q),
        (Gaussian, lambda d, q: (d + q + 1) / q),
        (Orthogonal, lambda d, q: d / q),
    ],
)
def test_the_square_of_an_estimate_follows_the_law_of_its_directions(
    law: type[Noise], expected: Callable[[int, int], float], queries: int
) -> None:
    """``E|g|^2 / |grad|^2`` over 400 generations, within five standard errors of that mean."""
    space = Space([Block("w", (4, 2), "matrix"), Block("v", (3,), "vector")])
    slope = torch.linspace(-1.0, 2.0, space.size).double()
    ratios = []
    for generation in range(400):
        noise = law(space, 7, generation)
        u = torch.stack(
            [torch.cat([noise.draw(j, name).flatten() for name in ("w", "v")]) for j in range(queries)]
        ).double()
        g = estimate(Antithetic(), u, lambda points: points @ slope, point=torch.zeros_like(slope))
        ratios.append(float(g.square().sum() / slope.square().sum()))
    found = torch.tensor(ratios)
    error = float(found.std()) / math.sqrt(len(found))
    assert float(found.mean()) == pytest.approx(expected(space.size, queries), abs=5 * error + 1e-4)


def test_orthogonal_directions_as_many_as_coordinates_give_the_gradient_itself() -> None:
    space = Space([Block("v", (4,), "vector")])
    noise = Orthogonal(space, 7, 0)
    u = torch.stack([noise.draw(j, "v") for j in range(4)]).double()
    torch.testing.assert_close(estimate(Antithetic(), u), gradient(quadratic, HERE), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", [Antithetic, Forward, OnePoint, LeaveOneOut, Curvature])
def test_defect_4_every_query_counts_with_one_qth(kind: type[Estimator]) -> None:
    """An estimate along q directions is the mean of what each direction gives, the last one no more."""
    u = torch.stack(list(itertools.islice(all_signs(1), 3, 6))).squeeze(1)
    estimator = kind()
    names, signs = estimator.members(3)
    losses = quadratic(HERE + 0.3 * signs[:, None].double() * u[names])
    base = {"OnePoint": 0.0, "LeaveOneOut": None}.get(kind.__name__, float(quadratic(HERE)))
    parts = []
    for j in range(3):
        up = losses[(names == j) & (signs == 1)][0]
        down = losses[(names == j) & (signs == -1)]
        others = losses[names != j].mean() if base is None else base
        slope = (up - down[0]) / 0.6 if len(down) else (up - others) / 0.3
        parts.append(slope * u[j])
    torch.testing.assert_close(weights(estimator, losses, 0.3) @ u, mean(parts))


def test_curvatures_are_those_of_a_quadratic() -> None:
    u = torch.stack(list(itertools.islice(all_signs(1), 3, 6))).squeeze(1)
    names, signs = Curvature.members(3)
    losses = quadratic(HERE + 0.3 * signs[:, None].double() * u[names])
    assert Curvature.curvatures(losses, 0.3) == pytest.approx((u @ ROOT).square().sum(1).tolist())


def test_damping_divides_by_a_small_power_of_the_curvature_where_that_is_above_one() -> None:
    """By hand: curvatures (6 + 2 - 4) / .25 = 16, (1 + 2 - 4) / .25 = -4 and (2.3 + 1.8 - 4) / .25 = .4."""
    losses = torch.tensor([6.0, 2.0, 1.0, 2.0, 2.3, 1.8, 2.0], dtype=torch.float64)
    expected = [4 / 3 / 16**0.1, -1 / 3 / 4**0.1, 0.5 / 3]
    assert Damped().weights(losses, 0.5) == pytest.approx(expected)


def test_standardised_weights_are_forward_ones_without_the_scale_of_the_loss() -> None:
    losses = torch.tensor([3.0, 1.0, 2.5, 2.0], dtype=torch.float64)
    found = weights(Standardised(), losses, 0.5)
    deviation = float(losses[:3].std(correction=0))
    torch.testing.assert_close(found, weights(Forward(), losses, 0.5) * 0.5 / deviation)
    torch.testing.assert_close(weights(Standardised(), 7 * losses - 3, 0.1), found)
    assert Standardised().weights(torch.tensor([1.0, 1.0, 2.0]), 0.5) == [0.0, 0.0]


def test_defect_4_the_sign_rule_takes_the_sign_of_the_estimate_not_of_the_scalar() -> None:
    """A scalar's sign would leave the direction's own lengths: here every entry moves by lr, downhill."""
    u = torch.tensor([[0.5, -2.0, 1.0, 0.1]], dtype=torch.float64)
    g = estimate(Antithetic(), u, linear)
    assert Sign().whole(g, 0.3).tolist() == pytest.approx((-0.3 * torch.sign(u[0] * (u[0] @ SLOPE))).tolist())


def test_a_normalised_step_has_the_length_of_the_learning_rate_over_all_blocks() -> None:
    """By hand: |(2, 4, 4)| = 6."""
    step = Normalised()
    step.begin(3.0)
    parts = {"a": torch.tensor([2.0]), "b": torch.tensor([[4.0], [4.0]])}
    for name, part in parts.items():
        step.measure(name, part.shape, part)
    moved = {name: step.change(name, part.shape, part).flatten().tolist() for name, part in parts.items()}
    assert moved == {"a": [-1.0], "b": [-2.0, -2.0]}
    assert Normalised().whole(torch.zeros(2), 3.0).tolist() == [0.0, 0.0]


def test_clipup_pushes_by_the_learning_rate_and_keeps_the_velocity_under_twice_that() -> None:
    """By hand, lr 1: v = (.6, .8); then .9 v + (1, 0) = (1.54, .72); then so again, cut to length 2."""
    step = ClipUp()
    assert step.whole(torch.tensor([3.0, 4.0]), 1.0).tolist() == pytest.approx([-0.6, -0.8])
    assert step.whole(torch.tensor([5.0, 0.0]), 1.0).tolist() == pytest.approx([-1.54, -0.72])
    long = torch.tensor([0.9 * 1.54 + 1.0, 0.9 * 0.72])
    expected = -2.0 * long / long.norm()
    assert step.whole(torch.tensor([0.1, 0.0]), 1.0).tolist() == pytest.approx(expected.tolist())

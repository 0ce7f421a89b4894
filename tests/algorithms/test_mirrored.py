"""OpenAI-ES, EGGROLL, MeZO and SPSA against their equations, computed densely beside them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from harness.core import Block, Budget, Perturbations, Space
from tests.algorithms.drive import drive, make, space_of, sphere

MIRRORED = sorted(["mezo", "spsa", "openai-es", "eggroll"])
LOSSES = torch.tensor([0.9, 0.4, 0.1, 0.8, 0.7, 0.2], dtype=torch.float64)


def directions(asked: Perturbations) -> np.ndarray:
    """The noise of every member as coordinates ``[n, d]``, signs not applied."""
    blocks = asked.space.blocks
    return np.stack(
        [
            np.concatenate([asked.noise.draw(m, b.name).double().flatten().numpy() for b in blocks])
            for m in asked.members.tolist()
        ]
    )


def moved(name: str, losses: torch.Tensor, **options: Any) -> tuple[np.ndarray, np.ndarray]:
    """The change of the coordinates after one told generation, and its directions."""
    algorithm = make(name, space_of(), 100, **options)
    asked = algorithm.ask(len(losses))
    algorithm.tell(asked, losses)
    return algorithm.best().coordinates()[0].double().numpy(), directions(asked)


def test_mezo_steps_by_its_equation() -> None:
    change, u = moved("mezo", LOSSES, queries=3, sigma=0.1, lr=0.3)
    plus, minus = LOSSES[::2].numpy(), LOSSES[1::2].numpy()
    expected = -0.3 * np.mean((plus - minus)[:, None] / (2 * 0.1) * u[::2], axis=0)
    np.testing.assert_allclose(change, expected, rtol=1e-5, atol=1e-6)


def test_spsa_divides_by_the_perturbation_itself() -> None:
    change, u = moved("spsa", LOSSES[:2], sigma=0.1, lr=0.3)
    assert set(np.unique(u)) == {-1.0, 1.0}
    expected = -0.3 * (0.9 - 0.4) / (2 * 0.1) / u[0]
    np.testing.assert_allclose(change, expected, rtol=1e-5)


def test_spsa_gains_follow_spall() -> None:
    """a_k = a/(k + 1 + A)^.602 and c_k = c/(k + 1)^.101 with A a tenth of the 50 steps and a_0 = lr."""
    spsa = make("spsa", space_of(), 100, sigma=0.2, lr=0.5)
    a, offset = 0.5 * (1 + 5) ** 0.602, 5
    for k in range(10):
        asked = spsa.ask(100)
        assert asked.sigma == pytest.approx(0.2 / (k + 1) ** 0.101)
        before = spsa.best().coordinates()
        spsa.tell(asked, torch.tensor([1.0, 0.0], dtype=torch.float64))
        step = (spsa.best().coordinates() - before).abs().mean()
        assert float(step) == pytest.approx(a / (k + 1 + offset) ** 0.602 / (2 * asked.sigma), rel=1e-4)


def test_openai_es_steps_by_its_equation() -> None:
    """Centred ranks by hand: the losses' ranks are 5 2 0 4 3 1. Adam's first step is -lr g / (|g| + eps)."""
    options: dict[str, Any] = {"population": 6, "sigma": 0.5, "lr": 0.3, "decay": 0.0}
    weights = np.array([5, 2, 0, 4, 3, 1]) / 5 - 0.5
    signs = np.array([1, -1] * 3)
    change, u = moved("openai-es", LOSSES, step="sgd", **options)
    gradient = (weights * signs) @ u / (6 * 0.5)
    np.testing.assert_allclose(change, -0.3 * gradient, rtol=1e-4, atol=1e-6)
    change, _ = moved("openai-es", LOSSES, step="adam", **options)
    np.testing.assert_allclose(change, -0.3 * np.sign(gradient), rtol=1e-4)


def test_openai_es_decays_towards_the_start() -> None:
    es = make("openai-es", space_of(), 100, population=2, step="sgd", lr=0.1, decay=2.0, sigma=0.5)
    es.tell(es.ask(2), torch.tensor([1.0, 0.0], dtype=torch.float64))
    before = es.best().coordinates()[0].double().numpy()
    asked = es.ask(2)
    es.tell(asked, torch.tensor([0.0, 1.0], dtype=torch.float64))
    gradient = np.array([-0.5, -0.5]) @ directions(asked) / (2 * 0.5) + 2.0 * before
    np.testing.assert_allclose(
        es.best().coordinates()[0].numpy(), before - 0.1 * gradient, rtol=1e-4, atol=1e-6
    )


def test_decay_in_raw_units_pulls_the_parameters_to_zero() -> None:
    space = Space([Block("w", (1,), "vector", 0.5)], {"w": torch.tensor([3.0])})
    es = make("openai-es", space, 100, population=2, step="sgd", lr=0.1, decay=1.0, sigma=1.0, units="raw")
    asked = es.ask(2)
    es.tell(asked, torch.tensor([1.0, 0.0], dtype=torch.float64))
    gradient = 0.5 * float(asked.noise.draw(0, "w")) + 3.0
    assert float(es.best().center["w"]) == pytest.approx(3.0 - 0.1 * gradient, rel=1e-5)


def matrices() -> Space:
    """Two matrices of one shape, and a vector."""
    return Space(
        [Block("p", (4, 3), "matrix", 0.5), Block("q", (4, 3), "matrix", 2.0), Block("b", (4,), "vector")]
    )


@pytest.mark.parametrize("rank", [1, 3])
def test_eggroll_updates_by_the_dense_formula(rank: int) -> None:
    """M += lr/n sum f_i E_i, E = A B^T / sqrt(r), f the z-scored fitness, and each pair's E of both signs."""
    es = make("eggroll", matrices(), 100, population=6, rank=rank, lr=0.3, sigma=0.1)
    asked = es.ask(6)
    es.tell(asked, LOSSES)
    fitness = -LOSSES.numpy()
    fitness = (fitness - fitness.mean()) / fitness.std()
    for block in es.space.blocks:
        total = np.zeros(block.shape)
        for i, member in enumerate(asked.members.tolist()):
            factors = asked.noise.factors(member, block.name)
            if factors is None:
                noise = asked.noise.draw(member, block.name).double().numpy()
            else:
                left, right = (part.double().numpy() for part in factors)  # 1/sqrt(r) is in the left one
                noise = left @ right.T
            total += fitness[i] * (-1) ** i * noise
        expected = block.scale * 0.3 / 6 * total
        np.testing.assert_allclose(es.best().center[block.name].numpy(), expected, rtol=1e-4, atol=1e-6)


def test_eggroll_without_noise_in_vectors_neither_perturbs_nor_moves_them() -> None:
    es = make("eggroll", matrices(), 100, population=6, vectors="none")
    asked = es.ask(6)
    assert not asked.materialise("b").any()
    assert asked.materialise("p").any()
    es.tell(asked, LOSSES)
    assert not es.best().center["b"].any()
    assert es.best().center["p"].any()


@pytest.mark.parametrize("name", MIRRORED)
def test_blocks_of_one_shape_do_not_share_their_noise(name: str) -> None:
    asked = make(name, matrices(), 100).ask(100)
    p, q = asked.noise.draw(0, "p"), asked.noise.draw(0, "q")
    assert not torch.equal(p, q)
    assert not torch.equal(p, asked.noise.draw(1, "p"))


@pytest.mark.parametrize("name", MIRRORED)
def test_generations_do_not_share_their_noise(name: str) -> None:
    algorithm = make(name, matrices(), 100)
    first = algorithm.ask(100)
    algorithm.tell(first, torch.zeros(len(first)).double())
    assert not torch.equal(first.noise.draw(0, "p"), algorithm.ask(100).noise.draw(0, "p"))


@pytest.mark.parametrize("name", ["mezo", "spsa"])
def test_the_step_is_along_the_direction_that_was_evaluated(name: str) -> None:
    algorithm = make(name, matrices(), 100)
    for _ in range(3):
        asked = algorithm.ask(2)
        before, points = algorithm.best().coordinates()[0], asked.coordinates()
        algorithm.tell(asked, torch.tensor([1.0, 0.0], dtype=torch.float64))
        step = algorithm.best().coordinates()[0] - before
        evaluated = points[1] - points[0]  # the better one of the pair: downhill
        assert float(torch.cosine_similarity(step, evaluated, dim=0)) == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("name", MIRRORED)
def test_a_pair_whose_one_side_fails_and_no_other_is_known_does_not_move_the_center(name: str) -> None:
    options = {"queries": 1} if name in ("mezo", "spsa") else {"shaping": "raw", "population": 2}
    algorithm = make(name, space_of(), 100, **options)
    algorithm.tell(algorithm.ask(2), torch.tensor([torch.nan, 1.0], dtype=torch.float64))
    assert not algorithm.best().coordinates().any()


@pytest.mark.parametrize("name", MIRRORED)
def test_raw_units_are_units_of_a_scale_of_one(name: str) -> None:
    """A space whose scales are all 1, and another with any scales in raw units, give the same parameters."""
    shapes = [("p", (4, 3), "matrix"), ("b", (4,), "vector")]
    plain = Space([Block(*shape) for shape in shapes])
    scaled = Space([Block(*shape, scale) for shape, scale in zip(shapes, (0.25, 8.0), strict=True)])
    centers = []
    for space, units in ((plain, "scale"), (scaled, "raw")):
        algorithm = make(name, space, 100, units=units)
        for k in range(3):
            asked = algorithm.ask(100)
            evaluated = torch.cat([asked.materialise(b.name).flatten(1) for b in space.blocks], dim=1)
            algorithm.tell(asked, sphere(evaluated).double() + k)
        centers.append(algorithm.best().center)
    for block in ("p", "b"):
        torch.testing.assert_close(centers[0][block], centers[1][block])


@pytest.mark.parametrize("name", MIRRORED)
def test_a_snapshot_goes_on_as_the_run_did(name: str) -> None:
    first, second = make(name, space_of(), 200), make(name, space_of(), 200)
    drive(first, 60)
    second.load_state(first.state())
    for mine, theirs in zip(drive(first, 60), drive(second, 60), strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize("name", MIRRORED)
def test_the_mean_of_many_estimates_is_the_gradient(name: str) -> None:
    """Of a linear loss: no factor (1/q, 1/sigma, 1/r) and no sign is lost; EGGROLL absorbs 1/sigma."""
    slope = torch.linspace(-1.0, 1.0, 10).double()
    options: dict[str, Any] = {"lr": 1.0, "sigma": 0.1}
    options |= {"queries": 4000} if name in ("mezo", "spsa") else {"population": 8000, "shaping": "raw"}
    options |= {"step": "sgd"} if name in ("mezo", "eggroll", "openai-es") else {}
    options |= {"decay": 0.0} if name == "openai-es" else {}
    algorithm = make(name, space_of(), 8000, **options)
    drive(algorithm, 8000, lambda points: points @ slope)
    expected = -slope * (0.1 if name == "eggroll" else 1.0)
    change = algorithm.best().coordinates()[0].double()
    assert float((change - expected).norm() / expected.norm()) < 0.15


def test_steps_smaller_than_a_last_bit_of_bfloat16_are_not_lost() -> None:
    """200 steps of 1/100 of a last bit, all one way: two bits on average; rounding to nearest gives 0."""
    space = Space([Block("w", (4096,), "vector")], {"w": torch.ones(4096, dtype=torch.bfloat16)})
    mezo = make("mezo", space, 1000, sigma=1.0, lr=1.0)
    bit = 2.0**-7
    for _ in range(200):
        mezo.center.descend(mezo.step, 0.01 * bit, lambda block, rows: -torch.ones(4096)[rows])
    center = mezo.best().center["w"]
    assert center.dtype == torch.bfloat16
    assert float(center.float().mean()) == pytest.approx(1 + 2 * bit, abs=0.2 * bit)


def test_a_large_block_moves_by_slices_as_it_would_at_once() -> None:
    space = Space([Block("w", (2100, 2100), "matrix")])
    mezo = make("mezo", space, 10, sigma=0.5, lr=0.5)
    asked = mezo.ask(2)
    mezo.tell(asked, torch.tensor([1.0, 0.0], dtype=torch.float64))
    expected = -0.5 * asked.noise.draw(0, "w")
    torch.testing.assert_close(mezo.best().center["w"], expected, rtol=1e-5, atol=1e-6)


def test_idle_steps_leave_low_precision_weights_exactly_as_they_were() -> None:
    """The published add, subtract, add in place drifts; here nothing is perturbed in place."""
    space = Space([Block("w", (512,), "vector", 0.02)], {"w": (0.02 * torch.randn(512)).bfloat16()})
    mezo = make("mezo", space, 1000)
    for _ in range(200):
        asked = mezo.ask(2)
        asked.coordinates()
        mezo.tell(asked, torch.tensor([1.0, 1.0], dtype=torch.float64))
    assert torch.equal(mezo.best().center["w"], space.start()["w"])
    assert Budget.price(mezo.ask(2)) == 2

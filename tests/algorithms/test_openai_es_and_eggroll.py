"""OpenAI-ES and EGGROLL against their equations, computed densely beside them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from harness.core import Block, Perturbations, Space
from tests.algorithms.drive import drive, make, space_of

BOTH = ["eggroll", "openai-es"]
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


@pytest.mark.parametrize("name", BOTH)
def test_a_pair_whose_one_side_fails_and_no_other_is_known_does_not_move_the_center(name: str) -> None:
    algorithm = make(name, space_of(), 100, shaping="raw", population=2)
    algorithm.tell(algorithm.ask(2), torch.tensor([torch.nan, 1.0], dtype=torch.float64))
    assert not algorithm.best().coordinates().any()


@pytest.mark.parametrize("name", BOTH)
def test_the_mean_of_many_estimates_is_the_gradient(name: str) -> None:
    """Of a linear loss: no factor (1/q, 1/sigma, 1/r) and no sign is lost; EGGROLL absorbs 1/sigma."""
    slope = torch.linspace(-1.0, 1.0, 10).double()
    options: dict[str, Any] = {"lr": 1.0, "sigma": 0.1, "population": 4000, "shaping": "raw", "step": "sgd"}
    options |= {"decay": 0.0} if name == "openai-es" else {}
    algorithm = make(name, space_of(), 4000, **options)
    drive(algorithm, 4000, lambda points: points @ slope)
    expected = -slope * (0.1 if name == "eggroll" else 1.0)
    change = algorithm.best().coordinates()[0].double()
    assert float((change - expected).norm() / expected.norm()) < 0.15

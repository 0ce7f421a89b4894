"""ARS and the evolution strategy of "Evolution Strategies at Scale" against plain transcriptions."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from algorithms.estimators import TopDirections
from harness.core import Block, Gaussian, Space
from tests.algorithms.drive import coordinates, make

DIMENSION = 6


def one_step(name: str, losses: list[float], **options: object) -> tuple[np.ndarray, np.ndarray]:
    """The directions of the first generation ``[members, d]`` and the point after it ``[d]``."""
    space = Space([Block("x", (DIMENSION,), "vector")])
    algorithm = make(name, space, 1000, seed=3, population=len(losses), **options)
    population = algorithm.ask(1000)
    noise = Gaussian(space, 3, 0)
    directions = np.stack(
        [noise.draw(member, "x").double().numpy() for member in population.members.tolist()]
    )
    algorithm.tell(population, torch.tensor(losses, dtype=torch.float64))
    return directions, coordinates(algorithm.best())[0].numpy()


def test_ars_steps_along_the_best_pairs_divided_by_the_deviation_of_their_losses() -> None:
    losses = [3.0, 1.0, 8.0, 9.0, 2.5, 2.0, 7.0, 0.5]
    directions, point = one_step("ars", losses, kept=0.5, lr=0.3)
    best = [0, 3]  # the pairs (3, 1) and (7, .5); (2.5, 2) and (8, 9) have larger minima
    deviation = np.std([3.0, 1.0, 7.0, 0.5])
    expected = (
        -0.3 / (2 * deviation) * sum((losses[2 * j] - losses[2 * j + 1]) * directions[2 * j] for j in best)
    )
    np.testing.assert_allclose(point, expected, rtol=1e-5)


@pytest.mark.parametrize(("kept", "pairs"), [(1.0, 4), (0.5, 2), (0.01, 1)])
def test_ars_keeps_its_share_of_pairs_and_one_at_least(kept: float, pairs: int) -> None:
    weights = TopDirections(kept).weights(torch.tensor([1.0, 2, 3, 5, 8, 13, 21, 34]), sigma=1.0)
    assert sum(weight != 0 for weight in weights) == pairs


def test_ars_does_not_keep_a_pair_for_a_failed_member() -> None:
    weights = TopDirections(0.5).weights(torch.tensor([torch.nan, 2.0, 1.0, 1.5]), sigma=1.0)
    assert [weight != 0 for weight in weights] == [False, True]


@pytest.mark.parametrize("sigma", [0.001, 1.0])
def test_es_at_scale_leaves_sigma_out_of_its_step(sigma: float) -> None:
    losses = [3.0, 1.0, 8.0, 9.0, 2.5]
    directions, point = one_step("es-at-scale", losses, sigma=sigma, lr=0.3)
    scores = (np.array(losses) - np.mean(losses)) / np.std(losses)
    np.testing.assert_allclose(point, -0.3 / 5 * scores @ directions, rtol=1e-5)


def test_es_at_scale_draws_every_member_by_itself() -> None:
    space = Space([Block("x", (DIMENSION,), "vector")])
    population = make("es-at-scale", space, 100).ask(100)
    assert population.members.tolist() == list(range(30))
    assert population.signs.tolist() == [1] * 30

"""What holds for every registered algorithm; a new one is tested the moment it is registered."""

from __future__ import annotations

import random
from typing import get_type_hints

import numpy as np
import pytest
import torch

from harness.core import Budget, Perturbations, Points, Space
from tests.algorithms.drive import CONTESTANTS, REGISTERED, coordinates, drive, final_loss, make, space_of

every = pytest.mark.parametrize("name", sorted(REGISTERED))
contestant = pytest.mark.parametrize("name", CONTESTANTS)


@every
def test_options_are_keyword_only_with_defaults_and_resolvable_annotations(name: str) -> None:
    kind = REGISTERED[name].load()
    hints = get_type_hints(kind.__init__, include_extras=True)
    defaults = kind.__init__.__kwdefaults__ or {}
    assert set(hints) - {"space", "budget", "seed", "return"} == set(defaults)


@every
def test_every_class_says_what_it_is(name: str) -> None:
    kind = REGISTERED[name].load()
    assert kind.family != "other"
    assert ">>>" in (kind.__doc__ or "")
    assert kind.source or kind.reference


@contestant
def test_the_same_seed_gives_the_same_run_and_another_seed_another(name: str) -> None:
    runs = [drive(make(name, space_of(), 60, seed), 60) for seed in (3, 3, 4)]
    assert all(torch.equal(a, b) for a, b in zip(runs[0], runs[1], strict=True))
    assert not torch.equal(torch.cat(runs[0]), torch.cat(runs[2]))


@every
def test_global_random_state_is_neither_read_nor_touched(name: str) -> None:
    def run(noise: int) -> list[torch.Tensor]:
        random.seed(noise)
        np.random.seed(noise)
        torch.manual_seed(noise)
        before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
        algorithm = make(name, space_of(), 50)
        asked = drive(algorithm, 50)
        algorithm.best()
        assert random.getstate() == before[0]
        assert np.random.get_state()[1].tolist() == before[1]
        assert torch.equal(torch.get_rng_state(), before[2])
        return asked

    assert all(torch.equal(a, b) for a, b in zip(run(1), run(2), strict=True))


@contestant
@pytest.mark.parametrize("budget", [30, 47, 101])
def test_the_budget_is_never_passed_and_less_than_one_generation_is_left(name: str, budget: int) -> None:
    asked = drive(make(name, space_of(), budget), budget)
    spent = sum(len(points) for points in asked)
    assert budget - max(len(points) for points in asked) < spent <= budget


@every
@pytest.mark.parametrize("remaining", [0, 1, 2, 3])
def test_an_ask_never_costs_more_than_remains(name: str, remaining: int) -> None:
    population = make(name, space_of(), 50).ask(remaining)
    assert population is None or Budget.price(population) <= remaining


@contestant
def test_best_before_the_first_tell_is_the_start(name: str) -> None:
    algorithm = make(name, space_of(), 50)
    for _ in range(2):
        best = algorithm.best()
        assert best is not None
        assert len(best) == 1
        assert not coordinates(best).any()
        algorithm.ask(50)


@contestant
@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_failed_and_infinite_losses_are_survived(name: str, bad: float) -> None:
    def spoil(generation: int, losses: torch.Tensor) -> torch.Tensor:
        losses[generation % len(losses)] = bad
        return losses

    algorithm = make(name, space_of(), 120)
    asked = drive(algorithm, 120, spoil=spoil)
    assert sum(map(len, asked)) > 90
    assert torch.cat(asked).isfinite().all()
    assert coordinates(algorithm.best()).isfinite().all()


@contestant
def test_a_failed_evaluation_is_never_reported(name: str) -> None:
    def everything_but_the_start_fails(points: torch.Tensor) -> torch.Tensor:
        return torch.where(points.abs().amax(1) > 0.01, torch.nan, 1.0)

    algorithm = make(name, space_of(), 60)
    drive(algorithm, 60, everything_but_the_start_fails)
    assert not everything_but_the_start_fails(coordinates(algorithm.best())).isnan().any()


@contestant
@pytest.mark.parametrize("value", [torch.nan, torch.inf, 0.5])
def test_generations_that_all_fail_or_tie_do_no_harm(name: str, value: float) -> None:
    def spoil(generation: int, losses: torch.Tensor) -> torch.Tensor:
        return torch.full_like(losses, value) if generation < 2 else losses

    algorithm = make(name, space_of(), 100)
    asked = drive(algorithm, 100, spoil=spoil)
    assert torch.cat(asked).isfinite().all()
    assert coordinates(algorithm.best()).isfinite().all()


@every
def test_what_is_told_is_left_as_it_was(name: str) -> None:
    algorithm = make(name, space_of(), 200)
    for _ in range(3):
        population = algorithm.ask(100)
        if population is None:
            return
        values = population.values.clone() if isinstance(population, Points) else population.signs.clone()
        losses = torch.arange(len(population)).double().flip(0)
        losses[-1] = torch.nan
        told = losses.clone()
        gradients = torch.ones(len(population), 10)
        algorithm.tell(population, losses, gradients)
        assert torch.equal(losses.nan_to_num(-1.0), told.nan_to_num(-1.0))
        assert torch.equal(gradients, torch.ones_like(gradients))
        after = population.values if isinstance(population, Points) else population.signs
        assert torch.equal(after, values)


@every
def test_the_start_of_the_space_is_never_written_to(name: str) -> None:
    plain = space_of()
    start = {block.name: torch.full(block.shape, 0.25) for block in plain.blocks}
    drive(make(name, Space(plain.blocks, start), 60), 60)
    assert all(bool((value == 0.25).all()) for value in start.values())


@contestant
def test_a_reported_candidate_does_not_move_when_the_search_goes_on(name: str) -> None:
    algorithm = make(name, space_of(), 200)
    kept = []

    def spoil(generation: int, losses: torch.Tensor) -> torch.Tensor:
        best = algorithm.best()
        kept.append((best, coordinates(best).clone()))
        return losses

    drive(algorithm, 200, spoil=spoil)
    assert all(torch.equal(coordinates(best), then) for best, then in kept)


@contestant
def test_points_are_float32_and_perturbations_are_mirrored_pairs(name: str) -> None:
    population = make(name, space_of(), 100).ask(100)
    assert population is not None
    if isinstance(population, Perturbations):
        assert torch.equal(population.members[::2], population.members[1::2])
        assert population.signs.tolist() == [1, -1] * (len(population) // 2)
    else:
        assert population.values.dtype == torch.float32


@pytest.mark.parametrize("name", sorted(set(CONTESTANTS) - {"random"}))
def test_the_sphere_is_brought_below_what_random_search_finds(name: str) -> None:
    def median(which: str) -> float:
        losses = []
        for seed in range(3):
            algorithm = make(which, space_of(), 200, seed)
            drive(algorithm, 200)
            losses.append(final_loss(algorithm))
        return sorted(losses)[1]

    assert median(name) < min(median("random"), 0.25)

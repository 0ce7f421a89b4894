"""The restarts of CEMCTS: where it leaves the flat method, what a merge finds, how restarts are chosen."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from algorithms.cemcts import CEMCTS, Merge, Restarts
from tests.algorithms.drive import coordinates, drive, final_loss, make, space_of, sphere


def waves(points: torch.Tensor) -> torch.Tensor:
    """Rastrigin's function around (1.7, ..., 1.7)."""
    z = points - 1.7
    return (10 + z.square() - 10 * torch.cos(2 * math.pi * z)).sum(1)


def noise(generation: int, losses: torch.Tensor) -> torch.Tensor:
    """Other normal noise in every generation, the same for all of its points."""
    return losses + torch.randn(1, generator=torch.Generator().manual_seed(generation))


def restarted(budget: int, loss: Callable = waves, seed: int = 0, **options: object) -> CEMCTS:
    search = make("cemcts", space_of(6), budget, seed, **options)
    drive(search, budget, loss)
    assert isinstance(search, CEMCTS)
    return search


def test_until_the_flat_method_restarts_it_is_the_flat_method() -> None:
    tree, flat = (make(name, space_of(6), 3000, 1) for name in ("cemcts", "cross-entropy"))
    spent = 0
    while spent == 0 or not torch.equal(flat.distribution.std, torch.ones(6)):
        asked = [search.ask(3000 - spent) for search in (tree, flat)]
        assert torch.equal(asked[0].values, asked[1].values)
        spent += len(asked[0])
        for search in (tree, flat):
            search.tell(asked[0], waves(asked[0].values.double()))
        assert torch.equal(coordinates(tree.best()), coordinates(flat.best()))
    assert 500 < spent < 2500


@pytest.mark.parametrize("merge", [True, False])
@pytest.mark.parametrize("restart_parts", [True, False])
@pytest.mark.parametrize("choice", ["ucb", "random"])
@pytest.mark.parametrize("noisy", [True, False])
def test_restarts_spend_the_budget_exactly(
    merge: bool, restart_parts: bool, choice: str, noisy: bool
) -> None:
    options = {"merge": merge, "restart_parts": restart_parts, "choice": choice, "collapse": 0.02}
    for budget in (1700, 1811):
        search = make("cemcts", space_of(6), budget, **options)
        asked = drive(search, budget, waves, **({"spoil": noise} if noisy else {}))
        assert sum(map(len, asked)) == budget
        assert search._restarts.root.cost > 0


@pytest.mark.parametrize("blocks", [1, 2])
def test_strictly_increasing_maps_of_the_loss_change_no_restart(blocks: int) -> None:
    """A power of two changes no order of rounded numbers."""
    options = {"patience": 5, "collapse": 0.05, "blocks": blocks}
    plain = drive(make("cemcts", space_of(6), 2000, **options), 2000, waves)
    mapped = drive(make("cemcts", space_of(6), 2000, **options), 2000, lambda points: 4 * waves(points))
    assert all(torch.equal(a, b) for a, b in zip(plain, mapped, strict=True))


def test_without_noise_its_best_never_gets_worse() -> None:
    search = make("cemcts", space_of(6), 3000)
    spent, least = 0, math.inf
    while (asked := search.ask(3000 - spent)) is not None:
        spent += len(asked)
        search.tell(asked, waves(asked.values.double()))
        now = final_loss(search, waves)
        assert now <= least or spent < 100
        least = now


def test_on_a_grid_of_minima_it_ends_below_the_flat_method() -> None:
    flat = [
        final_loss(search, waves)
        for search in (make("cross-entropy", space_of(6), 4000, s) for s in range(4))
        if drive(search, 4000, waves)
    ]
    ours = [final_loss(restarted(4000, seed=s), waves) for s in range(4)]
    assert sum(ours) < 0.5 * sum(flat)


@settings(max_examples=30, deadline=None)
@given(size=st.integers(1, 40), seed=st.integers(0, 999), noisy=st.booleans())
def test_a_merge_of_two_points_of_an_additive_function_is_their_best_combination(
    size: int, seed: int, noisy: bool
) -> None:
    """2k nodes and two more for each level, and the best point beside each where there is noise."""
    generator = torch.Generator().manual_seed(seed)
    ours, theirs = torch.randn(2, size, generator=generator).double()
    loss = float(ours.square().sum())
    order = torch.randperm(size, generator=generator)
    merge = Merge(ours, loss, theirs, order, noisy=noisy, largest=1000)
    cost = 0
    while not merge.ended:
        cost += len(merge.points)
        shift = float(torch.randn((), generator=generator)) if noisy else 0.0
        merge.tell(merge.points.square().sum(1) + shift)
    assert torch.equal(merge.best, torch.where(ours.abs() <= theirs.abs(), ours, theirs))
    levels = math.ceil(math.log2(size)) + 1
    assert cost <= 2 * size + 2**levels - size + (5 if noisy else 2) * levels


def test_a_merge_puts_a_mode_of_many_coordinates_together() -> None:
    """Good only as a whole: the root of the tree is the rival itself."""

    def loss(points: torch.Tensor) -> torch.Tensor:
        ones = points.sum(1)
        return torch.where(ones == points.shape[1], -1.0, ones)

    merge = Merge(torch.zeros(5), 0.0, torch.ones(5), torch.arange(5), noisy=False, largest=100)
    while not merge.ended:
        merge.tell(loss(merge.points))
    assert merge.best.tolist() == [1.0] * 5
    assert merge.loss == -1.0


@pytest.mark.parametrize("noisy", [True, False])
@pytest.mark.parametrize("value", [math.nan, math.inf, 1.0])
def test_a_merge_from_which_nothing_can_be_learnt_changes_nothing(noisy: bool, value: float) -> None:
    ours = torch.arange(4.0)
    merge = Merge(ours, 1.0, ours + 1, torch.arange(4), noisy=noisy, largest=100)
    while not merge.ended:
        merge.tell(torch.full((len(merge.points),), value))
    assert torch.equal(merge.best, torch.arange(4.0))


def restarts_of(dimension: int = 16, **options: object) -> Restarts:
    plain: dict = {"parts": True, "exploration": 0.0, "choice": "ucb", "random": np.random.default_rng(0)}
    return Restarts(dimension, 10, **(plain | options))


def test_a_restart_takes_all_coordinates_before_it_takes_one_again() -> None:
    restarts = restarts_of(choice="random")
    seen: dict[int, list[int]] = {}
    for _ in range(200):
        leaf, part = restarts.choose()
        assert part.tolist() == sorted(set(part.tolist()))
        seen.setdefault(leaf.size, []).extend(part.tolist())
    assert sorted(seen) == [1, 4, 16]
    for coordinates_taken in seen.values():
        for sweep in range(len(coordinates_taken) // 16):
            assert sorted(coordinates_taken[16 * sweep : 16 * (sweep + 1)]) == list(range(16))


def test_without_exploration_the_restart_of_most_gain_by_cost_is_chosen() -> None:
    restarts = restarts_of()
    for branch in restarts.root.children:
        for leaf in branch.children:
            restarts.credit(leaf, 100, 3 if (leaf.size, leaf.width) == (4, 2.0) else 1)
    leaf, _ = restarts.choose()
    assert (leaf.size, leaf.width) == (4, 2.0)
    assert restarts.root.cost == pytest.approx(90)
    restarts.credit(leaf, 5000, 0)
    assert restarts.choose()[0].size != 4


def test_a_restart_credits_the_coordinates_that_it_moved() -> None:
    """At the optimum of a sphere nothing can be moved."""
    still = restarted(3000, lambda points: sphere(points + 1.0), collapse=0.01)
    assert still._restarts.root.gain == 0 < still._restarts.root.cost
    assert restarted(4000)._restarts.root.gain > 0


def test_a_part_leaves_the_other_coordinates_where_the_incumbent_has_them() -> None:
    search = make("cemcts", space_of(6), 6000, 2)
    spent, parts = 0, 0
    while (asked := search.ask(6000 - spent)) is not None:
        if search._part is not None and search._merge is None:
            parts += 1
            other = torch.ones(6, dtype=torch.bool)
            other[search._part.coordinates] = False
            assert torch.equal(
                coordinates(asked)[:, other], search._mean[other].double().expand(len(asked), -1)
            )
        spent += len(asked)
        search.tell(asked, waves(asked.values.double()))
    assert parts > 20

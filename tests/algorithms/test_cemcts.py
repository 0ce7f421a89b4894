"""CEMCTS: the limits that hold exactly, and the cross-entropy control."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from algorithms.cemcts import CEMCTS, Node
from algorithms.sampling import Distribution
from harness.core import Block, Space
from tests.algorithms.drive import coordinates, drive, make, space_of, sphere


def watched(
    search: CEMCTS, budget: int, check: Callable[[CEMCTS], None], loss: Callable = sphere
) -> list[torch.Tensor]:
    """Drive a search, and look at its tree after every tell."""
    asked, spent = [], 0
    while (population := search.ask(budget - spent)) is not None:
        spent += len(population)
        asked.append(population.values)
        search.tell(population, loss(population.values.double()))
        check(search)
    assert spent == budget
    return asked


def inner(node: Node) -> Iterator[Node]:
    """All nodes with children."""
    if node.children:
        yield node
        for child in node.children:
            yield from inner(child)


@pytest.mark.parametrize("batch", [1, 3, 12])
@pytest.mark.parametrize("budget", [60, 97, 131])
def test_a_tree_of_depth_one_is_the_flat_method_with_mirrored_draws(batch: int, budget: int) -> None:
    options: dict[str, Any] = {"population": 12, "eta_mean": 0.7, "patience": 3}
    tree = make("cemcts", space_of(), budget, 5, blocks=1, restarts="incumbent", batch=batch, **options)
    flat = make("cross-entropy", space_of(), budget, 5, mirrored=True, **options)
    assert torch.equal(torch.cat(drive(tree, budget)), torch.cat(drive(flat, budget)))
    assert torch.equal(coordinates(tree.best()), coordinates(flat.best()))


def test_draws_of_the_flat_method_are_mirrored_and_interleaved() -> None:
    points = make("cross-entropy", space_of(), 100, population=8).ask(100).values
    assert torch.equal(points[::2], -points[1::2])
    assert not torch.equal(points[0], points[2])


@pytest.mark.parametrize("name", ["cemcts", "cross-entropy"])
@pytest.mark.parametrize("grow", [torch.exp, lambda loss: loss**3 - 7, lambda loss: 1e-3 * loss.log()])
def test_strictly_increasing_maps_of_the_loss_change_nothing(name: str, grow: Callable) -> None:
    plain = drive(make(name, space_of(), 150), 150)
    mapped = drive(make(name, space_of(), 150), 150, lambda points: grow(sphere(points)))
    assert all(torch.equal(a, b) for a, b in zip(plain, mapped, strict=True))


@settings(max_examples=25, deadline=None)
@given(
    blocks=st.integers(1, 5),
    batch=st.integers(1, 9),
    population=st.integers(2, 25),
    widening=st.floats(0.3, 3.0),
    alpha=st.floats(0.0, 1.0),
    budget=st.integers(2, 120),
    seed=st.integers(0, 1000),
    split=st.sampled_from(["blocks", "random", "learned"]),
    pairs=st.booleans(),
    virtual_visits=st.booleans(),
    credit=st.sampled_from(["value", "advantage"]),
    recheck=st.booleans(),
)
def test_trees_of_any_form_keep_their_counts_and_spend_the_budget_exactly(
    blocks: int,
    batch: int,
    population: int,
    widening: float,
    alpha: float,
    budget: int,
    seed: int,
    split: str,
    pairs: bool,
    virtual_visits: bool,
    credit: str,
    recheck: bool,
) -> None:
    def check(search: CEMCTS) -> None:
        for node in inner(search.run.tree.root):
            assert sum(child.visits for child in node.children) == node.visits
            assert node.virtual == 0
            assert node.total == pytest.approx(sum(child.total for child in node.children))
            assert node.top == max(child.top for child in node.children)
        leaves = search.run.tree.leaves
        assert len({tuple(map(id, path)) for path in leaves}) == len(leaves)
        assert all(len(path) == search.run.depth and path[-1].visits == 1 for path in leaves)

    search = make(
        "cemcts",
        space_of(),
        budget,
        seed,
        blocks=blocks,
        batch=batch,
        population=population,
        widening=widening,
        alpha=alpha,
        split=split,
        pairs=pairs,
        virtual_visits=virtual_visits,
        credit=credit,
        recheck=recheck,
    )
    watched(search, budget, check)


def test_leaves_are_distinct_points() -> None:
    search = make("cemcts", space_of(), 100, population=60, blocks=3, widening=0.5, alpha=0.5)
    points = []
    for _ in range(4):
        population = search.ask(100)
        points.append(population.values)
        search.tell(population, sphere(population.values.double()))
    joined = torch.cat(points)
    assert len(joined.unique(dim=0)) == len(joined) == 60


def test_with_both_rates_zero_and_no_restart_the_distribution_never_moves() -> None:
    for name in ("cemcts", "cross-entropy"):
        search = make(name, space_of(), 200, eta_mean=0.0, eta_std=0.0, patience=None, sigma=0.7, floor=2.0)
        drive(search, 200)
        assert not search.distribution.mean.any()
        assert torch.equal(search.distribution.std, torch.full((10,), 0.7))


def test_a_generation_says_that_its_asks_share_one_minibatch_the_mean_included() -> None:
    """Nine leaves in threes and their mean: four asks, of which only the next generation's first is new."""
    search = make("cemcts", space_of(), 200, population=9, batch=3, recheck=False)
    said = []
    for _ in range(8):
        population = search.ask(100)
        search.tell(population, sphere(population.values.double()))
        said.append((len(population), search.same_minibatch))
    assert said == [(3, True), (3, True), (3, True), (1, False)] * 2


def test_parts_partition_the_coordinates_and_follow_the_blocks_where_there_are_enough() -> None:
    space = space_of(10)
    whole = {frozenset(range(0, 4)), frozenset(range(4, 8)), frozenset(range(8, 10))}
    orders = set()
    for seed in range(6):
        parts = make("cemcts", space, 100, seed, blocks=3).run.parts
        assert {frozenset(part.tolist()) for part in parts} == whole
        orders.add(tuple(int(part[0]) for part in parts))
        fresh = make("cemcts", space, 100, seed, blocks=4).run.parts
        assert sorted(torch.cat(fresh).tolist()) == list(range(10))
    assert len(orders) > 1


def test_a_node_widens_by_its_visits_and_mirrors_every_second_child() -> None:
    """ceil(max(1, N)^alpha) children at N visits; the n-th leaf grows at n - 1 visits; alpha is 1/2."""
    search = make("cemcts", space_of(), 200, population=10, batch=1, alpha=0.5, blocks=2, pairs=False)
    counts = []
    for _ in range(10):
        population = search.ask(100)
        search.tell(population, sphere(population.values.double()))
        counts.append(len(search.run.tree.root.children))
    assert counts == [1, 1, 2, 2, 2, 3, 3, 3, 3, 3]
    names = [(child.number, child.sign) for child in search.run.tree.root.children]
    assert names[1] == (names[0][0], -names[0][1])
    assert names[2][0] != names[0][0]


@pytest.mark.parametrize("name", ["cemcts", "cross-entropy"])
@pytest.mark.parametrize("value", [torch.nan, torch.inf, 0.5])
def test_a_generation_from_which_nothing_can_be_learnt_leaves_the_distribution(
    name: str, value: float
) -> None:
    search = make(name, space_of(), 60, sigma=0.25)
    drive(search, 60, spoil=lambda generation, losses: torch.full_like(losses, value))
    assert not search.distribution.mean.any()
    assert torch.equal(search.distribution.std, torch.full((10,), 0.25))


def one_coordinate() -> Space:
    return Space([Block("x", (1,), "vector")])


def test_the_update_is_log_rank_weighted_with_the_second_moment_about_the_old_mean() -> None:
    """Two elites 3 and 1 of one coordinate with weights ln 2.5 and ln 1.25 over their sum."""
    normal = Distribution(one_coordinate(), 2.0, eta_mean=0.5, eta_std=0.25)
    normal.mean[:] = 1.0
    normal.update(slice(None), [torch.tensor([1.0]), torch.tensor([0.0])], elites=2, nodes=4)
    first = 0.9162907 / (0.9162907 + 0.2231436)
    assert float(normal.mean) == pytest.approx(1 + 0.5 * (first * 3 + (1 - first) * 1 - 1), rel=1e-5)
    assert float(normal.var) == pytest.approx(0.75 * 4 + 0.25 * first * 4, rel=1e-5)


def test_the_textbook_update_is_unweighted_and_about_the_new_mean() -> None:
    search = make(
        "cross-entropy",
        space_of(),
        100,
        population=8,
        rho=0.5,
        eta_std=1.0,
        update="textbook",
        mirrored=False,
        eta_path=0.0,
    )
    asked = search.ask(100)
    search.tell(asked, torch.tensor([3.0, 1.0, 9.0, 2.0, 8.0, 4.0, 7.0, 6.0]).double())
    elites = asked.values[[1, 3, 0, 5]]
    torch.testing.assert_close(search.distribution.mean, elites.mean(0))
    torch.testing.assert_close(search.distribution.var, elites.var(0, unbiased=False))


def test_the_incumbent_is_the_best_mean_and_a_failed_mean_is_none() -> None:
    search = make("cross-entropy", space_of(), 200, population=8, recheck=False)
    means = []
    for loss in (0.3, 0.1, 0.2, torch.nan):
        leaves = search.ask(100)
        search.tell(leaves, sphere(leaves.values.double()))
        mean = search.ask(100)
        means.append(mean.values.clone())
        search.tell(mean, torch.tensor([loss]).double())
    assert torch.equal(search.best().values, means[1])


def test_a_collapsed_search_starts_again_around_its_incumbent() -> None:
    search = make("cross-entropy", space_of(), 4000, population=12, sigma=0.5, patience=200, collapse=0.1)
    stds = []

    def note(generation: int, losses: torch.Tensor) -> torch.Tensor:
        stds.append(float(search.distribution.std.max()))
        return losses

    drive(search, 4000, spoil=note)
    assert min(stds) < 0.1
    restarts = [after for before, after in itertools.pairwise(stds) if before < 0.1 < after]
    assert restarts
    assert set(restarts) == {0.5}

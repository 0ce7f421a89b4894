"""Pieces of CEMCTS and its control: draws by number, the path, the incumbent, the tree's options."""

from __future__ import annotations

import itertools

import pytest
import torch

from algorithms.cemcts import Tree
from algorithms.sampling import Distribution, Draws, Incumbent
from harness.core import Block, Space
from harness.plugins.conformance.memory import peak_of_tensors
from tests.algorithms.drive import coordinates, drive, make, space_of, sphere

CPU = torch.device("cpu")


def vector(dimension: int) -> Space:
    return Space([Block("x", (dimension,), "vector")])


def tree_of(depth: int = 2, **options: object) -> Tree:
    plain: dict = {"exploration": 0.5, "best_share": 0.5, "widening": 1.0, "alpha": 1.0, "pairs": False}
    return Tree(depth, **(plain | options))


@pytest.mark.parametrize("recheck", [True, False])
@pytest.mark.parametrize("eta_path", [0.0, 1.0])
def test_a_tree_of_depth_one_is_the_flat_method_under_noise_too(recheck: bool, eta_path: float) -> None:
    def spoil(generation: int, losses: torch.Tensor) -> torch.Tensor:
        return losses + torch.randn(1, generator=torch.Generator().manual_seed(generation))

    options = {"population": 12, "eta_path": eta_path, "recheck": recheck, "patience": 4}
    tree = make("cemcts", space_of(), 150, 5, restarts="incumbent", batch=20, **options)
    flat = make("cross-entropy", space_of(), 150, 5, **options)
    ours, theirs = drive(tree, 150, spoil=spoil), drive(flat, 150, spoil=spoil)
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    assert torch.equal(coordinates(tree.best()), coordinates(flat.best()))


def test_what_is_drawn_again_for_the_update_is_what_was_evaluated() -> None:
    search = make("cemcts", space_of(), 200, population=20, batch=20, blocks=3)
    for _ in range(3):
        mean, std = search.distribution.mean.clone(), search.distribution.std.clone()
        asked = search.ask(100)
        for row, path in zip(asked.values, search.run.tree.leaves, strict=True):
            for part, node in enumerate(path):
                at = search.run.parts[part]
                again = search.run.draws(part, node.number, node.sign)
                torch.testing.assert_close(row[at], mean[at] + std[at] * again)
        search.tell(asked, sphere(asked.values.double()))
        means = search.ask(80)
        search.tell(means, sphere(means.values.double()))


def test_draws_of_parts_numbers_and_generations_are_unrelated() -> None:
    seen = [
        Draws([2000, 2000], seed, generation, CPU)(part, number)
        for seed, generation, part, number in itertools.product(range(2), repeat=4)
    ]
    correlations = torch.corrcoef(torch.stack(seen)) - torch.eye(16)
    assert float(correlations.abs().max()) < 5 / 2000**0.5


@pytest.mark.parametrize("mirrored", [True, False])
def test_the_path_is_as_long_as_sqrt_d_under_random_selection(mirrored: bool) -> None:
    """E|p|^2 = d by the normalisation q; 60 steps of rate .03 average out to within some percent."""
    dimension, nodes, elites = 400, 8, 4
    generator = torch.Generator().manual_seed(0)
    normal = Distribution(vector(dimension), 1.0, eta_mean=1.0, eta_std=1e-9, eta_path=1e-9)
    lengths = []
    for _ in range(600):
        half = torch.randn(nodes // 2, dimension, generator=generator)
        rest = -half if mirrored else torch.randn(nodes // 2, dimension, generator=generator)
        draws = torch.cat([half, rest])[torch.randperm(nodes, generator=generator)[:elites]]
        normal.update(slice(None), list(draws), elites, nodes, mirrored=mirrored)
        lengths.append(float(normal.path.square().sum()) / dimension)
    assert sum(lengths[200:]) / 400 == pytest.approx(1.0, abs=0.06)


@pytest.mark.parametrize(("sign", "grows"), [(1, True), (0, False)])
def test_steps_grow_when_the_mean_goes_straight_and_shrink_when_it_stands(sign: int, grows: bool) -> None:
    normal = Distribution(vector(50), 1.0, eta_mean=1.0, eta_std=1e-9, eta_path=1.0)
    draw = torch.ones(50)
    for _ in range(30):
        normal.update(slice(None), [sign * draw, sign * draw], elites=2, nodes=8)
        normal.end_generation(2)
    assert (float(normal.std.mean()) > 1) == grows


def test_the_lucky_minibatch_of_an_incumbent_does_not_keep_it() -> None:
    """The first mean had .1 on its own minibatch and has .5 on the next one, where the new mean has .3."""
    normal = Distribution(vector(2), 1.0, eta_mean=1.0, eta_std=0.5)
    reports = {}
    for recheck in (True, False):
        incumbent = Incumbent(vector(2), recheck=recheck, patience=None, collapse=0.0)
        for value, losses in ((1.0, [0.1]), (2.0, [0.3, 0.5])):
            normal.mean.fill_(value)
            price = incumbent.price
            assert incumbent.contenders(normal).shape == (price, 2)
            incumbent.meet(normal, torch.tensor(losses[:price]))
        reports[recheck] = incumbent.mean.tolist()
    assert reports == {True: [2.0, 2.0], False: [1.0, 1.0]}


def test_losses_without_noise_pay_for_three_rechecks_only() -> None:
    search = make("cemcts", space_of(), 300, population=8, batch=8, patience=None)
    sizes = [len(points) for points in drive(search, 300)]
    assert sizes[:10:2] == [8] * 5
    assert sizes[1:12:2] == [1, 2, 2, 2, 1, 1]


def test_an_incumbent_that_fails_when_evaluated_again_gives_way() -> None:
    normal = Distribution(vector(1), 1.0, eta_mean=1.0, eta_std=0.5)
    incumbent = Incumbent(vector(1), recheck=True, patience=None, collapse=0.0)
    incumbent.meet(normal, torch.tensor([0.1]))
    normal.mean.fill_(3.0)
    incumbent.meet(normal, torch.tensor([9.0, torch.nan]))
    assert incumbent.mean.tolist() == [3.0]


def test_virtual_visits_let_the_leaves_of_a_batch_widen_the_tree() -> None:
    """The n-th leaf comes to n - 1 visits, and the root takes max(1, N) children; without it stays at one."""
    counts = {}
    for virtual_visits in (True, False):
        tree = tree_of(virtual_visits=virtual_visits)
        leaves = [tuple(map(id, tree.grow())) for _ in range(8)]
        assert len(set(leaves)) == 8
        counts[virtual_visits] = len(tree.root.children)
    assert counts == {True: 7, False: 1}


def test_pairs_are_completed_before_a_node_is_descended() -> None:
    tree = tree_of(3, pairs=True, widening=0.5)
    for size in range(1, 40):
        tree.grow()
        if not size % 4:
            tree.value(torch.arange(size).double())
        parents = {node for path in tree.leaves for node in (tree.root, *path[:-1])}
        for parent in parents:
            signs = [(child.number, child.sign) for child in parent.children]
            pairs = zip(signs[::2], signs[1::2], strict=False)
            assert all(first == (second[0], -second[1]) for first, second in pairs)


def test_an_advantage_is_taken_against_the_siblings() -> None:
    """Utilities 1, 2/3 below a node of Q 5/6 and 1/3, 0 below one of Q 1/6; the root's Q is 1/2."""
    tree = tree_of(best_share=0.0, pairs=True, widening=0.5)
    for _ in range(4):
        tree.grow()
    tree.value(torch.tensor([0.0, 2.0, 1.0, 3.0]))
    firsts = [path[0] for path in tree.leaves]
    assert firsts[0] is firsts[2]
    assert [node.quality(0.0) for node in tree.nodes(1, "value")] == pytest.approx([1, 2 / 3, 1 / 3, 0])
    credits = [tree.credit(node, "advantage") for node in tree.nodes(1, "advantage")]
    assert credits == pytest.approx([1 / 3, 0, 0, -1 / 3])


def test_learned_parts_put_coordinates_of_like_variance_together() -> None:
    search = make("cemcts", space_of(), 200, population=8, batch=8, blocks=2, split="learned", patience=None)
    for _ in range(2):
        asked = search.ask(100)
        search.tell(asked, sphere(asked.values.double()))
    low, high = (search.distribution.var[part] for part in search.run.parts)
    assert float(low.max()) <= float(high.min())


def test_no_node_holds_a_vector() -> None:
    """40 leaves of 400,000 coordinates, one at a time, in less than 18 vectors of float32."""
    dimension, budget = 400_000, 42

    def search() -> None:
        algorithm = make("cemcts", vector(dimension), budget, population=40, batch=1)
        while (asked := algorithm.ask(budget)) is not None:
            algorithm.tell(asked, asked.values[:, 0].double())
            if not algorithm.same_minibatch:
                return

    assert peak_of_tensors(search) < 18 * 4 * dimension

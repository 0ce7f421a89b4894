"""The loop that evolution strategies and gradient estimators share: noise, units, snapshots, rounding."""

from __future__ import annotations

import pytest
import torch

from algorithms.descent import Descent
from harness.core import Block, Space
from tests.algorithms.drive import REGISTERED, drive, make, space_of, sphere

DESCENTS = sorted(name for name, entry in REGISTERED.items() if issubclass(entry.load(), Descent))
PAIRS = ["lozo", "mezo", "sparse-mezo", "sphere-smoothing", "spsa", "subzero"]


def matrices() -> Space:
    """Two matrices of one shape, and a vector."""
    return Space(
        [Block("p", (4, 3), "matrix", 0.5), Block("q", (4, 3), "matrix", 2.0), Block("b", (4,), "vector")]
    )


@pytest.mark.parametrize("name", DESCENTS)
def test_defect_1_blocks_of_one_shape_do_not_share_their_noise(name: str) -> None:
    asked = make(name, matrices(), 100).ask(100)
    p, q = asked.noise.draw(0, "p"), asked.noise.draw(0, "q")
    assert not torch.equal(p, q)
    assert not torch.equal(p, asked.noise.draw(1, "p"))


@pytest.mark.parametrize("name", DESCENTS)
def test_generations_do_not_share_their_noise(name: str) -> None:
    algorithm = make(name, matrices(), 100)
    first = algorithm.ask(100)
    algorithm.tell(first, torch.zeros(len(first)).double())
    assert not torch.equal(first.noise.draw(0, "p"), algorithm.ask(100).noise.draw(0, "p"))


@pytest.mark.parametrize("name", PAIRS)
def test_a_pair_whose_one_side_fails_and_no_other_is_known_does_not_move_the_center(name: str) -> None:
    algorithm = make(name, space_of(), 100, queries=1)
    algorithm.tell(algorithm.ask(2), torch.tensor([torch.nan, 1.0], dtype=torch.float64))
    assert not algorithm.best().coordinates().any()


@pytest.mark.parametrize("name", DESCENTS)
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


@pytest.mark.parametrize("name", DESCENTS)
def test_a_snapshot_goes_on_as_the_run_did(name: str) -> None:
    first, second = make(name, space_of(), 200), make(name, space_of(), 200)
    drive(first, 60)
    second.load_state(first.state())
    for mine, theirs in zip(drive(first, 60), drive(second, 60), strict=True):
        assert torch.equal(mine, theirs)


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


@pytest.mark.parametrize("step", ["normalised", "clipup"])
def test_a_rule_that_measures_sees_all_blocks_before_it_moves_one(step: str) -> None:
    """The first step of both has the length lr, over all blocks and in units of their scales."""
    search = make("mezo", matrices(), 100, step=step, lr=0.25)
    search.tell(search.ask(2), torch.tensor([1.0, 0.0], dtype=torch.float64))
    assert float(search.best().coordinates().norm()) == pytest.approx(0.25, rel=1e-4)

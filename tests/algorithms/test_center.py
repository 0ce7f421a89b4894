"""The center: when it copies, how it moves in place, and how low precision is rounded."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from algorithms.center import Center, stochastic_round
from algorithms.steps import SGD, Step
from harness.core import AlgorithmSpec, Block, Space, UserError
from tests.algorithms.drive import REGISTERED, make


def weights() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "matrix": torch.randn(700, 600, generator=generator).bfloat16(),
        "vector": torch.randn(50, generator=generator).bfloat16(),
    }


def space_over(tensors: dict[str, Tensor], in_place: bool) -> Space:
    blocks = [Block("matrix", (700, 600), "matrix", 0.02), Block("vector", (50,), "vector", 0.1)]
    return Space(blocks, tensors, in_place=in_place)


def test_construction_reads_nothing() -> None:
    class Unread(Space):
        def start(self) -> dict[str, Tensor]:
            raise AssertionError("the start was read")

        lend = start

    for in_place in (False, True):
        Center(Unread([Block("x", (3,), "vector")], in_place=in_place), "scale", seed=0)


def test_without_in_place_the_start_stays_as_it_is() -> None:
    own = weights()
    center = Center(space_over(own, in_place=False), "scale", seed=0)
    center.descend(SGD(), 1.0, lambda block, rows: torch.ones(own[block].shape)[rows])
    assert torch.equal(own["matrix"], weights()["matrix"])
    kept = center.copy()
    center.descend(SGD(), 1.0, lambda block, rows: torch.ones(own[block].shape)[rows])
    assert not torch.equal(kept["matrix"], center.parameters["matrix"])


def test_in_place_the_start_itself_moves_and_the_copy_is_the_center() -> None:
    own = weights()
    center = Center(space_over(own, in_place=True), "scale", seed=0)
    center.descend(SGD(), 1.0, lambda block, rows: torch.ones(own[block].shape)[rows])
    assert center.parameters["vector"] is own["vector"]
    assert center.copy()["vector"] is own["vector"]
    assert not torch.equal(own["vector"], weights()["vector"])


def test_a_state_is_a_copy_and_is_written_back_into_the_lent_tensors() -> None:
    own = weights()
    center = Center(space_over(own, in_place=True), "scale", seed=0)
    state = center.state()
    center.descend(SGD(), 1.0, lambda block, rows: torch.ones(own[block].shape)[rows])
    assert torch.equal(state["matrix"], weights()["matrix"])
    center.load_state(state)
    assert center.parameters["matrix"] is own["matrix"]
    assert torch.equal(own["matrix"], weights()["matrix"])


def test_a_second_search_of_the_same_weights_is_refused() -> None:
    space = space_over(weights(), in_place=True)
    first, second = make("mezo", space, 100), make("mezo", space, 100, seed=1)
    assert first.ask(100) is not None
    with pytest.raises(ValueError, match="no start any more"):
        second.ask(100)


def test_decay_to_the_start_is_refused_in_place_and_decay_to_zero_is_not() -> None:
    losses = torch.tensor([1.0, 0.0], dtype=torch.float64)
    options = {"population": 2, "step": "sgd", "decay": 0.1}
    with pytest.raises(UserError, match="units=raw"):
        make("openai-es", space_over(weights(), in_place=True), 100, **options)
    to_zero = make("openai-es", space_over(weights(), in_place=True), 100, units="raw", **options)
    to_zero.tell(to_zero.ask(2), losses)


@pytest.mark.parametrize("name", ["mezo", "openai-es", "eggroll"])
def test_a_search_in_place_goes_the_way_of_one_on_a_copy_bit_for_bit(name: str) -> None:
    options = {"decay": 0.0} if name == "openai-es" else {}
    ends = []
    for in_place in (False, True):
        search = make(name, space_over(weights(), in_place), 100, step="sgd", **options)
        for _ in range(2):
            asked = search.ask(4)
            search.tell(asked, torch.linspace(0.0, 1.0, len(asked), dtype=torch.float64))
        ends.append(search.best().center)
    assert all(torch.equal(ends[0][block], ends[1][block]) for block in ends[0])
    assert not torch.equal(ends[0]["matrix"], weights()["matrix"])


def test_a_step_rule_that_measures_sees_the_whole_gradient_before_any_change() -> None:
    class ByLength(Step):
        measures = True

        def begin(self, lr: float) -> None:
            super().begin(lr)
            self.square = 0.0
            self.seen = 0

        def measure(
            self, block: str, shape: Sequence[int], gradient: Tensor, rows: slice = slice(None)
        ) -> None:
            self.square += float(gradient.double().square().sum())
            self.seen += gradient.numel()

        def change(
            self, block: str, shape: Sequence[int], gradient: Tensor, rows: slice = slice(None)
        ) -> Tensor:
            assert self.seen == space.size
            return -self.lr * gradient / self.square**0.5

    space = Space([Block("matrix", (5000, 600), "matrix"), Block("vector", (50,), "vector")])
    gradients = {block.name: torch.randn(block.shape) for block in space.blocks}
    center = Center(space, "scale", seed=0)
    center.descend(ByLength(), 3.0, lambda block, rows: gradients[block][rows])
    whole = torch.cat([value.flatten() for value in gradients.values()])
    moved = torch.cat([value.flatten() for value in center.parameters.values()])
    torch.testing.assert_close(moved, -3.0 * whole / whole.norm())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_rounding_goes_to_the_two_neighbours_and_is_right_on_average(dtype: torch.dtype) -> None:
    """Of n draws between neighbours a gap apart, the mean's standard error is at most gap / 2 sqrt(n)."""
    generator = torch.Generator().manual_seed(0)
    for value in (1.001, -1.001, 3.3e-3, -3e-6, 250.7):
        rounded = stochastic_round(torch.full((40_000,), value), dtype, generator).double()
        low, high = rounded.unique().tolist()
        assert low < value < high
        nearest = torch.tensor(value).to(dtype)
        towards = torch.tensor(torch.inf if float(nearest) < value else -torch.inf, dtype=dtype)
        other = torch.nextafter(nearest, towards) if dtype == torch.bfloat16 else nearest
        assert {float(nearest), float(other)} <= {low, high}
        assert abs(float(rounded.mean()) - value) < 5 * (high - low) / (2 * 200)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_what_needs_no_rounding_stays_as_it_is(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    exact = torch.randn(10_000, generator=generator).to(dtype)
    assert torch.equal(stochastic_round(exact.float(), dtype, generator), exact)
    odd = torch.tensor([torch.inf, -torch.inf, torch.nan, 0.0])
    assert torch.equal(stochastic_round(odd, dtype, generator)[[0, 1, 3]], odd[[0, 1, 3]].to(dtype))
    assert stochastic_round(odd, dtype, generator)[2].isnan()


@pytest.mark.parametrize("bits", [0x7FFFFFFF, -1, 0x7F800001, 0x7FC00000])
def test_nan_stays_nan_whatever_its_bits(bits: int) -> None:
    values = torch.tensor([bits], dtype=torch.int32).view(torch.float32)
    generator = torch.Generator().manual_seed(0)
    assert bool(stochastic_round(values, torch.bfloat16, generator).isnan())


def test_points_cannot_follow_weights_that_are_moved_in_place() -> None:
    stages = (
        AlgorithmSpec("mezo", REGISTERED["mezo"].load()),
        AlgorithmSpec("snes", REGISTERED["snes"].load()),
    )
    space = space_over(weights(), in_place=True)
    chain = make("chain", space, 40, first=stages[0], then=stages[1], share=0.1)
    for _ in range(2):
        asked = chain.ask(4)
        chain.tell(asked, torch.linspace(0.0, 1.0, len(asked), dtype=torch.float64))
    with pytest.raises(UserError, match="take one that perturbs"):
        chain.ask(36)

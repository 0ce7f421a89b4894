"""A draw is a function of its key, and no two keys share a stream."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.core import (
    Block,
    Gaussian,
    HeldLowRank,
    LowRank,
    Noise,
    Orthogonal,
    Rademacher,
    Space,
    Sparse,
    Sphere,
    Subspace,
    counter,
)
from harness.core import noise as noise_module
from harness.core import space as space_module

LAWS = (Gaussian, Rademacher, LowRank, HeldLowRank, Subspace, Sphere, Orthogonal)


@pytest.fixture(scope="module", autouse=True, params=["as on a CPU", "as on an accelerator"])
def device(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every law draws with generators, and as a function of key and place."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counter, "serves", lambda device: request.param == "as on an accelerator")
        yield


def space() -> Space:
    return Space(
        [
            Block("a", (40, 3), "matrix", 0.5),
            Block("same shape as a", (40, 3), "matrix", 0.5),
            Block("v", (64,), "vector", 0.1),
        ]
    )


@pytest.mark.parametrize("law", LAWS)
def test_a_draw_is_the_same_whenever_it_is_asked_for(law: type[Noise]) -> None:
    first, second = law(space(), 5, 2), law(space(), 5, 2)
    first.draw(9, "v")
    assert torch.equal(first.draw(3, "a"), second.draw(3, "a"))


@pytest.mark.parametrize("law", LAWS)
def test_seed_generation_member_and_block_each_change_the_draw(law: type[Noise]) -> None:
    keys = itertools.product((0, 1, 2**40), (0, 1, 7), (0, 1, 5), ("a", "same shape as a"))
    drawn = [law(space(), seed, generation).draw(member, block) for seed, generation, member, block in keys]
    different = {tuple(draw.flatten().tolist()) for draw in drawn}
    assert len(different) == len(drawn), "same-shaped tensors must not share their perturbation"


@pytest.mark.parametrize("law", sorted(set(LAWS) - {Subspace}, key=str))  # one normal number a draw
def test_entries_have_mean_zero_and_variance_one(law: type[Noise]) -> None:
    space = Space([Block("w", (50, 40), "matrix")])
    draws = torch.stack([law(space, seed, 0).draw(seed % 3, "w") for seed in range(300)])
    assert abs(draws.mean()) < 0.02
    assert abs(draws.var() - 1) < 0.05


@pytest.mark.parametrize("law", [LowRank, HeldLowRank, Subspace])
@pytest.mark.parametrize("rank", [2, 5])
def test_defect_4_entries_have_variance_one_at_every_rank(law: type[LowRank], rank: int) -> None:
    space = Space([Block("w", (20, 15), "matrix")])
    draws = torch.stack([law(space, seed, 0, rank).draw(seed, "w") for seed in range(1000)])
    assert abs(draws.var() - 1) < 0.08  # three to four standard deviations


@pytest.mark.parametrize("law", [HeldLowRank, Subspace])
def test_a_held_factor_changes_at_the_end_of_its_window_and_not_before(law: type[HeldLowRank]) -> None:
    rights = [law(space(), 3, generation, rank=2, hold=2).factors(1, "a")[1] for generation in range(4)]
    assert torch.equal(rights[0], rights[1])
    assert torch.equal(rights[2], rights[3])
    assert not torch.equal(rights[1], rights[2])


def test_small_weights_only_are_perturbed_by_the_sparse_law() -> None:
    parameters = {
        block.name: torch.linspace(-1, 1, block.size).reshape(block.shape) for block in space().blocks
    }
    noise = Sparse(space(), 0, 0, parameters, {"a": 0.5, "same shape as a": 0.0, "v": 2.0})
    normal = Gaussian(space(), 0, 0)
    assert torch.equal(noise.draw(3, "a"), normal.draw(3, "a") * (parameters["a"].abs() <= 0.5))
    assert torch.equal(noise.draw(3, "a", torch.tensor([39, 20])), noise.draw(3, "a")[[39, 20]])
    assert not noise.draw(3, "same shape as a").any()
    assert torch.equal(noise.draw(3, "v"), normal.draw(3, "v"))


def test_orthogonal_draws_begin_a_new_group_after_d_members() -> None:
    noise = Orthogonal(Space([Block("w", (2, 2), "matrix")]), 0, 0)
    draws = torch.stack([noise.draw(member, "w").flatten() for member in (7, 4, 6, 5, 0)])
    torch.testing.assert_close(draws[:4] @ draws[:4].T, 4 * torch.eye(4), atol=1e-4, rtol=0)
    assert (draws[:4] @ draws[4]).abs().max() > 0.1


@settings(max_examples=40, deadline=None)
@given(
    law=st.sampled_from(LAWS),
    tile=st.sampled_from([1, 7, 30, 2**18]),
    rows=st.lists(st.integers(0, 39), min_size=1, max_size=12),
)
def test_rows_of_a_draw_are_the_same_as_in_the_whole(law: type[Noise], tile: int, rows: list[int]) -> None:
    before, space_module.TILE = space_module.TILE, tile
    try:
        noise = law(space(), 1, 1)
        whole = noise.draw(2, "a")
        torch.testing.assert_close(noise.draw(2, "a", torch.tensor(rows)), whole[rows])
        first, last = min(rows), max(rows) + 1
        torch.testing.assert_close(noise.draw(2, "a", slice(first, last)), whole[first:last])
    finally:
        space_module.TILE = before


@pytest.mark.parametrize("law", LAWS)
def test_a_weighted_sum_is_the_sum_of_its_draws(law: type[Noise]) -> None:
    noise = law(space(), 0, 3)
    members, weights = [4, 0, 7], [0.5, -2.0, 0.0]
    expected = sum(w * noise.draw(m, "a") for m, w in zip(members, weights, strict=True))
    torch.testing.assert_close(noise.weighted_sum("a", members, weights), expected)
    torch.testing.assert_close(noise.weighted_sum("a", members, weights, slice(5, 9)), expected[5:9])


@pytest.mark.parametrize("law", LAWS)
def test_a_weighted_sum_may_be_written_to(law: type[Noise]) -> None:
    noise = law(space(), 0, 3)
    for block in ("a", "v"):
        drawn = noise.draw(2, block).clone()
        noise.weighted_sum(block, [2], [1.0]).zero_()
        assert torch.equal(noise.draw(2, block), drawn)


@pytest.mark.parametrize("law", LAWS)
def test_what_a_law_keeps_is_bounded_and_changes_no_draw(
    law: type[Noise], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that keeps nothing draws the same, whatever was drawn before and when there is no room left."""
    monkeypatch.setattr(counter, "serves", lambda device: False)
    keys = [(member, block.name) for member in (3, 0, 3, *range(9)) for block in space().blocks]
    monkeypatch.setattr(noise_module._Kept, "room", 0)
    fresh = law(space(), 5, 2)
    expected = [fresh.draw(*key).clone() for key in keys]
    assert not fresh._kept
    monkeypatch.setattr(noise_module._Kept, "room", 1000)
    keeping = law(space(), 5, 2)
    for key, draw in zip(keys, expected, strict=True):
        assert torch.equal(keeping.draw(*key), draw)
    assert 0 < sum(kept.numel() for kept in keeping._kept.values()) <= 1000


def test_random_signs_are_the_bits_of_random_octets_the_lowest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the CPU, whose generator is keyed as for a normal draw of the same block."""
    monkeypatch.setattr(counter, "serves", lambda device: False)
    noise = Rademacher(space(), 5, 2)
    octets = torch.randint(0, 256, (8,), generator=noise._generator(4, "v")).tolist()
    expected = [1.0 if octet >> place & 1 else -1.0 for octet in octets for place in range(8)]
    assert noise.draw(4, "v").tolist() == expected


@pytest.mark.parametrize("law", LAWS)
def test_many_members_are_drawn_at_once_as_one_by_one(law: type[Noise]) -> None:
    noise, members = law(space(), 5, 2), [4, 0, 4, 7]
    for block in ("a", "v"):
        for rows in (slice(None), slice(3, 9), torch.tensor([7, 0, 7])):
            alone = [law(space(), 5, 2).draw(member, block, rows, torch.float64) for member in members]
            assert torch.equal(noise.draws(members, block, rows, torch.float64), torch.stack(alone))


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_what_lies_around_a_center_is_cast_once(law: type[Noise], dtype: torch.dtype) -> None:
    """By numbers, and by a tensor of them; the sum in float32 at least."""
    noise, members = law(space(), 5, 2), [4, 0, 4, 7]
    center, signs = torch.linspace(-1, 1, 12, dtype=dtype).reshape(4, 3), torch.tensor([1, -1, 0, -1])
    wide = torch.promote_types(dtype, torch.float32)
    for step in (0.5, torch.linspace(0, 2, 12).reshape(4, 3)):
        found = noise.around(center, members, signs, step, "a", slice(2, 6))
        drawn = noise.draws(members, "a", slice(2, 6), wide)
        expected = (center.to(wide) + signs[:, None, None] * step * drawn).to(dtype)
        torch.testing.assert_close(found, expected, rtol=1e-6 if dtype != torch.bfloat16 else 8e-3, atol=1e-6)
        assert found.dtype == dtype


def test_global_random_state_is_left_alone() -> None:
    before = torch.get_rng_state()
    for law in LAWS:
        law(space(), 0, 0).draw(0, "a")
    assert torch.equal(before, torch.get_rng_state())


def test_low_rank_draws_are_the_product_of_their_factors() -> None:
    noise = LowRank(space(), 0, 0, rank=2)
    factors = noise.factors(3, "a")
    assert factors is not None
    torch.testing.assert_close(factors[0] @ factors[1].T, noise.draw(3, "a"))
    assert torch.linalg.matrix_rank(noise.draw(3, "a")) == 2
    assert noise.factors(3, "v") is None

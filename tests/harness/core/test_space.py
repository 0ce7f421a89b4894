"""Coordinates, parameters and projections."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.core import Block, Projected, Space


def space() -> Space:
    blocks = [Block("a", (2, 3), "matrix", 0.5), Block("b", (4,), "vector", 2.0)]
    return Space(blocks, {"a": torch.ones(2, 3), "b": torch.arange(4.0)})


def test_coordinates_undo_parameters() -> None:
    z = torch.linspace(-1, 1, 10)
    parameters = {name: value[0] for name, value in space().parameters(z[None]).items()}
    torch.testing.assert_close(space().coordinates(parameters), z)


def test_zero_coordinates_are_the_start_and_one_is_a_scale_away() -> None:
    at_start = space().parameters(torch.zeros(1, 10))
    away = space().parameters(torch.ones(1, 10))
    assert all(torch.equal(at_start[name][0], value) for name, value in space().start().items())
    assert torch.equal(away["b"] - at_start["b"], torch.full((1, 4), 2.0))


@pytest.mark.parametrize("dense", [True, False])
def test_standard_normal_coordinates_move_every_parameter_by_its_scale(
    monkeypatch: pytest.MonkeyPatch, dense: bool
) -> None:
    if not dense:
        monkeypatch.setattr(Projected, "DENSE_LIMIT", 0)
    inner = Space([Block("w", (60, 10), "matrix", 0.3)])
    projected = Projected(inner, 40, seed=1)
    assert projected.dense is dense
    z = torch.randn(400, 40, generator=torch.Generator().manual_seed(0))
    moved = projected.parameters(z)["w"]
    assert moved.std() == pytest.approx(0.3, rel=0.1)
    torch.testing.assert_close(projected.parameters(2 * z)["w"], 2 * moved)
    assert not torch.allclose(Projected(inner, 40, seed=2).parameters(z)["w"], moved)


@pytest.mark.parametrize("dense", [True, False])
def test_a_lifted_point_does_not_depend_on_its_company(monkeypatch: pytest.MonkeyPatch, dense: bool) -> None:
    if not dense:
        monkeypatch.setattr(Projected, "DENSE_LIMIT", 0)
    projected = Projected(Space([Block("w", (30, 30), "matrix")]), 20)
    z = torch.randn(9, 20, generator=torch.Generator().manual_seed(0))
    assert torch.equal(projected.lift(z)[4:5], projected.lift(z[4:5]))


def test_the_sparse_projection_is_no_permutation_of_few_directions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Projected, "DENSE_LIMIT", 0)
    projected = Projected(Space([Block("w", (500,), "vector")]), 30)
    matrix = projected.lift(torch.eye(30))
    assert torch.linalg.matrix_rank(matrix) == 30


@pytest.mark.parametrize("dimension", [0, 11])
def test_a_subspace_that_does_not_fit_is_refused(dimension: int) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        Projected(space(), dimension)


def test_duplicate_names_and_misfitting_starts_are_refused() -> None:
    block = Block("a", (2,), "vector")
    with pytest.raises(ValueError, match="distinct names"):
        Space([block, block])
    with pytest.raises(ValueError, match="fits no block"):
        Space([block], {"a": torch.zeros(3)})


def test_only_a_space_in_place_lends_its_start_and_only_once() -> None:
    weights = {"w": torch.ones(2)}
    blocks = [Block("w", (2,), "vector")]
    with pytest.raises(ValueError, match="lends nothing"):
        Space(blocks, weights).lend()
    lending = Space(blocks, weights, in_place=True)
    assert lending.start()["w"] is weights["w"]
    assert lending.lend()["w"] is weights["w"]
    with pytest.raises(ValueError, match="no start any more"):
        lending.lend()
    with pytest.raises(ValueError, match="no start any more"):
        lending.parameters(torch.zeros(1, 2))


@given(rows=st.integers(1, 50), width=st.integers(1, 9), numbers=st.integers(1, 40), times=st.integers(1, 4))
def test_slices_cover_the_rows_in_order_and_begin_at_multiples_of_a_tile(
    rows: int, width: int, numbers: int, times: int
) -> None:
    block = Block("w", (rows, width), "matrix")
    slices = list(block.slices(numbers, times))
    assert [row for part in slices for row in range(rows)[part]] == list(range(rows))
    tile = max(1, numbers // width)
    assert all(part.start % (tile * times) == 0 for part in slices)

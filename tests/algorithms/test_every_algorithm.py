"""Every registered algorithm passes the conformance kit, and keeps the habits of this house beside it."""

from __future__ import annotations

import pytest

from harness import check_algorithm
from harness.core import Points
from tests.algorithms.drive import CONTESTANTS, REGISTERED, make, space_of


@pytest.mark.parametrize("name", sorted(REGISTERED))
def test_every_algorithm_passes_the_conformance_kit(name: str) -> None:
    check_algorithm(name)


@pytest.mark.parametrize("name", sorted(REGISTERED))
def test_the_docstring_of_every_algorithm_has_an_example(name: str) -> None:
    assert ">>>" in (REGISTERED[name].load().__doc__ or "")


@pytest.mark.parametrize("name", CONTESTANTS)
def test_points_are_float32(name: str) -> None:
    population = make(name, space_of(), 100).ask(100)
    assert population is not None
    if isinstance(population, Points):
        assert str(population.values.dtype) == "torch.float32"

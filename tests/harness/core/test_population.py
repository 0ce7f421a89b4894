"""Perturbations written out are what their definition says."""

from __future__ import annotations

import pytest
import torch

from harness.core import Block, Budget, Gaussian, Gradients, LowRank, Noise, Perturbations, Points, Space

SPACE = Space([Block("w", (6, 4), "matrix", 0.5), Block("v", (3,), "vector", 0.1)])


def perturbations(law: type[Noise], dtype: torch.dtype = torch.float32) -> Perturbations:
    center = {block.name: torch.randn(block.shape).to(dtype) for block in SPACE.blocks}
    members, signs = torch.tensor([3, 3, 0, 1]), torch.tensor([1, -1, 0, 1], dtype=torch.int8)
    return Perturbations(center, law(SPACE, 0, 5), {"w": 0.2, "v": 3.0}, members, signs)


@pytest.mark.parametrize("law", [Gaussian, LowRank])
def test_a_member_is_center_plus_scale_sigma_sign_noise(law: type[Noise]) -> None:
    population = perturbations(law)
    for i, (member, sign) in enumerate([(3, 1), (3, -1), (0, 0), (1, 1)]):
        for block, sigma in (("w", 0.5 * 0.2), ("v", 0.1 * 3.0)):
            expected = population.center[block] + sign * sigma * population.noise.draw(member, block)
            torch.testing.assert_close(population.materialise(block)[i], expected)
    assert torch.equal(population[1:3].materialise("w"), population.materialise("w")[1:3])


def test_coordinates_are_those_of_the_members() -> None:
    population = perturbations(Gaussian)
    written = SPACE.parameters(population.coordinates())
    torch.testing.assert_close(written["w"], population.materialise("w"))


def test_a_center_in_bfloat16_is_rounded_once() -> None:
    population = perturbations(Gaussian, torch.bfloat16)
    exact = population.center["v"].float() + 0.1 * 3.0 * population.noise.draw(1, "v")
    assert torch.equal(population.materialise("v")[3], exact.to(torch.bfloat16))
    assert torch.equal(population.materialise("v")[2], population.center["v"])


def test_a_gradient_is_priced_at_three_evaluations() -> None:
    assert Budget.price(Points(torch.zeros(2, 5))) == 2
    assert Budget.price(Gradients(torch.zeros(2, 5))) == 6


def test_a_budget_cannot_be_overdrawn() -> None:
    budget = Budget(5)
    budget.spend(4)
    with pytest.raises(ValueError, match="1 remain"):
        budget.spend(2)
    assert budget.spent == 4

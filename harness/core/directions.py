"""Laws that reshape normal draws: onto a sphere, orthogonal to each other, or small weights only."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from harness.core.noise import Gaussian, Rows
from harness.core.space import Space


class Sphere(Gaussian):
    """Normal draws, scaled to the length ``sqrt(d)`` over all blocks together.

    >>> from harness.core.space import Block
    >>> noise = Sphere(Space([Block("w", (3, 2), "matrix"), Block("v", (3,), "vector")]), 1, 0)
    >>> length = sum(float(noise.draw(0, name).square().sum()) for name in ("w", "v"))
    >>> round(length, 4)
    9.0
    """

    reshaped = True

    def draw(
        self, member: int, block: str, rows: Rows = slice(None), dtype: torch.dtype = torch.float32
    ) -> Tensor:
        if member not in self._factor:
            parts = (part.reshape(-1).double() for part in self._parts(member))
            square = sum(float(torch.dot(part, part)) for part in parts)
            self._factor[member] = math.sqrt(self.space.size / square)
        return (self._factor[member] * super().draw(member, block, rows)).to(dtype)

    def _parts(self, member: int) -> Iterator[Tensor]:
        for block, rows in slices(self.space):
            yield super().draw(member, block, rows)

    @cached_property
    def _factor(self) -> dict[int, float]:
        return {}


class Orthogonal(Gaussian):
    """Normal draws made orthogonal to those of the members before, each of length ``sqrt(d)``.

    Members fall into groups of d. A draw of member i is a combination of i + 1 normal draws, so nothing of
    the space's size is kept; its coefficients are those of Gram and Schmidt, in float64.

    >>> from harness.core.space import Block
    >>> noise = Orthogonal(Space([Block("w", (4, 2), "matrix")]), 1, 0)
    >>> draws = torch.stack([noise.draw(member, "w").flatten() for member in range(8)])
    >>> torch.allclose(draws @ draws.T, 8 * torch.eye(8), atol=1e-4)
    True
    """

    reshaped = True

    def draw(
        self, member: int, block: str, rows: Rows = slice(None), dtype: torch.dtype = torch.float32
    ) -> Tensor:
        first = member - member % self.space.size
        combination = self._combination(first, member - first)
        total = torch.zeros((), device=self.space.device)
        for offset, coefficient in enumerate(combination.tolist()):
            total = total + coefficient * super().draw(first + offset, block, rows)
        return total.to(dtype)

    def _combination(self, first: int, place: int) -> Tensor:
        """Coefficients float64 ``[place + 1]`` of a group's normal draws."""
        known = self._combinations.setdefault(first, [])
        while len(known) <= place:
            products = self._products(first, len(known))
            basis = torch.zeros(len(known), len(products), dtype=torch.float64)
            for row, coefficients in enumerate(known):
                basis[row, : len(coefficients)] = coefficients
            basis = basis / math.sqrt(self.space.size)
            along = basis @ products  # on the orthonormal directions before
            rest = math.sqrt(max(float(products[-1] - along.square().sum()), torch.finfo(torch.float64).tiny))
            own = -(along @ basis)
            own[-1] += 1.0
            known.append(own * (math.sqrt(self.space.size) / rest))
        return known[place]

    def _products(self, first: int, place: int) -> Tensor:
        """Inner products float64 ``[place + 1]`` of a normal draw with those of its group up to itself."""
        products = torch.zeros(place + 1, dtype=torch.float64)
        for block, rows in slices(self.space):
            here = super().draw(first + place, block, rows)
            for other in range(place):
                products[other] += _dot(here, super().draw(first + other, block, rows))
            products[place] += _dot(here, here)
        return products

    @cached_property
    def _combinations(self) -> dict[int, list[Tensor]]:
        return {}


@dataclass(frozen=True, eq=False)
class Sparse(Gaussian):
    """Normal draws where a parameter's magnitude is at most its block's threshold, and 0 elsewhere.

    The mask follows the parameters as they are at the time of the draw.

    Args:
        parameters: a tensor of the block's shape for each block, such as a search's center.
        thresholds: a number for each block.

    Source: Liu et al., Sparse MeZO: Less Parameters for Better Performance in Zeroth-Order LLM Fine-Tuning,
    arXiv 2402.15751.

    >>> from harness.core.space import Block
    >>> space = Space([Block("v", (3,), "vector")])
    >>> noise = Sparse(space, 1, 0, {"v": torch.tensor([0.0, -2.0, 1.0])}, {"v": 1.0})
    >>> (noise.draw(0, "v") != 0).tolist()
    [True, False, True]
    """

    parameters: Mapping[str, Tensor] = field(default_factory=dict)
    thresholds: Mapping[str, float] = field(default_factory=dict)
    reshaped = True

    def draw(
        self, member: int, block: str, rows: Rows = slice(None), dtype: torch.dtype = torch.float32
    ) -> Tensor:
        small = self.parameters[block][rows].abs() <= self.thresholds[block]
        return super().draw(member, block, rows, dtype) * small


def slices(space: Space) -> Iterator[tuple[str, slice]]:
    """All rows of all blocks, tile by tile, as ``(block, rows)``."""
    for block in space.blocks:
        for rows in block.slices(space.tile):
            yield block.name, rows


def _dot(a: Tensor, b: Tensor) -> float:
    return float(torch.dot(a.reshape(-1).double(), b.reshape(-1).double()))

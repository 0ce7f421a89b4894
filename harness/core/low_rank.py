"""Laws whose perturbation of a matrix is a product of two thin factors."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from harness.core import counter
from harness.core.noise import Gaussian, Rows
from harness.core.space import Block

_FEW = 16
"""Under so many rows a linear-algebra library was seen to give other last digits with other threads."""


def _product(left: Tensor, right: Tensor) -> Tensor:
    """``left @ right.T``, the same bits for any number of threads: never few rows before many columns."""
    if left.shape[0] < min(_FEW, right.shape[0]):
        return (right @ left.T).T.contiguous()
    return left @ right.T


@dataclass(frozen=True)
class Factored(Gaussian):
    """Matrices and embeddings get ``A B^T`` with ``rank`` columns in A and B; vectors get normal entries.

    Args:
        rank: of the product.
    """

    rank: int = 1
    has_factors: ClassVar[bool] = True

    def factored(self, block: str) -> bool:
        """Whether ``factors`` answers for a block: matrices and embeddings."""
        spec = self.space.block(block)
        return spec.kind != "vector" and len(spec.shape) == 2

    def factors(self, member: int, block: str) -> tuple[Tensor, Tensor] | None:
        pair = self.factors_of([member], block)
        return None if pair is None else (pair[0][0], pair[1][0])

    def factors_of(self, members: Sequence[int], block: str) -> tuple[Tensor, Tensor] | None:
        """``(A[k, out, r], B[k, in, r])`` of k members, as ``factors`` gives them one by one."""
        return self._factors(members, self.space.block(block)) if self.factored(block) else None

    @abstractmethod
    def _factors(self, members: Sequence[int], block: Block) -> tuple[Tensor, Tensor]:
        """``(A[k, out, r], B[k, in, r])`` of a matrix, float32, on the space's device."""

    def draw(
        self, member: int, block: str, rows: Rows = slice(None), dtype: torch.dtype = torch.float32
    ) -> Tensor:
        factors = self.factors(member, block)
        if factors is None:
            return super().draw(member, block, rows, dtype)
        return _product(factors[0][rows].to(dtype), factors[1].to(dtype))

    def by_entries(self, block: str) -> bool:
        return super().by_entries(block) and not self.factored(block)

    def weighted_sum(
        self, block: str, members: Sequence[int], weights: Sequence[float], rows: slice = slice(None)
    ) -> Tensor:
        pair = self.factors_of(members, block) if members else None
        if pair is None:
            return super().weighted_sum(block, members, weights, rows)
        left, right = pair
        weight = torch.tensor(weights, dtype=torch.float32).to(left.device, non_blocking=True)
        return _product(_beside(weight[:, None, None] * left[:, rows]), _beside(right))

    def _normals(
        self, members: Sequence[int], block: Block, rows: int, columns: int, generation: int | None = None
    ) -> Tensor:
        """Normal numbers ``[k, rows, columns]``, those of a block's factors."""
        device = self.space.device
        if self.counted:
            key = self._keys(members, block.name, generation)
            place = torch.arange(rows * columns, device=device)
            made = counter.drawn("normal", key, place, torch.float32)
            return made.reshape(len(members), rows, columns)
        generators = (self._generator(member, block.name, generation=generation) for member in members)
        return torch.stack([torch.randn(rows, columns, generator=g, device=device) for g in generators])


def _beside(stacked: Tensor) -> Tensor:
    """``[k, rows, r]`` to ``[rows, k * r]``."""
    return stacked.transpose(0, 1).reshape(stacked.shape[1], -1)


@dataclass(frozen=True)
class LowRank(Factored):
    """``A B^T / sqrt(rank)`` with normal factors, both fresh for every member.

    ``factors`` returns A already divided by ``sqrt(rank)``.

    Source: Sarkar et al., Evolution Strategies at the Hyperscale (EGGROLL), arXiv 2511.16652.

    >>> from harness.core.space import Space
    >>> noise = LowRank(Space([Block("w", (5, 4), "matrix")]), seed=1, generation=0, rank=1)
    >>> int(torch.linalg.matrix_rank(noise.draw(0, "w")))
    1
    """

    def _factors(self, members: Sequence[int], block: Block) -> tuple[Tensor, Tensor]:
        both = self._normals(members, block, sum(block.shape), self.rank)
        return both[:, : block.rows] / math.sqrt(self.rank), both[:, block.rows :]


@dataclass(frozen=True)
class HeldLowRank(Factored):
    """``U V^T / sqrt(rank)``: normal U fresh for every member, normal V held for ``hold`` generations.

    All members share V, so that a run of steps stays in one subspace.

    Source: Chen et al., Enhancing Zeroth-order Fine-tuning for Language Models with Low-rank Structures
    (LOZO), arXiv 2410.07698.

    >>> from harness.core.space import Space
    >>> space = Space([Block("w", (5, 4), "matrix")])
    >>> first, second, third = (HeldLowRank(space, 1, g, rank=1, hold=2).factors(0, "w")[1] for g in range(3))
    >>> torch.equal(first, second), torch.equal(second, third)
    (True, False)
    """

    hold: int = 50

    def _factors(self, members: Sequence[int], block: Block) -> tuple[Tensor, Tensor]:
        left = self._normals(members, block, block.rows, self.rank)
        return left / math.sqrt(self.rank), self._held(block).expand(len(members), -1, -1)

    def _held(self, block: Block) -> Tensor:
        if block.name not in self._window:
            # Windows are numbered below zero, where no generation is.
            window = -1 - self.generation // self.hold
            self._window[block.name] = self._normals([0], block, block.row_size, self.rank, window)[0]
        return self._window[block.name]

    @cached_property
    def _window(self) -> dict[str, Tensor]:
        return {}


@dataclass(frozen=True)
class Subspace(Factored):
    """``U Z V^T sqrt(out in) / rank``: normal Z fresh for every member; U, V held for ``hold`` generations.

    U and V have ``rank`` orthonormal columns, the Q of a normal matrix's QR decomposition; no more than the
    block has rows or columns.

    Source: Yu et al., Zeroth-Order Fine-Tuning of LLMs in Random Subspaces (SubZero), arXiv 2410.08989.

    >>> from harness.core.space import Space
    >>> space = Space([Block("w", (5, 4), "matrix")])
    >>> left, right = Subspace(space, seed=1, generation=0, rank=2).factors(0, "w")
    >>> torch.allclose(right.T @ right, torch.eye(2), atol=1e-6)
    True
    """

    hold: int = 1000

    def _factors(self, members: Sequence[int], block: Block) -> tuple[Tensor, Tensor]:
        left, right = self._held(block)
        rank = left.shape[1]
        middles = self._normals(members, block, rank, rank)
        lefts = torch.stack([left @ middle for middle in middles])  # a batched product rounds otherwise
        return lefts * (math.sqrt(block.size) / rank), right.expand(len(members), -1, -1)

    def _held(self, block: Block) -> tuple[Tensor, Tensor]:
        if block.name not in self._window:
            # Windows are numbered below zero, where no generation is.
            window = -1 - self.generation // self.hold
            generator = self._generator(0, block.name, generation=window)
            rank = min(self.rank, *block.shape)
            left, right = (
                torch.randn(extent, rank, generator=generator, device=self.space.device)
                for extent in block.shape
            )
            self._window[block.name] = torch.linalg.qr(left)[0], torch.linalg.qr(right)[0]
        return self._window[block.name]

    @cached_property
    def _window(self) -> dict[str, tuple[Tensor, Tensor]]:
        return {}

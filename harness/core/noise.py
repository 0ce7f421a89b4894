"""Laws of perturbation: a draw is a pure function of its key, so that nobody has to keep one."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import ClassVar

import torch
from torch import Tensor

from harness.core.space import Space

TILE = 2**18  # numbers drawn under one key: rows of a large block are drawn tile by tile
KEPT = 2**14  # numbers, 64 KiB: so many a law keeps of what it draws in small blocks
Rows = slice | Tensor
_MASK = 0xFFFFFFFF


@dataclass(frozen=True)
class Noise(ABC):
    """The perturbations of one generation of one run.

    A draw depends on (seed, generation, member, block, row range) and on nothing else; float32, on the
    space's device. Under one seed and generation no two keys share a stream (on the CPU, whose generators
    have 32-bit seeds, one may recur in another generation). CPU and GPU draw different numbers.

    Args:
        space: whose blocks are perturbed.
        seed: of the algorithm.
        generation: counted from 0.

    >>> from harness.core.space import Block
    >>> noise = Gaussian(Space([Block("w", (3, 2), "matrix")]), seed=1, generation=0)
    >>> total = noise.weighted_sum("w", members=[0, 5], weights=[1.0, -0.5])
    >>> bool(torch.allclose(total, noise.draw(0, "w") - 0.5 * noise.draw(5, "w")))
    True
    """

    space: Space
    seed: int
    generation: int

    has_factors: ClassVar[bool] = False
    """Whether ``factors`` answers for matrices."""

    def _generator(
        self, member: int, block: str, tile: int = 0, generation: int | None = None
    ) -> torch.Generator:
        # A CPU generator of torch keeps 32 bits of its seed, so hashing the whole key would let two
        # draws collide. Members and tiles are numbered instead, and the number is scrambled one-to-one.
        first = self.space.first_slices(TILE)
        number = member * first[-1] + first[self.space.position(block)] + tile
        base = _base(self.seed, self.generation if generation is None else generation)
        device = self.space.device
        key = _scramble((number + base) & _MASK) if device.type == "cpu" else (base << 31) ^ number
        return torch.Generator(device).manual_seed(key)

    def draw(
        self, member: int, block: str, rows: Rows = slice(None), dtype: torch.dtype = torch.float32
    ) -> Tensor:
        """The perturbation of a member in a block, or some rows of it.

        Args:
            member: name of the direction, from 0.
            block: name of the block.
            rows: a slice of its rows, or int64 ``[k]`` indices of rows in any order.
            dtype: what the float32 numbers that are drawn are cast to.

        Returns:
            ``[rows, *rest]`` of that dtype, not to be written to.
        """
        shape = self.space.block(block).shape
        if shape[0] == 1 or math.prod(shape) <= TILE:
            drawn = self._kept.get((member, block))
            if drawn is None:
                drawn = self._fill(self._generator(member, block), shape)
                self._kept.add((member, block), drawn)
            # Of a few hundred numbers a view and a cast that change nothing cost as much as arithmetic.
            if not (isinstance(rows, slice) and rows == slice(None)):
                drawn = drawn[rows]
            return drawn if dtype == torch.float32 else drawn.to(dtype)
        height = self.space.block(block).rows_of(TILE)
        wanted = torch.arange(*rows.indices(shape[0])) if isinstance(rows, slice) else rows
        wanted = wanted.to(self.space.device)
        out = torch.empty(len(wanted), *shape[1:], device=self.space.device)
        for tile in torch.unique(wanted // height).tolist():
            rest = (min(height, shape[0] - tile * height), *shape[1:])
            here = wanted // height == tile
            drawn = self._fill(self._generator(member, block, tile), rest)
            out[here] = drawn[wanted[here] - tile * height]
        return out.to(dtype)

    def weighted_sum(
        self, block: str, members: Sequence[int], weights: Sequence[float], rows: slice = slice(None)
    ) -> Tensor:
        """``sum_i weights[i] * draw(members[i], block, rows)``, float32, one draw in memory at a time."""
        total: Tensor | None = None
        for member, weight in zip(members, weights, strict=True):
            if weight:
                drawn = self.draw(member, block, rows)
                total = weight * drawn if total is None else total.add_(drawn, alpha=weight)
        if total is not None:
            return total
        shape = self.space.block(block).shape
        start, stop, _ = rows.indices(shape[0])
        return torch.zeros(stop - start, *shape[1:], device=self.space.device)

    def factors(self, member: int, block: str) -> tuple[Tensor, Tensor] | None:
        """``(A[out, r], B[in, r])`` with ``draw = A @ B.T`` where the law has factors, else None."""
        return None

    @cached_property
    def _kept(self) -> _Kept:
        # What the evaluator draws the step draws again, and a small draw costs its generator's start.
        return _Kept()

    @abstractmethod
    def _fill(self, generator: torch.Generator, shape: tuple[int, ...]) -> Tensor:
        """Independent entries of mean 0 and variance 1, float32, on the space's device."""


class _Kept(dict[tuple[int, str], Tensor]):
    """Draws of whole blocks by member and block, the first ones until there is no room."""

    room = KEPT

    def add(self, key: tuple[int, str], drawn: Tensor) -> None:
        """Keeps a draw if there is room for it."""
        if drawn.numel() <= self.room:
            self.room -= drawn.numel()
            self[key] = drawn


class Gaussian(Noise):
    """Independent standard normal entries.

    >>> from harness.core.space import Block
    >>> noise = Gaussian(Space([Block("w", (3, 2), "matrix")]), seed=1, generation=0)
    >>> bool(torch.equal(noise.draw(7, "w")[1:2], noise.draw(7, "w", slice(1, 2))))
    True
    """

    def _fill(self, generator: torch.Generator, shape: tuple[int, ...]) -> Tensor:
        return torch.randn(shape, generator=generator, device=self.space.device)


class Rademacher(Noise):
    """Independent signs, -1 or +1 with equal probability.

    >>> from harness.core.space import Block
    >>> noise = Rademacher(Space([Block("w", (100,), "vector")]), seed=1, generation=0)
    >>> noise.draw(0, "w").unique().tolist()
    [-1.0, 1.0]
    """

    def _fill(self, generator: torch.Generator, shape: tuple[int, ...]) -> Tensor:
        count, device = math.prod(shape), self.space.device
        octets = torch.randint(
            0, 256, (math.ceil(count / 8),), generator=generator, device=device, dtype=torch.uint8
        )
        return _signs(device).index_select(0, octets.int()).view(-1)[:count].view(shape)


@lru_cache(maxsize=8)
def _signs(device: torch.device) -> Tensor:
    """The eight bits of every octet as -1 or +1, the lowest first: float32 ``[256, 8]``."""
    octets, places = torch.arange(256)[:, None], torch.arange(8)
    return (2.0 * ((octets >> places) & 1) - 1.0).to(device)


@lru_cache(maxsize=1024)
def _base(seed: int, generation: int) -> int:
    """Where the keys of a generation begin."""
    base = _scramble(_scramble(seed & _MASK) ^ _scramble((seed >> 32) + 1))
    return _scramble((base + generation) & _MASK)


def _scramble(value: int) -> int:
    """A one-to-one map of 32-bit words whose output bits all depend on all input bits."""
    value = ((value ^ (value >> 16)) * 0x7FEB352D) & _MASK
    value = ((value ^ (value >> 15)) * 0x846CA68B) & _MASK
    return value ^ (value >> 16)

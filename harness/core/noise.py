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

from harness.core import counter
from harness.core.space import Space

KEPT = 2**14  # numbers, 64 KiB: so many a law keeps of what it draws in small blocks
Rows = slice | Tensor
_MASK = 0xFFFFFFFF


@dataclass(frozen=True)
class Noise(ABC):
    """The perturbations of one generation of one run.

    A draw depends on (seed, generation, member, block, row range) and on nothing else; float32, on the
    space's device. On the CPU a generator is started for each draw, or for each tile of a large block; under
    one seed and generation no two share a stream (their seeds have 32 bits, so that one may recur in another
    generation). On an accelerator each entry of a law that has an ``entry`` is a function of its key and
    place, so that all members are drawn in one pass; other laws start generators there too. CPU and GPU draw
    different numbers.

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
    entry: ClassVar[counter.Entry | None] = None
    """What an entry of ``_fill`` is, so that accelerators can count; None starts generators there too."""
    reshaped: ClassVar[bool] = False
    """Whether ``draw`` makes something else of such entries, or of several members' together."""

    @cached_property
    def counted(self) -> bool:
        """Whether draws are functions of key and place, made for many members at once."""
        return self.entry is not None and counter.serves(self.space.device)

    def _generator(
        self, member: int, block: str, tile: int = 0, generation: int | None = None
    ) -> torch.Generator:
        # A CPU generator of torch keeps 32 bits of its seed, so hashing the whole key would let two
        # draws collide. Members and tiles are numbered instead, and the number is scrambled one-to-one.
        first = self.space.first_slices(self.space.tile)
        number = member * first[-1] + first[self.space.position(block)] + tile
        base = _base(self.seed, self.generation if generation is None else generation)
        device = self.space.device
        key = _scramble((number + base) & _MASK) if device.type == "cpu" else (base << 31) ^ number
        return torch.Generator(device).manual_seed(key)

    def by_entries(self, block: str) -> bool:
        """Whether a draw of this block is nothing but independent entries of a ``counted`` law."""
        return self.counted and not self.reshaped

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
        if self.counted:
            return self._entries([member], block, rows, dtype)[0]
        shape = self.space.block(block).shape
        if shape[0] == 1 or math.prod(shape) <= self.space.tile:
            drawn = self._kept.get((member, block))
            if drawn is None:
                drawn = self._fill(self._generator(member, block), shape)
                self._kept.add((member, block), drawn)
            # Of a few hundred numbers a view and a cast that change nothing cost as much as arithmetic.
            if not (isinstance(rows, slice) and rows == slice(None)):
                drawn = drawn[rows]
            return drawn if dtype == torch.float32 else drawn.to(dtype)
        height = self.space.block(block).rows_of(self.space.tile)
        wanted = torch.arange(*rows.indices(shape[0])) if isinstance(rows, slice) else rows
        wanted = wanted.to(self.space.device)
        out = torch.empty(len(wanted), *shape[1:], device=self.space.device)
        for tile in torch.unique(wanted // height).tolist():
            rest = (min(height, shape[0] - tile * height), *shape[1:])
            here = wanted // height == tile
            drawn = self._fill(self._generator(member, block, tile), rest)
            out[here] = drawn[wanted[here] - tile * height]
        return out.to(dtype)

    def draws(
        self,
        members: Sequence[int],
        block: str,
        rows: Rows = slice(None),
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        """The perturbations of k members as ``draw`` gives them, one after another: ``[k, rows, *rest]``."""
        if self.by_entries(block):
            return self._entries(members, block, rows, dtype)
        return torch.stack([self.draw(member, block, rows, dtype) for member in members])

    def around(
        self,
        center: Tensor,
        members: Sequence[int],
        signs: Tensor,
        step: float | Tensor,
        block: str,
        rows: Rows = slice(None),
    ) -> Tensor:
        """``center + signs[i] * step * draw(members[i], block, rows)``: ``[k, rows, *rest]`` like the center.

        The sum is taken in float32, or the center's wider dtype, and cast once; of a ``counted`` law no draw
        is written out.

        Args:
            center: the rows ``[rows, *rest]`` of the block.
            members: names of k directions.
            signs: ``[k]`` in {-1, 0, +1}.
            step: a number, or a tensor like the center.
            block: name of the block.
            rows: as in ``draw``.
        """
        wide = torch.promote_types(center.dtype, torch.float32)
        signs = signs.to(center.device, wide, non_blocking=True)
        if self.entry is None or not self.by_entries(block):
            along = signs.reshape(-1, *[1] * center.ndim) * step
            return (center.to(wide) + along * self.draws(members, block, rows, wide)).to(center.dtype)
        key, place = self._keys(members, block), self._places(block, rows)
        made = counter.displaced(self.entry, key, place, center.reshape(-1), signs, step)
        return made.reshape(len(members), *center.shape)

    def weighted_sum(
        self, block: str, members: Sequence[int], weights: Sequence[float], rows: slice = slice(None)
    ) -> Tensor:
        """``sum_i weights[i] * draw(members[i], block, rows)``, float32, one draw in memory at a time."""
        if self.entry is not None and self.by_entries(block):
            key, place = self._keys(members, block), self._places(block, rows)
            there = torch.tensor(weights, dtype=torch.float32).to(key.device, non_blocking=True)
            return counter.summed(self.entry, key, place, there).reshape(
                -1, *self.space.block(block).shape[1:]
            )
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

    def _entries(self, members: Sequence[int], block: str, rows: Rows, dtype: torch.dtype) -> Tensor:
        """Independent entries of a ``counted`` law: ``[k, rows, *rest]``."""
        assert self.entry is not None
        made = counter.drawn(self.entry, self._keys(members, block), self._places(block, rows), dtype)
        return made.reshape(len(members), -1, *self.space.block(block).shape[1:])

    def _keys(self, members: Sequence[int], block: str, generation: int | None = None) -> Tensor:
        """A key for each member, int64 ``[k]``; those of all blocks go to the device together."""
        named = tuple(members), self.generation if generation is None else generation
        if named not in self._key_tables:
            blocks = torch.arange(len(self.space.blocks))
            numbers = torch.tensor(named[0], dtype=torch.int64) * len(blocks) + blocks[:, None]
            base = _scramble(self.seed & _MASK) << 32 | _base(self.seed, named[1])
            made = counter.keys(base, numbers)
            self._key_tables[named] = made.to(self.space.device, non_blocking=True)
        return self._key_tables[named][self.space.position(block)]

    def _places(self, block: str, rows: Rows) -> Tensor:
        """Numbers int64 ``[m]`` of the entries of some rows within their block."""
        spec, device = self.space.block(block), self.space.device
        if isinstance(rows, slice):
            start, stop, _ = rows.indices(spec.rows)
            return torch.arange(start * spec.row_size, stop * spec.row_size, device=device)
        columns = torch.arange(spec.row_size, device=device)
        return (rows.to(device)[:, None] * spec.row_size + columns).reshape(-1)

    @cached_property
    def _key_tables(self) -> dict[tuple[tuple[int, ...], int], Tensor]:
        return {}

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

    entry = "normal"

    def _fill(self, generator: torch.Generator, shape: tuple[int, ...]) -> Tensor:
        return torch.randn(shape, generator=generator, device=self.space.device)


class Rademacher(Noise):
    """Independent signs, -1 or +1 with equal probability.

    >>> from harness.core.space import Block
    >>> noise = Rademacher(Space([Block("w", (100,), "vector")]), seed=1, generation=0)
    >>> noise.draw(0, "w").unique().tolist()
    [-1.0, 1.0]
    """

    entry = "sign"

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

"""The search space: named tensors, their natural units, and the point where the search starts."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

Kind = Literal["matrix", "embedding", "vector"]

TILE = 2**18
"""Numbers of a block that are worked on at once: on the CPU they stay in the caches."""
TILE_ELSEWHERE = 2**22
"""Of an accelerator, for which every piece is a launch."""


@dataclass(frozen=True)
class Block:
    """One named tensor of a space.

    Args:
        name: unique in its space, for a model's own weights the parameter's name.
        shape: of the tensor; a matrix is ``(out, in)``, an embedding ``(rows, width)``.
        kind: ``matrix``, ``embedding`` or ``vector``; laws of noise treat them differently.
        scale: the natural unit of change in parameter units, so that ``sigma = 1`` is a sensible step.

    >>> block = Block("weight", (3, 4), "matrix", 0.5)
    >>> block.size, block.rows, block.row_size
    (12, 3, 4)
    """

    name: str
    shape: tuple[int, ...]
    kind: Kind
    scale: float = 1.0

    def __post_init__(self) -> None:
        if not self.shape or min(self.shape) < 1:
            raise ValueError(f"block {self.name!r}: every extent must be positive, got {self.shape}")
        if not (math.isfinite(self.scale) and self.scale > 0):
            raise ValueError(f"block {self.name!r}: scale must be positive and finite, got {self.scale}")

    @property
    def size(self) -> int:
        """How many numbers the block holds."""
        return math.prod(self.shape)

    @property
    def rows(self) -> int:
        """The first extent."""
        return self.shape[0]

    @property
    def row_size(self) -> int:
        """Numbers in one row."""
        return self.size // self.rows

    def rows_of(self, numbers: int) -> int:
        """How many of its rows so many numbers fill, one at least."""
        return max(1, numbers // self.row_size)

    def slices(self, numbers: int, times: int = 1) -> Iterator[slice]:
        """Its rows in slices of ``times`` times as many rows as ``numbers`` numbers fill, one at least.

        >>> list(Block("weight", (5, 4), "matrix").slices(9))
        [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
        """
        height = self.rows_of(numbers) * times
        for first in range(0, self.rows, height):
            yield slice(first, min(self.rows, first + height))


class Space:
    """Ordered blocks, their total size d, and the starting point.

    Dense optimizers see *coordinates* ``z`` in R^d, zero at the start, in units of each block's scale:
    ``parameters = start + scale * z``. Perturbations live in the parameters themselves.

    Args:
        blocks: at least one, with distinct names.
        start: a tensor for each block; a block that is left out starts at zero.
        in_place: the start's own tensors may be lent to one search, which moves them: where memory does
            not hold a second copy. Nobody else may use them then.

    Raises:
        ValueError: for duplicate names, or a start that does not fit its block.

    >>> space = Space([Block("a", (2, 2), "matrix", 0.5), Block("b", (3,), "vector")])
    >>> space.size
    7
    >>> space.parameters(torch.ones(1, 7))["a"]
    tensor([[[0.5000, 0.5000],
             [0.5000, 0.5000]]])
    """

    def __init__(
        self, blocks: Sequence[Block], start: Mapping[str, Tensor] | None = None, *, in_place: bool = False
    ) -> None:
        self.in_place = in_place
        self.lent = False
        self._first_slices: dict[int, tuple[int, ...]] = {}
        self.blocks = tuple(blocks)
        self._index = {block.name: position for position, block in enumerate(self.blocks)}
        if not self.blocks or len(self._index) != len(self.blocks):
            raise ValueError("a space needs at least one block, and distinct names")
        self._start = dict(start or {})
        for name, value in self._start.items():
            if name not in self._index or tuple(value.shape) != self.block(name).shape:
                raise ValueError(f"start of {name!r} with shape {tuple(value.shape)} fits no block")

    @property
    def size(self) -> int:
        """The dimension d of the coordinates."""
        return sum(block.size for block in self.blocks)

    @cached_property
    def device(self) -> torch.device:
        """Where the starting point lives, and with it every draw and every point."""
        return next(iter(self._start.values())).device if self._start else torch.device("cpu")

    @cached_property
    def tile(self) -> int:
        """How many numbers of a block are drawn, moved and multiplied at once on this device."""
        return TILE if self.device.type == "cpu" else TILE_ELSEWHERE

    def block(self, name: str) -> Block:
        """The block of that name; raises KeyError where there is none."""
        return self.blocks[self._index[name]]

    def position(self, name: str) -> int:
        """The block's place in the order of blocks, part of the key of its noise."""
        return self._index[name]

    def first_slices(self, numbers: int) -> tuple[int, ...]:
        """Where each block's ``slices(numbers)`` begin in a numbering of all; the last entry is their count.

        >>> Space([Block("a", (5, 4), "matrix"), Block("b", (3,), "vector")]).first_slices(9)
        (0, 3, 4)
        """
        if numbers not in self._first_slices:
            counts = (math.ceil(block.rows / block.rows_of(numbers)) for block in self.blocks)
            self._first_slices[numbers] = (0, *itertools.accumulate(counts))
        return self._first_slices[numbers]

    def start(self) -> dict[str, Tensor]:
        """The starting parameters, a tensor of the block's shape for each block; not to be written to.

        Raises:
            ValueError: once they are lent.
        """
        return {block.name: self.start_of(block.name) for block in self.blocks}

    def start_of(self, name: str) -> Tensor:
        """One block of ``start``."""
        if self.lent:
            raise ValueError("this space has no start any more: a search moves its tensors in place")
        if name in self._start:
            return self._start[name]
        return torch.zeros(self.block(name).shape, device=self.device)

    def lend(self) -> dict[str, Tensor]:
        """The start's own tensors, for one search to move; there is no start from then on.

        Raises:
            ValueError: where the space is not ``in_place``, or its tensors are lent already.

        >>> weights = {"w": torch.ones(2)}
        >>> space = Space([Block("w", (2,), "vector")], weights, in_place=True)
        >>> space.lend()["w"] is weights["w"], space.lent
        (True, True)
        """
        if not self.in_place:
            raise ValueError("this space lends nothing: its start is not to be written to")
        own = self.start()
        self.lent = True
        return own

    def split(self, values: Tensor) -> dict[str, Tensor]:
        """Cut ``[..., d]`` into views ``[..., *shape]``, a view for each block.

        >>> Space([Block("a", (2,), "vector"), Block("b", (1,), "vector")]).split(torch.arange(3))
        {'a': tensor([0, 1]), 'b': tensor([2])}
        """
        parts = torch.split(values, [block.size for block in self.blocks], dim=-1)
        lead = values.shape[:-1]
        return {b.name: part.reshape(*lead, *b.shape) for b, part in zip(self.blocks, parts, strict=True)}

    def parameters(self, values: Tensor) -> dict[str, Tensor]:
        """Coordinates ``[n, d]`` to parameters ``[n, *shape]`` of each block, in the start's dtype."""
        start = self.start()
        return {
            name: (start[name] + self.block(name).scale * part).to(start[name].dtype)
            for name, part in self.split(values).items()
        }

    def coordinates(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """Parameters (a tensor ``shape`` for each block) to coordinates ``[d]``, float32 or wider."""
        start = self.start()
        return torch.cat(
            [
                ((parameters[b.name].float() - start[b.name].float()) / b.scale).reshape(-1)
                if start[b.name].dtype != torch.float64
                else ((parameters[b.name] - start[b.name]) / b.scale).reshape(-1)
                for b in self.blocks
            ]
        )


class Projected(Space):
    """Another space seen through few coordinates: ``parameters = start + scale * A z``.

    A is Gaussian with variance 1/dimension, as in Black-Box Tuning, so that z ~ N(0, I) moves every
    parameter by its scale; where the dense A would be larger than ``DENSE_LIMIT`` numbers, each parameter
    reads ``READS`` coordinates chosen and signed by a hash of its index, and A is never stored.
    The algorithm sees a single vector block ``z`` of scale 1 that starts at zero.

    Source: Sun et al., Black-Box Tuning for Language-Model-as-a-Service, 2022; the sparse form is the
    sparse Johnson-Lindenstrauss transform of Kane & Nelson, 2014.

    Raises:
        ValueError: if dimension is not in 1..d of the inner space.

    >>> inner = Space([Block("prompt", (4, 8), "matrix", 0.1)])
    >>> space = Projected(inner, dimension=5, seed=0)
    >>> space.size, space.parameters(torch.zeros(3, 5))["prompt"].shape
    (5, torch.Size([3, 4, 8]))
    """

    DENSE_LIMIT = 2**25
    READS = 4

    def __init__(self, inner: Space, dimension: int, seed: int = 0) -> None:
        if not 1 <= dimension <= inner.size:
            raise ValueError(f"a subspace of {dimension} does not fit a space of {inner.size} parameters")
        device = inner.device
        super().__init__([Block("z", (dimension,), "vector")], {"z": torch.zeros(dimension, device=device)})
        self.inner = inner
        self.dimension = dimension
        self.seed = seed
        self.dense = inner.size * dimension <= self.DENSE_LIMIT

    @cached_property
    def _matrix(self) -> Tensor:
        generator = torch.Generator().manual_seed(self.seed)
        matrix = torch.randn(self.inner.size, self.dimension, generator=generator)
        return (matrix / math.sqrt(self.dimension)).to(self.device)

    def lift(self, values: Tensor) -> Tensor:
        """Few coordinates ``[n, dimension]`` to the inner space's coordinates ``[n, d]``."""
        if self.dense:
            # Not a matrix product: its last bits would depend on how many points are lifted together.
            return torch.stack([self._matrix.to(values.dtype).mv(value) for value in values])
        lifted = torch.zeros(*values.shape[:-1], self.inner.size, dtype=values.dtype, device=values.device)
        index = torch.arange(self.inner.size, device=values.device)
        for read in range(self.READS):
            hashed = _hash(index * self.READS + read + self.seed * 0x9E3779B1)
            sign = 1.0 - 2.0 * (hashed & 1).to(values.dtype)
            lifted += values[..., (hashed >> 1) % self.dimension] * sign
        return lifted / math.sqrt(self.READS)

    def parameters(self, values: Tensor) -> dict[str, Tensor]:
        """Coordinates ``[n, dimension]`` to parameters ``[n, *shape]`` of each block of the inner space."""
        return self.inner.parameters(self.lift(values))


def _hash(index: Tensor) -> Tensor:
    """A non-negative 31-bit hash of each index (int64): three rounds of multiply and shift."""
    value = index & 0xFFFFFFFF
    for multiplier in (0x7FEB352D, 0x846CA68B):
        value = ((value ^ (value >> 16)) * multiplier) & 0xFFFFFFFF
    return (value ^ (value >> 16)) & 0x7FFFFFFF

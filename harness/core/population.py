"""What an algorithm asks to be evaluated: explicit points, or directions that nobody materialises."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from harness.core.noise import Noise, Rows
from harness.core.parallel import side_by_side
from harness.core.space import Space

_WORTH_A_THREAD = 2**15  # numbers of a draw


@dataclass(frozen=True, eq=False)
class Points:
    """Explicit candidates for dense optimizers.

    Args:
        values: ``[n, d]`` floating point, the space's coordinates (zero at its start, in units of scale).

    >>> len(Points(torch.zeros(3, 7)))
    3
    """

    values: Tensor

    def __post_init__(self) -> None:
        if self.values.ndim != 2:
            raise ValueError(f"Points take values[n, d], got shape {tuple(self.values.shape)}")

    def __len__(self) -> int:
        return int(self.values.shape[0])

    def __getitem__(self, members: slice | Tensor) -> Points:
        return replace(self, values=self.values[members])


@dataclass(frozen=True, eq=False)
class Gradients(Points):
    """Points whose gradients are wanted too: for marked first-order references, 3 evaluations each.

    >>> isinstance(Gradients(torch.zeros(1, 7)), Points)
    True
    """


@dataclass(frozen=True, eq=False)
class Perturbations:
    """Directions around a center, by name: no member is materialised.

    In each block b, member i is ``center + scale_b * sigma * signs[i] * noise(members[i])``.

    Args:
        center: parameters, a tensor of the block's shape for each block; the evaluator only reads it.
        noise: the law, bound to space, seed and generation.
        sigma: a number, ``{block: number}``, or ``{block: tensor of the block's shape}``, in units of scale.
        members: int64 ``[n]``, names of the directions; mirrored members share a name.
        signs: int8 ``[n]`` in {-1, 0, +1}; 0 is the center itself.

    >>> from harness.core.noise import Gaussian
    >>> from harness.core.space import Block
    >>> space = Space([Block("w", (2,), "vector", 0.1)])
    >>> members, signs = torch.tensor([0, 0]), torch.tensor([1, -1])
    >>> pair = Perturbations(space.start(), Gaussian(space, 0, 0), 1.0, members, signs)
    >>> points = pair.coordinates()
    >>> bool(torch.allclose(points[0], -points[1]))
    True
    """

    center: Mapping[str, Tensor]
    noise: Noise
    sigma: float | Mapping[str, float] | Mapping[str, Tensor]
    members: Tensor
    signs: Tensor

    def __post_init__(self) -> None:
        if self.members.shape != self.signs.shape or self.members.ndim != 1:
            raise ValueError("Perturbations take members[n] and signs[n] of one length")

    def __len__(self) -> int:
        return int(self.members.shape[0])

    def __getitem__(self, members: slice | Tensor) -> Perturbations:
        return replace(self, members=self.members[members], signs=self.signs[members])

    @property
    def space(self) -> Space:
        """The space that the noise is bound to."""
        return self.noise.space

    def step(self, block: str, rows: Rows = slice(None)) -> float | Tensor:
        """``scale_b * sigma``, or rows of it: the size of a perturbation in parameter units."""
        sigma = self.sigma if isinstance(self.sigma, (int, float)) else self.sigma[block]
        sigma = sigma[rows] if isinstance(sigma, Tensor) else sigma
        return self.space.block(block).scale * sigma

    def materialise(self, block: str, rows: Rows = slice(None)) -> Tensor:
        """All members of one block (or rows of it, as in ``Noise.draw``): ``[n, rows, *rest]``.

        In the center's dtype.

        The sum is taken in float32 (or the center's wider dtype) and cast once.
        """
        center, step = self.center[block], self.step(block, rows)
        if not _all(rows):  # a view of all rows of a small block would cost as much as its arithmetic
            center = center[rows]
        if self.noise.counted:
            return self.noise.around(center, self._names, self.signs, step, block, rows)
        wide = center.to(torch.promote_types(center.dtype, torch.float32))
        out = torch.empty((len(self), *center.shape), dtype=center.dtype, device=center.device)
        each = out.unbind()
        for i in self._at_center:
            each[i].copy_(center)

        def draw(member: int) -> Tensor:
            return self.noise.draw(member, block, rows, wide.dtype)

        in_turn = center.numel() < _WORTH_A_THREAD or center.device.type != "cpu"
        draws = map(draw, self._places) if in_turn else side_by_side(draw, list(self._places))
        for drawn, members in zip(draws, self._places.values(), strict=True):
            for i, sign in members:
                _displaced(wide, sign, step, drawn, each[i])
        return out

    @cached_property
    def _names(self) -> tuple[int, ...]:
        return tuple(self.members.tolist())

    @cached_property
    def _places(self) -> dict[int, list[tuple[int, int]]]:
        """For each direction who goes along it, and with which sign: mirrored members share a draw."""
        places: dict[int, list[tuple[int, int]]] = {}
        for i, (member, sign) in enumerate(zip(self.members.tolist(), self.signs.tolist(), strict=True)):
            if sign:
                places.setdefault(member, []).append((i, sign))
        return places

    @cached_property
    def _at_center(self) -> list[int]:
        return [i for i, sign in enumerate(self.signs.tolist()) if not sign]

    def coordinates(self) -> Tensor:
        """All members as the space's coordinates ``[n, d]``; for spaces small enough to hold them."""
        space = self.space
        blocks = [self.materialise(block.name) for block in space.blocks]
        return torch.stack(
            [
                space.coordinates({b.name: part[i] for b, part in zip(space.blocks, blocks, strict=True)})
                for i in range(len(self))
            ]
        )


def _all(rows: Rows) -> bool:
    return isinstance(rows, slice) and rows == slice(None)


def _displaced(center: Tensor, sign: int, step: float | Tensor, drawn: Tensor, out: Tensor) -> None:
    """``out = center + sign * step * drawn`` in one pass, summed in the center's type and cast to out's."""
    same = out.dtype == center.dtype
    if isinstance(step, Tensor):
        sum_ = torch.addcmul(center, drawn, step, value=sign, out=out if same else None)
    else:
        sum_ = torch.add(center, drawn, alpha=sign * step, out=out if same else None)
    if not same:
        out.copy_(sum_)


Population = Points | Perturbations

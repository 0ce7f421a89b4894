"""The point that perturbations are taken around: a model's own weights, moved slice by slice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from algorithms.options import Units
from algorithms.steps import Step
from harness.core import Block, Space, UserError

_TILES = 4  # of noise in a slice; some eight float32 tensors of its size live at once


class Center:
    """The point that a search moves, and how a gradient estimate moves it.

    It begins as a copy of the space's start, made on first use. Of a space that is ``in_place`` it takes
    the start's own tensors: then nothing of the space's size is allocated, and ``copy`` copies nothing.

    In units of scale a gradient is with respect to the coordinates z, so a change ``dz`` moves the
    parameters by ``scale_b * dz``; in raw units the scale of every block counts as 1.

    Args:
        space: gives the start, the scales and the device.
        units: ``scale`` or ``raw``.
        seed: of the stochastic rounding, used where the parameters are bfloat16 or float16.

    >>> center = Center(Space([Block("w", (2,), "vector", 0.1)]), "scale", seed=0)
    >>> from algorithms.steps import SGD
    >>> center.descend(SGD(), 0.5, lambda block, rows: torch.ones(2)[rows])
    >>> center.parameters["w"]
    tensor([-0.0500, -0.0500])
    """

    def __init__(self, space: Space, units: Units, seed: int) -> None:
        self.space = space
        self.units = units
        self.seed = seed
        self._parameters: dict[str, Tensor] | None = None
        self._parts = [(block, rows) for block in space.blocks for rows in _slices(block, space.tile)]

    @property
    def parameters(self) -> dict[str, Tensor]:
        """Where the center is: a tensor for each block, moved by ``descend``.

        Raises:
            ValueError: on first use, where another search has the tensors of an ``in_place`` space.
        """
        if self._parameters is None:
            self._parameters = self.space.lend() if self.space.in_place else _copy(self.space.start())
        return self._parameters

    def sigma(self, sigma: float) -> float | dict[str, float]:
        """A radius in these units, as Perturbations take it (in units of scale)."""
        if self.units == "scale":
            return sigma
        return {block.name: sigma / block.scale for block in self.space.blocks}

    def copy(self) -> dict[str, Tensor]:
        """The parameters in memory of their own; of an ``in_place`` space themselves, as they move on."""
        return self.parameters if self.space.in_place else _copy(self.parameters)

    def position(self, block: str, rows: slice) -> Tensor:
        """What weight decay pulls to zero: the coordinates, or in raw units the parameters themselves.

        Raises:
            UserError: for coordinates of a space that is ``in_place``: nobody keeps its start.
        """
        here = _wide(self.parameters[block][rows])
        if self.units == "raw":
            return here
        if self.space.in_place:
            raise UserError("weights moved in place decay to zero, not to a start: use units=raw, or decay=0")
        return (here - self.space.start_of(block)[rows]) / self.space.block(block).scale

    def descend(self, step: Step, lr: float, gradient: Callable[[str, slice], Tensor | None]) -> None:
        """One step of a step rule along ``gradient(block, rows)``; None leaves the block alone.

        Works through a block by row slices, so that beside the step rule's own buffers nothing of the
        block's size is allocated. Low precision is rounded up or down at random, right on average. A step
        rule that measures the gradient first is shown all of it once more.
        """
        step.begin(lr)
        if step.measures:
            for block, rows, slope in self._slopes(gradient):
                step.measure(block.name, block.shape, slope, rows)
        generator = self._rounding(step.count)
        for block, rows, slope in self._slopes(gradient):
            values = self.parameters[block.name]
            here = values if rows == slice(None) else values[rows]
            change = step.change(block.name, block.shape, slope, rows)
            if self.units == "scale" and block.scale != 1.0:
                change = block.scale * change
            if here.dtype in _ROUNDED:
                here.copy_(stochastic_round(_wide(here) + change, here.dtype, generator))
            else:
                here.add_(change)

    def state(self) -> dict[str, Any]:
        """A copy of the parameters by block."""
        return _copy(self.parameters)

    def load_state(self, state: dict[str, Any]) -> None:
        """Take up a copy."""
        if self.space.in_place:
            for name, value in self.parameters.items():
                value.copy_(state[name])
        else:
            self._parameters = _copy(state)

    def _rounding(self, step: int) -> torch.Generator | None:
        """What rounds up or down in a step; None where nothing is rounded at random."""
        if not any(value.dtype in _ROUNDED for value in self.parameters.values()):
            return None
        key = np.random.SeedSequence([self.seed, step]).generate_state(1)[0]
        return torch.Generator(device=self.space.device).manual_seed(int(key))

    def _slopes(
        self, gradient: Callable[[str, slice], Tensor | None]
    ) -> Iterator[tuple[Block, slice, Tensor]]:
        """The gradient by row slices, in the parameters' dtype or wider."""
        for block, rows in self._parts:
            slope = gradient(block.name, rows)
            if slope is not None:
                wide = self.parameters[block.name].dtype == torch.float64
                yield block, rows, slope.double() if wide else slope


def stochastic_round(values: Tensor, dtype: torch.dtype, generator: torch.Generator | None) -> Tensor:
    """Round to one of the two neighbours in a 16-bit dtype, so that the expectation is the value itself.

    Steps much smaller than a weight's last bit would vanish under rounding to nearest. Other dtypes are
    cast as usual.

    >>> generator = torch.Generator().manual_seed(0)
    >>> values = torch.full((10_000,), 1.001)
    >>> rounded = stochastic_round(values, torch.bfloat16, generator)
    >>> rounded.unique().tolist(), abs(float(rounded.float().mean()) - 1.001) < 1e-4
    ([1.0, 1.0078125], True)
    """
    if dtype not in _ROUNDED:
        return values.to(dtype)
    assert generator is not None
    return _ROUNDED[dtype](values.float(), generator)


def _bfloat16(values: Tensor, generator: torch.Generator) -> Tensor:
    """A bfloat16 is the upper half of a float32: add a random number to the lower half, and cut that off."""
    bits = torch.empty(values.shape, dtype=torch.int32, device=values.device)
    bits.random_(0, 2**16, generator=generator).add_(values.view(torch.int32))
    rounded = bits.bitwise_right_shift_(16).to(torch.int16).view(torch.bfloat16)
    return torch.where(values.isnan(), values.bfloat16(), rounded)  # the bits of some would wrap around


def _float16(values: Tensor, generator: torch.Generator) -> Tensor:
    magnitude = values.abs()
    bits = magnitude.half().view(torch.int16)
    bits = bits - (bits.view(torch.float16) > magnitude).to(torch.int16)  # towards zero
    below, above = bits.view(torch.float16), (bits + 1).view(torch.float16)
    gap = above.to(values.dtype) - below.to(values.dtype)
    chance = torch.rand(values.shape, generator=generator, device=values.device)
    rounded = torch.where(chance * gap < magnitude - below.to(values.dtype), above, below)
    return torch.where(magnitude.isfinite(), rounded.copysign(values), values.half())


def _slices(block: Block, tile: int) -> list[slice]:
    """Rows that are moved together; they begin where the noise's tiles do, so that no tile is drawn twice."""
    slices = list(block.slices(tile, _TILES))
    return slices if len(slices) > 1 else [slice(None)]


def _wide(values: Tensor) -> Tensor:
    return values.to(torch.promote_types(values.dtype, torch.float32))


def _copy(parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in parameters.items()}


_ROUNDED = {torch.bfloat16: _bfloat16, torch.float16: _float16}

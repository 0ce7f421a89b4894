"""The point that perturbations are taken around: a model's own weights, moved slice by slice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from algorithms.options import Units
from algorithms.steps import Step
from harness.core import Block, Space
from harness.core.noise import TILE

_TILES_PER_SLICE = 16


class Center:
    """A private copy of the space's start, and how a gradient estimate moves it.

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
        self.parameters = self._copy(space.start())

    def sigma(self, sigma: float) -> float | dict[str, float]:
        """A radius in these units, as Perturbations take it (in units of scale)."""
        if self.units == "scale":
            return sigma
        return {block.name: sigma / block.scale for block in self.space.blocks}

    def copy(self) -> dict[str, Tensor]:
        """The parameters as they are now, in memory of their own."""
        return self._copy(self.parameters)

    def position(self, block: str, rows: slice) -> Tensor:
        """What weight decay pulls to zero: the coordinates, or in raw units the parameters themselves."""
        here = _wide(self.parameters[block][rows])
        if self.units == "raw":
            return here
        return (here - self.space.start()[block][rows]) / self.space.block(block).scale

    def descend(self, step: Step, lr: float, gradient: Callable[[str, slice], Tensor | None]) -> None:
        """One step of a step rule along ``gradient(block, rows)``; None leaves the block alone.

        Works through a block by row slices, so that beside the step rule's own buffers nothing of the
        block's size is allocated. Low precision is rounded up or down at random, right on average.
        """
        step.begin(lr)
        key = np.random.SeedSequence([self.seed, step.count]).generate_state(1)[0]
        generator = torch.Generator(device=self.space.device).manual_seed(int(key))
        for block in self.space.blocks:
            scale = block.scale if self.units == "scale" else 1.0
            here = self.parameters[block.name]
            for rows in _slices(block):
                slope = gradient(block.name, rows)
                if slope is None:
                    break
                wide = _wide(here[rows])
                change = step.change(block.name, block.shape, slope.to(wide.dtype), rows)
                here[rows] = stochastic_round(wide + scale * change, here.dtype, generator)

    def state(self) -> dict[str, Any]:
        """A copy of the parameters by block."""
        return self.copy()

    def load_state(self, state: dict[str, Any]) -> None:
        """Take up a copy."""
        self.parameters = self._copy(state)

    @staticmethod
    def _copy(parameters: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: value.detach().clone() for name, value in parameters.items()}


def stochastic_round(values: Tensor, dtype: torch.dtype, generator: torch.Generator) -> Tensor:
    """Round to one of the two neighbours in a 16-bit dtype, so that the expectation is the value itself.

    Steps much smaller than a weight's last bit would vanish under rounding to nearest. Other dtypes are
    cast as usual.

    >>> generator = torch.Generator().manual_seed(0)
    >>> values = torch.full((10_000,), 1.001)
    >>> rounded = stochastic_round(values, torch.bfloat16, generator)
    >>> rounded.unique().tolist(), abs(float(rounded.float().mean()) - 1.001) < 1e-4
    ([1.0, 1.0078125], True)
    """
    if dtype not in (torch.bfloat16, torch.float16):
        return values.to(dtype)
    magnitude = values.abs()
    bits = magnitude.to(dtype).view(torch.int16)
    bits = bits - (bits.view(dtype) > magnitude).to(torch.int16)  # towards zero
    below, above = bits.view(dtype), (bits + 1).view(dtype)
    gap = above.to(values.dtype) - below.to(values.dtype)
    chance = torch.rand(values.shape, generator=generator, device=values.device)
    rounded = torch.where(chance * gap < magnitude - below.to(values.dtype), above, below)
    return torch.where(magnitude.isfinite(), rounded.copysign(values), values.to(dtype))


def _wide(values: Tensor) -> Tensor:
    return values.to(torch.promote_types(values.dtype, torch.float32))


def _slices(block: Block) -> Iterator[slice]:
    """Row slices that begin where the noise's tiles do, so that no tile is drawn twice."""
    height = max(1, TILE // block.row_size) * _TILES_PER_SLICE
    for first in range(0, block.rows, height):
        yield slice(first, min(block.rows, first + height))

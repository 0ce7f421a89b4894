"""The law of directions that leave large weights alone."""

from __future__ import annotations

import math

from torch import Tensor

from algorithms.center import Center
from harness.core import Space, Sparse


class SmallWeights:
    """Makes ``Sparse`` directions around a center, in the ``share`` of each block's smallest weights.

    A block's threshold is that quantile of its magnitudes when the law is first used, before the center has
    moved; the mask itself follows the center. Where the quantile is zero, as in a block that starts at
    zero, magnitudes tell nothing apart and the whole block is searched.

    >>> import torch
    >>> from harness.core import Block
    >>> space = Space([Block("v", (4,), "vector")], {"v": torch.tensor([3.0, -1.0, 2.0, -4.0])})
    >>> law = SmallWeights(Center(space, "scale", seed=0), share=0.5)
    >>> (law(space, 1, 0).draw(0, "v") != 0).tolist(), law.thresholds
    ([False, True, True, False], {'v': 2.0})
    """

    def __init__(self, center: Center, share: float) -> None:
        self.center, self.share = center, share
        self.thresholds: dict[str, float] = {}

    def __call__(self, space: Space, seed: int, generation: int) -> Sparse:
        parameters = self.center.parameters
        if not self.thresholds:
            self.thresholds = {name: self._quantile(value) for name, value in parameters.items()}
        return Sparse(space, seed, generation, parameters, self.thresholds)

    def _quantile(self, values: Tensor) -> float:
        place = math.ceil(self.share * values.numel())
        return float(values.detach().abs().flatten().float().kthvalue(place).values) or math.inf

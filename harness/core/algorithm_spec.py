"""An algorithm as an option of another: its class and its options, not yet at work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.core.algorithm import Algorithm
from harness.core.budget import Budget
from harness.core.space import Space


@dataclass(frozen=True)
class AlgorithmSpec:
    """What an option annotated with this class receives: ``chain[then=adam[lr=0.01]]`` gives one for adam.

    Args:
        name: as it is written, options included.
        kind: the class.
        options: keyword arguments of the class; those left out have its defaults.

    >>> import torch
    >>> from harness.core import Block, Points
    >>> class Still(Algorithm):
    ...     '''Asks nothing.'''
    ...     def __init__(self, space, budget, seed, *, at: float = 0.0):
    ...         super().__init__(space, budget, seed)
    ...         self.at = at
    ...     def ask(self, remaining): ...
    ...     def tell(self, population, losses, gradients=None): ...
    ...     def best(self):
    ...         return Points(torch.full((1, self.space.size), self.at))
    >>> spec = AlgorithmSpec("still[at=2]", Still, {"at": 2.0})
    >>> spec.build(Space([Block("x", (2,), "vector")]), Budget(9), seed=0).best().values, str(spec)
    (tensor([[2., 2.]]), 'still[at=2]')
    """

    name: str
    kind: type[Algorithm]
    options: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name

    def build(self, space: Space, budget: Budget, seed: int) -> Algorithm:
        """The algorithm, ready to be asked."""
        return self.kind(space, budget, seed, **self.options)

    def misfit(self, dimension: int, budget: int) -> str | None:
        """Why it cannot run on d coordinates with a budget; None if it can."""
        if self.kind.untuned is not None:
            return f"{self.name}: it reports no point of the space that another could go on from"
        reason = self.kind.misfit(dimension, budget, **self.options)
        return f"{self.name}: {reason}" if reason else None

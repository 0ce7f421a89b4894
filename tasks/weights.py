"""How the members of a chunk see a model's tensors: shared, shared plus low-rank, or each its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from harness.core import Perturbations
from harness.core.low_rank import Factored


class Weights:
    """The model's tensors as n members see them; this base class changes nothing.

    Args:
        members: n, whose rows follow each other in every batch.

    >>> Weights(members=2).factors("layers.0.weight") is None
    True
    """

    def __init__(self, members: int) -> None:
        self.members = members

    kind = "shared"
    """How members differ, the first that holds: ``low-rank``, ``stacked``, or ``shared``: not at all."""

    def alone(self, member: int) -> Weights:
        """One of the members by itself."""
        return self if self.members == 1 else Weights(1)

    def shared(self, name: str) -> Tensor | None:
        """What replaces a tensor for all members alike; None keeps the model's own."""
        return None

    def factors(self, name: str) -> tuple[Tensor, Tensor] | None:
        """``(A [n, rows, r], B [n, columns, r])``: ``A @ B.T`` is added to a matrix as stored; or None."""
        return None

    def stacked(self, name: str) -> Tensor | None:
        """``[n, *shape]``: a whole tensor for each member, or None."""
        return None

    def pieces(self, name: str) -> Iterator[tuple[slice, Tensor]] | None:
        """``stacked`` by slices of rows, ``[n, rows, *rest]`` each and in order; or None.

        How a tensor is cut depends on its shape alone, so that products with the pieces have fixed shapes.
        """
        whole = self.stacked(name)
        return None if whole is None else iter([(slice(None), whole)])

    def rows(self, name: str, index: Tensor) -> Tensor | None:
        """``[n, k, *rest]``: the rows of ``stacked`` with those numbers, or None."""
        whole = self.stacked(name)
        return None if whole is None else whole[:, index]


class Replaced(Weights):
    """All members see the same replaced tensors: one candidate on many rows."""

    def __init__(self, members: int, tensors: Mapping[str, Tensor]) -> None:
        super().__init__(members)
        self._tensors = tensors

    def alone(self, member: int) -> Weights:
        return Replaced(1, self._tensors)

    def shared(self, name: str) -> Tensor | None:
        return self._tensors.get(name)


class Adapters(Weights):
    """The model's own tensors plus stacked low-rank factors, as in LoRA."""

    def __init__(self, members: int, pairs: Mapping[str, tuple[Tensor, Tensor]]) -> None:
        super().__init__(members)
        self._pairs = pairs

    kind = "low-rank"

    def alone(self, member: int) -> Weights:
        part = slice(member, member + 1)
        return Adapters(1, {name: (a[part], b[part]) for name, (a, b) in self._pairs.items()})

    def factors(self, name: str) -> tuple[Tensor, Tensor] | None:
        return self._pairs.get(name)


class Stacked(Weights):
    """Every tensor written out for every member."""

    def __init__(self, members: int, tensors: Mapping[str, Tensor]) -> None:
        super().__init__(members)
        self._tensors = tensors

    kind = "stacked"

    def alone(self, member: int) -> Weights:
        return Stacked(1, {name: tensor[member : member + 1] for name, tensor in self._tensors.items()})

    def stacked(self, name: str) -> Tensor | None:
        return self._tensors.get(name)


class Perturbed(Weights):
    """A center and directions: factors where the law has them, else a tile of noise at a time in scratch.

    >>> from harness.core import Block, LowRank, Space
    >>> space = Space([Block("w", (4, 3), "matrix")])
    >>> one = torch.ones(2, dtype=torch.int8)
    >>> view = Perturbed(Perturbations(space.start(), LowRank(space, 0, 0), 0.1, torch.arange(2), one))
    >>> [tuple(factor.shape) for factor in view.factors("w")], view.stacked("w") is None
    ([(2, 4, 1), (2, 3, 1)], True)
    """

    def __init__(self, population: Perturbations) -> None:
        super().__init__(len(population))
        self._population = population
        members: list[int] = population.members.tolist()
        self._drawn = list(dict.fromkeys(members))
        number = {member: i for i, member in enumerate(self._drawn)}
        device = population.space.device
        self._place = torch.tensor([number[member] for member in members]).to(device, non_blocking=True)
        self._signs = population.signs.to(device, non_blocking=True)[:, None, None]
        noise = population.noise
        self._names = {block.name for block in noise.space.blocks}
        self._low_rank = {n for n in self._names if isinstance(noise, Factored) and noise.factored(n)}
        self.kind = "low-rank" if self._low_rank else "stacked"

    def alone(self, member: int) -> Weights:
        return Perturbed(self._population[torch.tensor([member])])

    def shared(self, name: str) -> Tensor | None:
        return self._population.center[name] if name in self._names else None

    def factors(self, name: str) -> tuple[Tensor, Tensor] | None:
        if name not in self._low_rank:
            return None
        population, center = self._population, self._population.center[name]
        step = population.step(name)
        if isinstance(step, Tensor):
            raise ValueError("a sigma for each entry has no low-rank form: use a dense law")
        assert isinstance(population.noise, Factored)
        pair = population.noise.factors_of(self._drawn, name)
        assert pair is not None
        left, right = (factor[self._place] for factor in pair)
        wide = torch.promote_types(center.dtype, torch.float32)
        return (left.to(wide) * (self._signs.to(wide) * step)).to(center.dtype), right.to(center.dtype)

    def stacked(self, name: str) -> Tensor | None:
        pieces = self.pieces(name)
        if pieces is None:
            return None
        first, *others = (piece for _, piece in pieces)
        return torch.cat([first, *others], dim=1) if others else first

    def pieces(self, name: str) -> Iterator[tuple[slice, Tensor]] | None:
        if name not in self._names - self._low_rank:
            return None
        population = self._population
        slices = population.space.block(name).slices(population.space.tile)
        return ((rows, population.materialise(name, rows)) for rows in slices)

    def rows(self, name: str, index: Tensor) -> Tensor | None:
        return self._population.materialise(name, index) if name in self._names - self._low_rank else None

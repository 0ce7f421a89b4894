"""Weights that are drawn once and kept, for as many forwards as an answer has tokens."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from tasks.weights import Weights


class Kept(Weights):
    """Other weights, each tensor asked for once; members may leave.

    What a law of perturbation draws anew for each forward is held in memory, written out: a dense law takes a
    whole model for each member.

    Args:
        weights: as the members see them.

    >>> from tasks.weights import Stacked
    >>> kept = Kept(Stacked(3, {"w": torch.tensor([[1.0], [2.0], [3.0]])}))
    >>> _ = kept.stacked("w")
    >>> kept.only(torch.tensor([2, 0]))
    >>> kept.members, kept.stacked("w").flatten().tolist()
    (2, [3.0, 1.0])
    """

    def __init__(self, weights: Weights) -> None:
        super().__init__(weights.members)
        self._weights = weights
        self._left = torch.arange(weights.members)
        self._factors: dict[str, tuple[Tensor, Tensor] | None] = {}
        self._pieces: dict[str, list[tuple[slice, Tensor]] | None] = {}

    def only(self, members: Tensor) -> None:
        """Go on with these members, given by their present numbers, int64 ``[k]``."""
        self.members = len(members)
        self._left = self._left[members]
        for name, pair in self._factors.items():
            if pair is not None:
                place = members.to(pair[0].device)
                self._factors[name] = pair[0][place], pair[1][place]
        for parts in self._pieces.values():
            for i, (rows, piece) in enumerate(parts or ()):
                assert parts is not None
                parts[i] = rows, piece[members.to(piece.device)]

    def shared(self, name: str) -> Tensor | None:
        return self._weights.shared(name)

    def factors(self, name: str) -> tuple[Tensor, Tensor] | None:
        if name not in self._factors:
            found = self._weights.factors(name)
            self._factors[name] = None if found is None else (self._mine(found[0]), self._mine(found[1]))
        return self._factors[name]

    def pieces(self, name: str) -> Iterator[tuple[slice, Tensor]] | None:
        if name not in self._pieces:
            parts = self._weights.pieces(name)
            self._pieces[name] = None if parts is None else [(rows, self._mine(part)) for rows, part in parts]
        kept = self._pieces[name]
        return None if kept is None else iter(kept)

    def stacked(self, name: str) -> Tensor | None:
        parts = self.pieces(name)
        if parts is None:
            return None
        first, *others = (piece for _, piece in parts)
        return torch.cat([first, *others], dim=1) if others else first

    def rows(self, name: str, index: Tensor) -> Tensor | None:
        found = self._weights.rows(name, index)  # few at a time: cheaper than to hold a whole table
        return None if found is None else self._mine(found)

    def _mine(self, tensor: Tensor) -> Tensor:
        every = len(self._left) == len(tensor)
        return tensor if every else tensor[self._left.to(tensor.device)]

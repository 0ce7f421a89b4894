"""Members of many populations through few forwards: chunked, filled up, packed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from harness.core import Perturbations, Population, Projected, Space, UserError
from harness.core.noise import TILE
from tasks.chunks import chunk_members, in_chunks
from tasks.encoding import Encoded
from tasks.forward import answer_logits
from tasks.language_model import LanguageModel
from tasks.tuning.base import Tuning, View, parameters_of
from tasks.weights import Weights

SCORED_ROWS = 32
"""Rows of one piece in scoring: fixed, so that no product's shape depends on company."""


@dataclass(frozen=True, eq=False)
class Member:
    """One candidate of a population, to be run on some rows; all members of a call have equally many."""

    population: Population
    index: int
    rows: Encoded


class Batches:
    """Runs members and single candidates of one tuning of one model.

    What a member gets does not depend on which others share its forward: no chunk has fewer than two members
    or four rows, since a product of few rows, or a batched product of one, rounds differently.

    Args:
        model: loaded on first use.
        tuning: how a candidate changes it.
        space: that candidates are points of.
        words: tokens of the label words, int64 ``[C]``.
    """

    def __init__(self, model: LanguageModel, tuning: Tuning, space: Space, words: Tensor) -> None:
        self.model, self.tuning, self.space, self.words = model, tuning, space, words

    def run(self, members: Sequence[Member]) -> list[Tensor]:
        """Logits of the label words, ``[R, C]`` on the CPU, for each member."""
        if not members:
            return []
        rows, length = members[0].rows.ids.shape
        fewest = max(2, -(-4 // rows))
        size = chunk_members(
            self.model.device,
            rows * (length + self.tuning.prefix_tokens),
            self.model.bytes_per_token,
            self._bytes_per_member(members[0].population),
            fewest,
        )

        def filled(chunk: Sequence[Member]) -> list[Tensor]:
            whole = [*chunk, *[chunk[-1]] * (fewest - len(chunk))]
            return list(self._logits(self._view(whole), [member.rows for member in whole]))[: len(chunk)]

        with torch.no_grad():
            return in_chunks(members, size, fewest, filled)

    def run_alone(self, candidate: Population | None, rows: Encoded) -> Tensor:
        """Logits ``[R, C]`` of one candidate on many rows; None is the untouched model.

        Raises:
            UserError: for None, where a search moves the model's own weights.
        """
        if candidate is None and self.space.lent:
            raise UserError(f"model {self.model.path}: a search moves its weights: nothing is untouched")
        view = View(Weights(1))
        if candidate is not None:
            view = self.tuning.view_alone(self.model, candidate, self.space)
        with torch.no_grad():
            return self._logits(view, [rows])[0]

    def run_points(self, values: Tensor, rows: Encoded) -> Tensor:
        """Logits ``[n, R, C]`` of coordinates ``[n, d]``, for a gradient to pass through."""
        view = self.tuning.view(self.model, self.space.parameters(values))
        return self._logits(view, [rows] * len(values))

    def _logits(self, view: View, rows: Sequence[Encoded]) -> Tensor:
        logits = answer_logits(self.model, self.words, joined(rows), view.weights, view.tensors, view.prefix)
        return logits.cpu()

    def _view(self, chunk: Sequence[Member]) -> View:
        populations = _populations(chunk)
        if len(populations) == 1:
            return self.tuning.view_of(self.model, populations[0], self.space)
        parts = [parameters_of(population, self.space) for population in populations]
        packed = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
        return self.tuning.view(self.model, packed)

    def _bytes_per_member(self, population: Population) -> int:
        """Of what is written out for each member, with a copy in float32 on the way."""
        if self.tuning.packs:
            return 0
        weights = self.model.parameters.values()
        if isinstance(population, Perturbations) and not isinstance(self.space, Projected):
            return 3 * max(min(TILE, weight.numel()) * weight.element_size() for weight in weights)
        return 3 * sum(weight.nbytes for weight in weights)


def pieces(rows: Encoded) -> list[Encoded]:
    """Rows in pieces of one size, the last filled up with its own first row."""
    size = min(SCORED_ROWS, max(4, len(rows)))
    index = torch.arange(-(-len(rows) // size) * size)
    index[index >= len(rows)] = 0
    return [rows[part] for part in torch.split(index, size)]


def joined(parts: Sequence[Encoded]) -> Encoded:
    """Rows one after another."""
    columns: list[Callable[[Encoded], Tensor]] = [lambda p: p.ids, lambda p: p.lengths, lambda p: p.labels]
    return Encoded(*(torch.cat([column(part) for part in parts]) for column in columns))


def _populations(chunk: Sequence[Member]) -> list[Population]:
    """The chunk's members as parts of their populations, in order."""
    runs: list[tuple[Population, list[int]]] = []
    for member in chunk:
        if not runs or runs[-1][0] is not member.population:
            runs.append((member.population, []))
        runs[-1][1].append(member.index)
    return [population[torch.tensor(indices)] for population, indices in runs]

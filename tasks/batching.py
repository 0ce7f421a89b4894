"""Members of many populations through few forwards: chunked, filled up, packed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from harness.core import Perturbations, Population, Projected, Space, UserError
from tasks.allocator import keep_freed_memory
from tasks.chunks import Chunks, first_guess, most_members
from tasks.encoding import ALIGNED, Encoded
from tasks.forward import answer_logits
from tasks.language_model import LanguageModel
from tasks.tuning.base import Tuning, View, parameters_of
from tasks.weights import Weights

SCORED_ROWS = 32
"""Rows of one piece in scoring: fixed, so that no product's shape depends on company."""

WORTHWHILE = 0.25
"""Share of the tokens that has to be saved before what rows have in common is computed apart."""


@dataclass(frozen=True, eq=False)
class Member:
    """One candidate of a population, to be run on some rows."""

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
        common: how many tokens all rows begin with.

    ``forward_seconds`` counts the seconds in the model's forwards, synchronised with the device, with what
    makes candidates out of seeds and points: some of it happens between the layers.
    """

    def __init__(
        self, model: LanguageModel, tuning: Tuning, space: Space, words: Tensor, common: int = 0
    ) -> None:
        if model.device.type == "cpu":
            keep_freed_memory()
        self.model, self.tuning, self.space, self.words = model, tuning, space, words
        self.common = common
        self.chunks = Chunks()
        self.forward_seconds = 0.0

    def run(self, members: Sequence[Member]) -> list[Tensor]:
        """Logits of the label words, ``[R, C]`` on the CPU, for each member.

        Members with equally many rows of equal length share forwards.
        """
        alike: dict[tuple[int, ...], list[int]] = {}
        for i, member in enumerate(members):
            alike.setdefault(tuple(member.rows.ids.shape), []).append(i)
        found: dict[int, Tensor] = {}
        for group in alike.values():
            found |= zip(group, self._run_alike([members[i] for i in group]), strict=True)
        return [found[i] for i in range(len(members))]

    def _run_alike(self, members: Sequence[Member]) -> list[Tensor]:
        rows, length = members[0].rows.ids.shape
        fewest = max(2, -(-4 // rows))
        tokens = rows * (length + self.tuning.prefix_tokens)
        taken = tokens * self.model.bytes_per_token + self._bytes_per_member(members[0].population)
        shape = _path(members[0].population), rows, length

        def filled(chunk: Sequence[Member]) -> list[Tensor]:
            whole = [*chunk, *[chunk[-1]] * (fewest - len(chunk))]
            logits = self._logits(lambda: self._view(whole), [member.rows for member in whole])
            return list(logits)[: len(chunk)]

        with torch.no_grad():
            return self.chunks.run(
                members,
                shape,
                first_guess(self.model.device, tokens),
                most_members(self.model.device, taken, len(members)),
                fewest,
                filled,
            )

    def run_alone(self, candidate: Population | None, rows: Encoded) -> Tensor:
        """Logits ``[R, C]`` of one candidate on many rows; None is the untouched model.

        Raises:
            UserError: for None, where a search moves the model's own weights.
        """
        if candidate is None and self.space.lent:
            raise UserError(f"model {self.model.path}: a search moves its weights: nothing is untouched")

        def view() -> View:
            if candidate is None:
                return View(Weights(1))
            return self.tuning.view_alone(self.model, candidate, self.space)

        with torch.no_grad():
            return self._logits(view, [rows])[0]

    def run_points(self, values: Tensor, rows: Encoded) -> Tensor:
        """Logits ``[n, R, C]`` of coordinates ``[n, d]``, for a gradient to pass through."""
        return self._logits(
            lambda: self.tuning.view(self.model, self.space.parameters(values)), [rows] * len(values)
        )

    def _logits(self, see: Callable[[], View], rows: Sequence[Encoded]) -> Tensor:
        begin = time.perf_counter()
        view = see()
        once = self._once(view, rows[0])
        logits = answer_logits(
            self.model, self.words, joined(rows), view.weights, view.tensors, view.prefix, once
        )
        here = logits.cpu()  # which waits for the device
        self.forward_seconds += time.perf_counter() - begin
        return here

    def _once(self, view: View, rows: Encoded) -> int:
        """How many positions to compute once for all rows of a member: those alike, where that pays."""
        count, length = rows.ids.shape
        prompt = 0 if view.prefix is None else view.prefix.shape[1]
        alike = (prompt + self.common) // ALIGNED * ALIGNED
        saved = alike * (1 - 1 / count) / (prompt + length)
        return alike if saved >= WORTHWHILE and self.model.resumes else 0

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
            return 3 * max(min(self.space.tile, weight.numel()) * weight.element_size() for weight in weights)
        return 3 * sum(weight.nbytes for weight in weights)


def pieces(rows: Encoded, prefix: int, most: int = SCORED_ROWS) -> list[Encoded]:
    """Rows in pieces of one size, from short rows to long ones; the last filled up with its own first row.

    Args:
        rows: of one candidate.
        prefix: soft tokens that will stand before each row.
        most: rows of a piece.

    >>> lengths = torch.tensor([9, 5, 24, 3, 8, 7])
    >>> rows = Encoded(torch.zeros(6, 24, dtype=torch.long), lengths, torch.arange(6))
    >>> [(piece.ids.shape[1], piece.labels.tolist()) for piece in pieces(rows, 0)]
    [(24, [3, 1, 5, 4, 0, 2])]
    """
    size = min(most, max(4, len(rows)))
    index = torch.full((-(-len(rows) // size) * size,), -1)
    index[: len(rows)] = torch.argsort(rows.lengths, stable=True)
    parts = [torch.where(part < 0, part[0], part) for part in torch.split(index, size)]
    return [rows[part].trimmed(prefix) for part in parts]


def joined(parts: Sequence[Encoded]) -> Encoded:
    """Rows one after another."""
    columns: list[Callable[[Encoded], Tensor]] = [lambda p: p.ids, lambda p: p.lengths, lambda p: p.labels]
    return Encoded(*(torch.cat([column(part) for part in parts]) for column in columns))


def _path(population: Population) -> str:
    """What decides how a population's members are computed, and with it the time that one takes."""
    law = population.noise if isinstance(population, Perturbations) else population
    return type(law).__name__


def _populations(chunk: Sequence[Member]) -> list[Population]:
    """The chunk's members as parts of their populations, in order."""
    runs: list[tuple[Population, list[int]]] = []
    for member in chunk:
        if not runs or runs[-1][0] is not member.population:
            runs.append((member.population, []))
        runs[-1][1].append(member.index)
    return [
        population if indices == list(range(len(population))) else population[torch.tensor(indices)]
        for population, indices in runs
    ]

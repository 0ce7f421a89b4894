"""Model x data x tuning x objective: the task that algorithms minimise."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, partial

import torch
from torch import Tensor

from harness.core import (
    Cost,
    Evaluation,
    Gradients,
    Points,
    Population,
    Protocol,
    Request,
    Signature,
    Space,
    Split,
    Task,
    UserError,
)
from tasks.chunks import chunk_members, in_chunks
from tasks.datasets import TextData
from tasks.encoding import Encoded, encode, label_tokens
from tasks.forward import answer_logits
from tasks.language_model import LanguageModel
from tasks.objectives import Objective, metrics
from tasks.splits import few_shot, minibatch
from tasks.tuning.base import Tuning, View, center_of, parameters_of
from tasks.weights import Replaced, Weights

SCHEMA = 1
SCORED_ROWS = 32  # rows of one piece in scoring: fixed, so that no product's shape depends on company


@dataclass(frozen=True, eq=False)
class Member:
    """One candidate of a population, to be run on some rows."""

    population: Population
    index: int
    rows: Encoded


class TextTask(Task):
    """Tune a frozen causal language model to answer with a label word.

    Losses of a cell do not depend on which other cells share a forward, nor on how it is chunked: sequences
    are padded to one length per data set, and no chunk has fewer than two members or four rows.

    Args:
        data: rows, template and label words.
        model: loaded on first use.
        tuning: what a candidate is.
        objective: what is minimised.
        protocol: splits and minibatches.
        name: as in tables.
    """

    metric = "accuracy"

    def __init__(
        self,
        data: TextData,
        model: LanguageModel,
        tuning: Tuning,
        objective: Objective,
        protocol: Protocol,
        name: str,
    ) -> None:
        self.data, self.model, self.tuning = data, model, tuning
        self.objective, self.protocol, self.name = objective, protocol, name
        self.has_gradients = objective.differentiable
        self.splits = cache(partial(few_shot, data, protocol))
        self.splits(0)  # too few rows is said before anything runs
        self.words = label_tokens(data, model.tokenizer)

    @property
    def dimension(self) -> int:
        return self.tuning.dimension(self.model)

    @cached_property
    def space(self) -> Space:  # type: ignore[override]  # made on first use: it reads the weights
        return self.tuning.space(self.model)

    @cached_property
    def encoded(self) -> dict[str, Encoded]:
        """All rows of all splits as token ids."""
        longest = getattr(self.model.config, "max_position_embeddings", 512) - self._prefix
        return encode(self.data, self.model.tokenizer, longest)

    def evaluate(self, requests: Sequence[Request]) -> list[Evaluation]:
        batches = [self.minibatch(request.repetition, request.generation) for request in requests]
        plain = [i for i, request in enumerate(requests) if not isinstance(request.population, Gradients)]
        groups = [plain] if self.tuning.packs else [[i] for i in plain]
        answers: dict[int, Evaluation] = {}
        for group in groups:
            members = [
                Member(requests[i].population, k, batches[i])
                for i in group
                for k in range(len(requests[i].population))
            ]
            losses = iter(self._run(members, self._losses_of_chunk))
            for i in group:
                found = [next(losses) for _ in range(len(requests[i].population))]
                answers[i] = Evaluation(
                    torch.tensor(found, dtype=torch.float64), None, self._cost(batches[i], len(found))
                )
        for i, request in enumerate(requests):
            if isinstance(request.population, Gradients):
                answers[i] = self._gradients(request.population, batches[i])
        return [answers[i] for i in range(len(requests))]

    def score(
        self, candidates: Sequence[tuple[Population | None, int]], split: Split
    ) -> list[dict[str, float]]:
        rows = [self._rows(split, repetition) for _, repetition in candidates]
        populations = [population for population, _ in candidates]
        pieces = [(i, part) for i, whole in enumerate(rows) for part in _pieces(whole)]
        together = self.tuning.packs
        by_candidate: dict[int, list[Tensor]] = {i: [] for i in range(len(candidates))}
        members = [(i, Member(p, 0, part)) for i, part in pieces if together and (p := populations[i])]
        for (i, _), logits in zip(
            members, self._run([m for _, m in members], self._logits_of_chunk), strict=True
        ):
            by_candidate[i].append(logits)
        for i, part in pieces:
            if not together or populations[i] is None:
                by_candidate[i].append(self._alone(populations[i], part))
        return [
            metrics(torch.cat(by_candidate[i])[: len(rows[i])], rows[i].labels)
            for i in range(len(candidates))
        ]

    def minibatch(self, repetition: int, generation: int) -> Encoded:
        """The rows of one generation, the same for every algorithm."""
        chosen = self.splits(repetition)
        key = f"{self.protocol.seed + repetition} minibatch"
        numbers = minibatch(chosen.train, self.protocol.minibatch, key, generation)
        return self.encoded[chosen.train_from][torch.tensor(numbers)]

    def score_cost(self, split: Split, repetition: int) -> Cost:
        """What scoring one candidate on a split costs."""
        return self._cost(self._rows(split, repetition), 1)

    def signature(self) -> Signature:
        parts = [SCHEMA, self.data.digest, self.model.digest, self.name, self.protocol, self.objective.name]
        digest = hashlib.sha256(repr(parts).encode()).hexdigest()
        generator = torch.Generator().manual_seed(0)
        values = torch.stack(
            [torch.zeros(self.space.size), torch.randn(self.space.size, generator=generator)]
        )
        points = Points(values.to(self.space.device))
        losses = self.evaluate([Request(points, 0, 0)])[0].losses
        return Signature(digest, tuple(losses.tolist()))

    @property
    def _prefix(self) -> int:
        """Soft tokens before each sequence."""
        return int(getattr(self.tuning, "tokens", 0))

    def _rows(self, split: Split, repetition: int) -> Encoded:
        chosen = self.splits(repetition)
        source, numbers = {
            "train": (chosen.train_from, chosen.train),
            "dev": (chosen.dev_from, chosen.dev),
            "test": ("test", chosen.test),
        }[split]
        return self.encoded[source][torch.tensor(numbers)]

    def _cost(self, rows: Encoded, members: int) -> Cost:
        lengths = rows.lengths + self._prefix
        tokens = int(lengths.sum())
        flops = tokens * self.model.flops_per_token(rows.ids.shape[1] + self._prefix)
        return Cost(members * len(rows), members * tokens, members * flops)

    def _run(
        self, members: Sequence[Member], run: Callable[[Sequence[Member]], list[Tensor]]
    ) -> list[Tensor]:
        """Members in chunks, under no gradient."""
        if not members:
            return []
        rows, length = members[0].rows.ids.shape
        fewest = max(2, -(-4 // rows))
        size = chunk_members(
            self.model.device,
            rows * (length + self._prefix),
            self._bytes_per_token,
            0 if self.tuning.packs else self._largest_block_bytes,
            fewest,
        )

        def padded(chunk: Sequence[Member]) -> list[Tensor]:
            # A product of few rows, or a batched product of one, would round differently.
            filled = [*chunk, *[chunk[-1]] * (fewest - len(chunk))]
            return run(filled)[: len(chunk)]

        with torch.no_grad():
            return in_chunks(members, size, fewest, padded)

    @property
    def _bytes_per_token(self) -> int:
        config = self.model.config
        inner = getattr(config, "intermediate_size", None) or 4 * config.hidden_size
        return (8 * config.hidden_size + 3 * inner) * self.model.dtype.itemsize

    @cached_property
    def _largest_block_bytes(self) -> int:
        return 3 * max(parameter.nbytes for parameter in self.model.parameters.values())

    def _logits_of_chunk(self, chunk: Sequence[Member]) -> list[Tensor]:
        view = self._view(chunk)
        rows = _joined([member.rows for member in chunk])
        logits = answer_logits(self.model, self.words, rows, view.weights, view.tensors, view.prefix)
        return list(logits.cpu())

    def _losses_of_chunk(self, chunk: Sequence[Member]) -> list[Tensor]:
        logits = torch.stack(self._logits_of_chunk(chunk))
        labels = torch.stack([member.rows.labels for member in chunk])
        return list(self.objective(logits, labels))

    def _view(self, chunk: Sequence[Member]) -> View:
        populations = _runs(chunk)
        if len(populations) == 1:
            return self.tuning.view_of(self.model, populations[0], self.space)
        parts = [parameters_of(population, self.space) for population in populations]
        joined = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
        return self.tuning.view(self.model, joined)

    def _alone(self, candidate: Population | None, rows: Encoded) -> Tensor:
        """Logits ``[R, C]`` of one candidate seen as the model itself, or of the untouched model."""
        with torch.no_grad():
            if candidate is None:
                view = View(Weights(1))
            else:
                center = center_of(candidate, self.space)
                view = View(Replaced(1, center), frozenset(center))
            return answer_logits(self.model, self.words, rows, view.weights, view.tensors)[0].cpu()

    def _gradients(self, points: Gradients, rows: Encoded) -> Evaluation:
        if not self.objective.differentiable:
            raise UserError(
                f"{self.name}: objective {self.objective.name!r} has no gradient; "
                "leave first-order references out, or choose cross-entropy or hinge"
            )
        n = len(points)
        values = points.values.detach().clone().requires_grad_()
        view = self.tuning.view(self.model, self.space.parameters(values))
        logits = answer_logits(
            self.model, self.words, _joined([rows] * n), view.weights, view.tensors, view.prefix
        )
        losses = self.objective(logits, rows.labels.to(logits.device).expand(n, -1))
        losses.sum().backward()
        assert values.grad is not None
        return Evaluation(losses.detach().cpu(), values.grad, self._cost(rows, 3 * n))


def _pieces(rows: Encoded) -> list[Encoded]:
    """Rows in pieces of one size, the last filled up with its own first row."""
    size = min(SCORED_ROWS, max(4, len(rows)))
    index = torch.arange(-(-len(rows) // size) * size)
    index[index >= len(rows)] = 0
    return [rows[part] for part in index.split(size)]


def _joined(parts: Sequence[Encoded]) -> Encoded:
    return Encoded(
        torch.cat([part.ids for part in parts]),
        torch.cat([part.lengths for part in parts]),
        torch.cat([part.labels for part in parts]),
    )


def _runs(chunk: Sequence[Member]) -> list[Population]:
    """The chunk's members as parts of their populations, in order."""
    runs: list[tuple[Population, list[int]]] = []
    for member in chunk:
        if not runs or runs[-1][0] is not member.population:
            runs.append((member.population, []))
        runs[-1][1].append(member.index)
    return [population[torch.tensor(indices)] for population, indices in runs]

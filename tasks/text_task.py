"""Model x data x tuning x objective: the task that algorithms minimise."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import cache, cached_property, lru_cache, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from harness.core import (
    Budget,
    Cost,
    Estimate,
    Evaluation,
    Gradients,
    LowRank,
    Perturbations,
    Population,
    Protocol,
    Request,
    Signature,
    Space,
    Split,
    Task,
    UserError,
)
from tasks.answer_task import AnswerTask
from tasks.answers import AnswerData
from tasks.batching import Batches, Member, pieces
from tasks.datasets import TextData
from tasks.encoding import Encoded, check_template, common_start, encode
from tasks.estimates import SAMPLE, estimated, mean_tokens, rows_of_splits
from tasks.language_model import LanguageModel
from tasks.objectives import Objective, metrics
from tasks.splits import few_shot, minibatch
from tasks.templates import losses as losses_of
from tasks.templates import under_one_another, variants
from tasks.tuning.base import Tuning

SCHEMA = 1
RECENT = 256
"""Minibatches that are kept: the cells of a cohort are near one another in their generations."""


class TextTask(Task):
    """Tune a frozen language model to answer with a label word, or near the right label text.

    Sequences are padded to one length per data set, so that the losses of a cell do not depend on which
    other cells share a forward, nor on how it is chunked.

    Args:
        data: rows, templates and label words; those for the model's family are taken.
        model: loaded on first use.
        tuning: what a candidate is.
        objective: what is minimised.
        protocol: splits and minibatches.
        name: as in tables.

    Raises:
        UserError: for label words, a template or a protocol that do not fit data and model.
    """

    def __init__(
        self,
        data: TextData,
        model: LanguageModel,
        tuning: Tuning,
        objective: Objective,
        protocol: Protocol,
        name: str,
    ) -> None:
        data = data.worded(model.family)
        self.data, self.model, self.tuning = data, model, tuning
        self.metric = data.metric
        self.objective, self.protocol, self.name = objective, protocol, name
        if objective.function is None:
            raise UserError(
                f"{name}: objective {objective.name!r} judges answers in the model's own words, and "
                f"{data.name} has label words; choose accuracy"
            )
        if objective.templates:
            variants(data)
        self.has_gradients = objective.differentiable
        self.shares_forward = tuning.packs
        self.company = model if tuning.packs else None
        self.repetitions = len(data.shots) or None
        self.splits = cache(partial(few_shot, data, protocol))
        self.minibatch = lru_cache(RECENT)(self._minibatch)
        self.splits(0)  # what does not fit is said before anything runs
        if model.has_tokenizer:
            limit = model.longest - tuning.prefix_tokens - model.kind.spare
            check_template(data, model.tokenizer, limit, model.kind)
            model.kind.check_words(data, model.tokenizer)

    @property
    def dimension(self) -> int:
        return self.tuning.dimension(self.model)

    @cached_property
    def space(self) -> Space:  # type: ignore[override]  # made on first use: it reads the weights
        return self.tuning.space(self.model)

    @cached_property
    def encoded(self) -> dict[str, Encoded]:
        """All rows of all splits as token ids."""
        model, prefix = self.model, self.tuning.prefix_tokens
        return encode(self.data, model.tokenizer, model.longest, prefix, model.kind)

    @cached_property
    def _variants(self) -> list[dict[str, Encoded]]:
        """All rows under the template, and under the alternatives where the objective compares them."""
        model, prefix = self.model, self.tuning.prefix_tokens
        others = variants(self.data)[1:] if self.objective.templates else []
        return [
            self.encoded,
            *(encode(data, model.tokenizer, model.longest, prefix, model.kind) for data in others),
        ]

    @cached_property
    def words(self) -> Tensor:
        """What stands for the classes: tokens int64 ``[C]``; of sentence encoders vectors ``[C, width]``."""
        return self.model.kind.words(self.data, self.model)

    @cached_property
    def batches(self) -> Batches:
        """What runs members through the model."""
        apart = not self.model.kind.resumes or len(self._variants) > 1
        common = 0 if apart else len(common_start(self.encoded.values()))
        return Batches(self.model, self.tuning, self.space, self.words, common)

    @property
    def forward_seconds(self) -> float:  # type: ignore[override]  # it is measured where forwards run
        return self.batches.forward_seconds

    def evaluate(self, requests: Sequence[Request]) -> list[Evaluation]:
        rows = [self.minibatch(request.repetition, request.generation) for request in requests]
        plain = [i for i, request in enumerate(requests) if not isinstance(request.population, Gradients)]
        answers: dict[int, Evaluation] = {}
        for group in [plain] if self.tuning.packs else [[i] for i in plain]:
            members = [
                Member(requests[i].population, k, rows[i])
                for i in group
                for k in range(len(requests[i].population))
            ]
            logits = iter(self.batches.run(members))
            for i in group:
                mine = torch.stack([next(logits) for _ in range(len(requests[i].population))])
                losses = losses_of(self.objective, mine, rows[i], len(self._variants))
                answers[i] = Evaluation(losses, None, self._cost(rows[i], len(mine)))
        for i, request in enumerate(requests):
            if isinstance(request.population, Gradients):
                answers[i] = self._gradients(request.population, rows[i])
        return [answers[i] for i in range(len(requests))]

    def score(
        self, candidates: Sequence[tuple[Population | None, int]], split: Split
    ) -> list[dict[str, float]]:
        found: list[list[Tensor]] = [[] for _ in candidates]
        packed: list[tuple[int, Member]] = []
        rows = []
        for i, (candidate, repetition) in enumerate(candidates):
            rows.append(pieces(self._rows(split, repetition), self.tuning.prefix_tokens))
            for piece in rows[i]:
                if candidate is not None and self.tuning.packs:
                    packed.append((i, Member(candidate, 0, piece)))
                else:
                    found[i].append(self.batches.run_alone(candidate, piece))
        logits = self.batches.run([member for _, member in packed])
        for (i, _), mine in zip(packed, logits, strict=True):
            found[i].append(mine)
        counts = [len(self._rows(split, repetition)) for _, repetition in candidates]
        return [
            metrics(torch.cat(mine)[:count], torch.cat([piece.labels for piece in own])[:count], self.metric)
            for mine, own, count in zip(found, rows, counts, strict=True)
        ]

    def score_cost(self, split: Split, repetition: int) -> Cost:
        return self._cost(self._rows(split, repetition), 1)

    def export(self, candidate: Population, folder: Path) -> dict[str, Any]:
        kind = self.tuning.export(self.model, candidate, self.space, folder)
        return {
            "kind": kind,
            "model": self.model.path,
            "family": self.model.family,
            "template": self.data.template,
            "words": list(self.data.words),
        }

    def estimate(self) -> Estimate:
        data, model = self.data, self.model
        train = data.splits[self.splits(0).train_from]
        texts = [data.filled(row) for row in train[:SAMPLE]]
        tokens = data.average_tokens or mean_tokens(texts, model.tokenizer if model.has_tokenizer else None)
        rows = rows_of_splits(self.protocol, data.classes, data.per_class)
        return estimated(model, self.tuning, rows, self.protocol.minibatch, tokens)

    def signature(self) -> Signature:
        lasting = replace(self.protocol, timeout=1.0)  # how long a cell may take changes no result
        parts = [SCHEMA, self.data.digest, self.model.digest, self.name, lasting, self.objective.name]
        digest = hashlib.sha256(repr(parts).encode()).hexdigest()
        fixed = Perturbations(
            self.space.start(),
            LowRank(self.space, seed=0, generation=0),
            sigma=1.0,
            members=torch.tensor([0, 0]),
            signs=torch.tensor([0, 1], dtype=torch.int8),
        )
        losses = self.evaluate([Request(fixed, 0, 0)])[0].losses
        return Signature(digest, tuple(losses.tolist()))

    def _minibatch(self, repetition: int, generation: int) -> Encoded:
        """The rows of one generation, the same for every algorithm."""
        chosen = self.splits(repetition)
        key = f"{self.protocol.seed + repetition} minibatch"
        numbers = minibatch(chosen.train, self.protocol.minibatch, key, generation)
        index, prefix = torch.tensor(numbers), self.tuning.prefix_tokens
        parts = [encoded[chosen.train_from][index].trimmed(prefix) for encoded in self._variants]
        return under_one_another(parts)

    def _rows(self, split: Split, repetition: int) -> Encoded:
        chosen = self.splits(repetition)
        source, numbers = {
            "train": (chosen.train_from, chosen.train),
            "dev": (chosen.dev_from, chosen.dev),
            "test": ("test", chosen.test),
        }[split]
        return self.encoded[source][torch.tensor(numbers)]

    def _cost(self, rows: Encoded, members: int) -> Cost:
        prefix = self.tuning.prefix_tokens
        tokens = int((rows.lengths + prefix).sum())
        flops = tokens * self.model.flops_per_token(rows.ids.shape[1] + prefix)
        return Cost(members * len(rows), members * tokens, members * flops)

    def _gradients(self, points: Gradients, rows: Encoded) -> Evaluation:
        if not self.has_gradients:
            raise UserError(
                f"{self.name}: objective {self.objective.name!r} has no gradient; "
                "leave first-order references out, or choose cross-entropy or hinge"
            )
        values = points.values.detach().clone().requires_grad_()
        logits = self.batches.run_points(values, rows)
        losses = losses_of(self.objective, logits, rows, len(self._variants))
        begin = time.perf_counter()
        (gradients,) = torch.autograd.grad(losses.sum(), values)
        self.batches.forward_seconds += time.perf_counter() - begin
        forward = self._cost(rows, len(points))
        cost = replace(forward, flops=Budget.GRADIENT_PRICE * forward.flops)
        return Evaluation(losses.detach(), gradients, cost)


class TextTuning(Tuning):
    """A tuning that makes text tasks: what the registered ones are.

    Args:
        subspace: dimension of a random projection through which the space is searched, or None.
        seed: of the starting point and of the projection.
    """

    def task(
        self,
        data: TextData | AnswerData,
        model: LanguageModel,
        objective: Objective,
        protocol: Protocol,
        name: str,
    ) -> TextTask | AnswerTask:
        """The task of tuning this model on these data: an answer task, where the data are answered freely."""
        if isinstance(data, AnswerData):
            return AnswerTask(data, model, self, objective, protocol, name)
        return TextTask(data, model, self, objective, protocol, name)

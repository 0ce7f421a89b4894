"""Model x questions x tuning x objective: the task of answering in words of the model's own."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import cache, cached_property, partial
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
from tasks.answer_batches import Answering, Reading, check_family
from tasks.answer_encoding import AnswerEncoding
from tasks.answers import AnswerData
from tasks.batching import SCORED_ROWS, Batches, Member, pieces
from tasks.encoding import Encoded
from tasks.estimates import SAMPLE, estimated, mean_tokens, rows_of_splits
from tasks.language_model import LanguageModel
from tasks.measures import Judging, Likelihood, Measure, Ranking
from tasks.objectives import Objective
from tasks.rewards import JUDGES
from tasks.splits import FewShot, minibatch, sized
from tasks.tuning.base import Tuning

SCHEMA = 1
Chosen = tuple[str, tuple[int, ...]]  # a split and numbers of its rows


class AnswerTask(Task):
    """Tune a frozen causal language model to answer questions.

    With objective ``reward``, one minus the mean reward of generated answers (or of the choice among a row's
    own); with ``cross-entropy``, the mean negative log-likelihood per token of the first right answer, which
    has gradients. Scores give the reward and the loss.

    Args:
        data: questions, answers and the reward.
        model: loaded on first use.
        tuning: what a candidate is.
        objective: what is minimised.
        protocol: splits and minibatches.
        name: as in tables.

    Raises:
        UserError: for a model, an objective, a template or a protocol that do not fit the data.
    """

    def __init__(
        self,
        data: AnswerData,
        model: LanguageModel,
        tuning: Tuning,
        objective: Objective,
        protocol: Protocol,
        name: str,
    ) -> None:
        self.data, self.model, self.tuning = data, model, tuning
        self.objective, self.protocol, self.name = objective, protocol, name
        check_family(model, data.name)
        if not objective.answers:
            raise UserError(
                f"{name}: objective {objective.name!r} needs label words, and {data.name} has questions; "
                "choose reward or cross-entropy"
            )
        self.metric = JUDGES[data.reward].metric if data.reward in JUDGES else "accuracy"
        self.has_gradients = objective.differentiable
        self.shares_forward = tuning.packs
        self.company = model if tuning.packs else None
        self.splits = cache(partial(sized, data, protocol))
        self.splits(0)  # what does not fit is said before anything runs
        if model.has_tokenizer:
            _ = self.encoding

    @cached_property
    def encoding(self) -> AnswerEncoding:
        """Rows as token ids."""
        return AnswerEncoding(self.data, self.model, self.tuning.prefix_tokens)

    @property
    def dimension(self) -> int:
        return self.tuning.dimension(self.model)

    @cached_property
    def space(self) -> Space:  # type: ignore[override]  # made on first use: it reads the weights
        return self.tuning.space(self.model)

    @cached_property
    def _reading(self) -> Likelihood:
        kind = Ranking if self.data.reward == "choice" else Likelihood
        return kind(self.encoding, Reading(self.model, self.tuning, self.space), self.model)

    @cached_property
    def _likelihood(self) -> Likelihood:
        return Likelihood(self.encoding, self._reading.batches, self.model)

    @cached_property
    def _judging(self) -> Judging:
        rows = max(SCORED_ROWS, self.protocol.minibatch)
        batches = Answering(self.model, self.tuning, self.space, self.data, rows)
        return Judging(self.encoding, batches, self.model, JUDGES[self.data.reward])

    @property
    def measure(self) -> Measure:
        """What a search minimises."""
        if self.objective.differentiable:
            return self._likelihood
        return self._reading if self.data.reward == "choice" else self._judging

    @property
    def forward_seconds(self) -> float:  # type: ignore[override]  # it is measured where forwards run
        made = [self._reading.batches] + ([self._judging.batches] if "_judging" in vars(self) else [])
        return sum(batches.forward_seconds for batches in made)

    def evaluate(self, requests: Sequence[Request]) -> list[Evaluation]:
        measure = self.measure
        chosen = [self._chosen(request) for request in requests]
        rows = [self.minibatch(request.repetition, request.generation) for request in requests]
        plain = [i for i, request in enumerate(requests) if not isinstance(request.population, Gradients)]
        answers: dict[int, Evaluation] = {}
        for group in [plain] if self.tuning.packs else [[i] for i in plain]:
            members = [
                Member(requests[i].population, k, rows[i])
                for i in group
                for k in range(len(requests[i].population))
            ]
            every = iter(measure.batches.run(members))
            for i in group:
                found = torch.stack([next(every) for _ in range(len(requests[i].population))])
                losses = measure.loss(measure.metrics(found, *chosen[i]))
                answers[i] = Evaluation(losses, None, measure.cost(rows[i], found, len(found)))
        for i, request in enumerate(requests):
            if isinstance(request.population, Gradients):
                answers[i] = self._gradients(request.population, rows[i], chosen[i])
        return [answers[i] for i in range(len(requests))]

    def score(
        self, candidates: Sequence[tuple[Population | None, int]], split: Split
    ) -> list[dict[str, float]]:
        scores: list[dict[str, float]] = [{} for _ in candidates]
        for measure in self._measures:
            chosen = [self._rows(split, repetition) for _, repetition in candidates]
            asked = [
                (candidate, measure.rows(*mine, self._key(repetition, split)))
                for (candidate, repetition), mine in zip(candidates, chosen, strict=True)
            ]
            for own, found, mine in zip(scores, self._run(measure.batches, asked), chosen, strict=True):
                values = measure.metrics(found[None], *mine)
                own |= {name: float(value) for name, value in values.items()}
        return scores

    def score_cost(self, split: Split, repetition: int) -> Cost:
        """What scoring one candidate on a split costs, as if each answer had as many tokens as it may."""
        chosen = self._rows(split, repetition)
        key = self._key(repetition, split)
        return sum((each.cost(each.rows(*chosen, key), None, 1) for each in self._measures), Cost())

    def export(self, candidate: Population, folder: Path) -> dict[str, Any]:
        kind = self.tuning.export(self.model, candidate, self.space, folder)
        return {
            "kind": kind,
            "model": self.model.path,
            "family": self.model.family,
            "template": self.data.template,
            "stop": self.data.stop,
            "new_tokens": self.data.new_tokens,
        }

    def estimate(self) -> Estimate:
        rows = rows_of_splits(self.protocol, classes=1)
        texts = [self.data.filled(row) for row in self.data.splits["train"][:SAMPLE]]
        tokenizer = self.model.tokenizer if self.model.has_tokenizer else None
        tokens = self.data.average_tokens if tokenizer is None else None
        return estimated(
            self.model,
            self.tuning,
            rows,
            self.protocol.minibatch,
            tokens or mean_tokens(texts, tokenizer),
            self.data.new_tokens,
        )

    @property
    def _measures(self) -> list[Measure]:
        return [self._reading] if self.data.reward == "choice" else [self._reading, self._judging]

    def _run(self, batches: Batches, asked: Sequence[tuple[Population | None, Encoded]]) -> list[Tensor]:
        """What single candidates give on many rows, ``[R, ...]`` in the rows' order."""
        found: list[list[Tensor]] = [[] for _ in asked]
        packed: list[tuple[int, Member]] = []
        for i, (candidate, rows) in enumerate(asked):
            for piece in pieces(rows, self.tuning.prefix_tokens):
                if candidate is not None and self.tuning.packs:
                    packed.append((i, Member(candidate, 0, piece)))
                else:
                    found[i].append(batches.run_alone(candidate, piece))
        for (i, _), mine in zip(packed, batches.run([member for _, member in packed]), strict=True):
            found[i].append(mine)
        orders = [torch.argsort(rows.lengths, stable=True) for _, rows in asked]  # as pieces have them
        return [
            torch.cat(mine)[: len(order)][torch.argsort(order)]
            for mine, order in zip(found, orders, strict=True)
        ]

    def signature(self) -> Signature:
        lasting = replace(self.protocol, timeout=1.0)  # how long a cell may take changes no result
        parts: list[Any] = ["answers", SCHEMA, self.data.digest, self.model.digest]
        parts += [self.name, lasting, self.objective.name]
        fixed = Perturbations(
            self.space.start(),
            LowRank(self.space, seed=0, generation=0),
            sigma=1.0,
            members=torch.tensor([0, 0]),
            signs=torch.tensor([0, 1], dtype=torch.int8),
        )
        losses = self.evaluate([Request(fixed, 0, 0)])[0].losses
        return Signature(hashlib.sha256(repr(parts).encode()).hexdigest(), tuple(losses.tolist()))

    def minibatch(self, repetition: int, generation: int) -> Encoded:
        """The rows of one generation, the same for every algorithm."""
        chosen = self._drawn(repetition, generation)
        return self.measure.rows(*chosen, self._key(repetition, str(generation)))

    def _chosen(self, request: Request) -> Chosen:
        return self._drawn(request.repetition, request.generation)

    def _drawn(self, repetition: int, generation: int) -> Chosen:
        chosen: FewShot = self.splits(repetition)
        key = f"{self.protocol.seed + repetition} minibatch"
        return chosen.train_from, tuple(minibatch(chosen.train, self.protocol.minibatch, key, generation))

    def _rows(self, split: Split, repetition: int) -> Chosen:
        chosen: FewShot = self.splits(repetition)
        own: dict[str, Chosen] = {
            "train": (chosen.train_from, chosen.train),
            "dev": (chosen.dev_from, chosen.dev),
            "test": ("test", chosen.test),
        }
        return own[split]

    def _key(self, repetition: int, occasion: str) -> str:
        """Of the random numbers of sampled answers."""
        return f"{self.protocol.seed} {repetition} {occasion}"

    def _gradients(self, points: Gradients, rows: Encoded, chosen: Chosen) -> Evaluation:
        if not self.has_gradients:
            raise UserError(
                f"{self.name}: objective {self.objective.name!r} has no gradient; "
                "leave first-order references out, or choose cross-entropy"
            )
        batches = self._reading.batches
        values = points.values.detach().clone().requires_grad_()
        losses = self._likelihood.loss(self._likelihood.metrics(batches.run_points(values, rows), *chosen))
        begin = time.perf_counter()
        (gradients,) = torch.autograd.grad(losses.sum(), values)
        batches.forward_seconds += time.perf_counter() - begin
        forward = self._likelihood.cost(rows, None, len(points))
        cost = replace(forward, flops=Budget.GRADIENT_PRICE * forward.flops)
        return Evaluation(losses.detach(), gradients, cost)

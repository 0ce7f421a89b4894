"""What the tasks of a frozen model have in common, whatever its answers are."""

from __future__ import annotations

import hashlib
import time
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property, lru_cache
from typing import Any

import torch
from torch import Tensor

from harness.core import (
    Budget,
    Cost,
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
from tasks.batching import SCORED_ROWS, Batches, Member, pieces
from tasks.encoding import Encoded
from tasks.language_model import LanguageModel
from tasks.objectives import Objective
from tasks.splits import FewShot, minibatch
from tasks.tuning.base import Tuning

RECENT = 256
"""Minibatches that are kept: the cells of a cohort are near one another in their generations."""
Chosen = tuple[str, tuple[int, ...]]
"""Rows of a data set: the split that they are of, and their numbers."""


class ModelTask(Task):
    """A frozen model, a tuning and an objective, on rows that a protocol draws.

    Args:
        model: loaded on first use.
        tuning: what a candidate is.
        objective: what is minimised.
        protocol: splits and minibatches.
        name: as in tables.
        splits: the rows of a repetition.
    """

    def __init__(
        self,
        model: LanguageModel,
        tuning: Tuning,
        objective: Objective,
        protocol: Protocol,
        name: str,
        splits: Callable[[int], FewShot],
    ) -> None:
        self.model, self.tuning, self.objective = model, tuning, objective
        self.protocol, self.name, self.splits = protocol, name, splits
        self.has_gradients = objective.differentiable
        self.shares_forward = tuning.packs
        self.company = model if tuning.packs else None
        self.minibatch = lru_cache(RECENT)(self._minibatch)
        splits(0)  # what does not fit is said before anything runs

    @property
    def dimension(self) -> int:
        return self.tuning.dimension(self.model)

    @cached_property
    def space(self) -> Space:  # type: ignore[override]  # made on first use: it reads the weights
        return self.tuning.space(self.model)

    @property
    @abstractmethod
    def searched(self) -> Batches:
        """What runs the members of a search."""

    @abstractmethod
    def encoded_rows(self, chosen: Chosen, repetition: int, generation: int) -> Encoded:
        """A generation's rows as tokens."""

    @abstractmethod
    def losses(self, found: Tensor, rows: Encoded, request: Request) -> Tensor:
        """Losses float64 ``[n]`` of what ``searched`` found for n members, ``[n, ...]``."""

    @abstractmethod
    def cost(self, found: Tensor | None, rows: Encoded, members: int) -> Cost:
        """What evaluating so many members cost; without what was found, what it costs at most."""

    @abstractmethod
    def identity(self) -> list[Any]:
        """What a result depends on, beside the protocol and the objective."""

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
            every = iter(self.searched.run(members))
            for i in group:
                found = torch.stack([next(every) for _ in range(len(requests[i].population))])
                losses = self.losses(found, rows[i], requests[i])
                answers[i] = Evaluation(losses, None, self.cost(found, rows[i], len(found)))
        for i, request in enumerate(requests):
            if isinstance(request.population, Gradients):
                answers[i] = self._gradients(request.population, rows[i], request)
        return [answers[i] for i in range(len(requests))]

    def signature(self) -> Signature:
        lasting = replace(self.protocol, timeout=1.0)  # how long a cell may take changes no result
        parts = [*self.identity(), self.model.digest, self.name, lasting, self.objective.name]
        fixed = Perturbations(
            self.space.start(),
            LowRank(self.space, seed=0, generation=0),
            sigma=1.0,
            members=torch.tensor([0, 0]),
            signs=torch.tensor([0, 1], dtype=torch.int8),
        )
        losses = self.evaluate([Request(fixed, 0, 0)])[0].losses
        return Signature(hashlib.sha256(repr(parts).encode()).hexdigest(), tuple(losses.tolist()))

    def _minibatch(self, repetition: int, generation: int) -> Encoded:
        """The rows of one generation, the same for every algorithm."""
        return self.encoded_rows(self.drawn(repetition, generation), repetition, generation)

    def drawn(self, repetition: int, generation: int) -> Chosen:
        """The training rows of one generation."""
        chosen = self.splits(repetition)
        key = f"{self.protocol.seed + repetition} minibatch"
        return chosen.train_from, tuple(minibatch(chosen.train, self.protocol.minibatch, key, generation))

    def chosen(self, split: Split, repetition: int) -> Chosen:
        """All rows of a split."""
        chosen = self.splits(repetition)
        own: dict[str, Chosen] = {
            "train": (chosen.train_from, chosen.train),
            "dev": (chosen.dev_from, chosen.dev),
            "test": ("test", chosen.test),
        }
        return own[split]

    def run_scored(
        self,
        batches: Batches,
        asked: Sequence[tuple[Population | None, Encoded]],
        most: int = SCORED_ROWS,
    ) -> list[Tensor]:
        """What single candidates give on many rows, at most so many at once: ``[R, ...]`` in their order."""
        found: list[list[Tensor]] = [[] for _ in asked]
        packed: list[tuple[int, Member]] = []
        for i, (candidate, rows) in enumerate(asked):
            for piece in pieces(rows, self.tuning.prefix_tokens, most):
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

    def _gradients(self, points: Gradients, rows: Encoded, request: Request) -> Evaluation:
        if not self.has_gradients:
            raise UserError(
                f"{self.name}: objective {self.objective.name!r} has no gradient; "
                "leave first-order references out, or choose cross-entropy"
            )
        values = points.values.detach().clone().requires_grad_()
        losses = self.losses(self.searched.run_points(values, rows), rows, request)
        begin = time.perf_counter()
        (gradients,) = torch.autograd.grad(losses.sum(), values)
        self.searched.forward_seconds += time.perf_counter() - begin
        forward = self.cost(None, rows, len(points))
        cost = replace(forward, flops=Budget.GRADIENT_PRICE * forward.flops)
        return Evaluation(losses.detach(), gradients, cost)

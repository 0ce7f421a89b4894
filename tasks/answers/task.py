"""Model x questions x tuning x objective: the task of answering in words of the model's own."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from functools import cache, cached_property, lru_cache, partial
from pathlib import Path
from typing import Any

from torch import Tensor

from harness.core import (
    Candidate,
    Cost,
    Demonstrations,
    Estimate,
    Population,
    Protocol,
    Request,
    Split,
    Untuned,
    UserError,
    point,
)
from tasks.answers.batches import Answering, Reading, check_family
from tasks.answers.data import AnswerData
from tasks.answers.encoding import AnswerEncoding
from tasks.answers.measures import Judging, Likelihood, Measure, Ranking
from tasks.answers.rewards import JUDGES
from tasks.answers.shown import ShownEncoding
from tasks.batching import SCORED_ROWS, Batches
from tasks.encoding import Encoded
from tasks.estimates import SAMPLE, estimated, mean_tokens, rows_of_splits
from tasks.language_model import LanguageModel
from tasks.model_task import Chosen, ModelTask
from tasks.objectives import Objective
from tasks.splits import sized
from tasks.tuning.base import Tuning
from tasks.untuned.fitting import rows_at_once

SCHEMA = 1
SHOWN = 16
"""Repetitions whose questions after examples are kept."""


class AnswerTask(ModelTask):
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
        self.data = data
        check_family(model, data.name)
        if not objective.answers:
            raise UserError(
                f"{name}: objective {objective.name!r} needs label words, and {data.name} has questions; "
                "choose reward or cross-entropy"
            )
        self.metric = JUDGES[data.reward].metric if data.reward in JUDGES else "accuracy"
        super().__init__(model, tuning, objective, protocol, name, cache(partial(sized, data, protocol)))
        self._shown = lru_cache(SHOWN)(self._new_encoding)
        if model.has_tokenizer:
            _ = self.encoding
            first = [data.filled(rows[0]) for rows in data.splits.values()]
            model.check_tokens(token for text in first for token in model.tokenizer(text)["input_ids"])

    @cached_property
    def encoding(self) -> AnswerEncoding:
        """Rows as token ids."""
        return AnswerEncoding(self.data, self.model, self.tuning.prefix_tokens)

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

    @property
    def searched(self) -> Batches:
        return self.measure.batches

    def losses(self, found: Tensor, rows: Encoded, request: Request) -> Tensor:
        chosen = self.drawn(request.repetition, request.generation)
        return self.measure.loss(self.measure.metrics(found, *chosen))

    def cost(self, found: Tensor | None, rows: Encoded, members: int) -> Cost:
        return self.measure.cost(rows, found, members)

    def misfit(self, untuned: Untuned) -> str | None:
        if not isinstance(untuned, Demonstrations):
            return "it is answered in the model's own words, and not by classes"
        source, numbers = self.chosen("train", 0)
        if self.model.has_tokenizer and not self._shown(untuned.shots, 0).count(source, numbers[0]):
            room = self._shown(untuned.shots, 0).room
            return f"no example fits beside a question into the {room} tokens that it may have"
        return None

    def score(self, candidates: Sequence[tuple[Candidate, int]], split: Split) -> list[dict[str, float]]:
        tuned = [i for i, (candidate, _) in enumerate(candidates) if not isinstance(candidate, Untuned)]
        asked = [(point(candidates[i][0]), candidates[i][1]) for i in tuned]
        found = dict(zip(tuned, self._scores(self._measures, asked, split), strict=True))
        for i, (candidate, repetition) in enumerate(candidates):
            if isinstance(candidate, Untuned):
                measures = self._measures_shown(candidate, repetition)
                (found[i],) = self._scores(measures, [(None, repetition)], split)
        return [found[i] for i in range(len(candidates))]

    def _scores(
        self, measures: Sequence[Measure], candidates: Sequence[tuple[Population | None, int]], split: Split
    ) -> list[dict[str, float]]:
        scores: list[dict[str, float]] = [{} for _ in candidates]
        for measure in measures:
            chosen = [self.chosen(split, repetition) for _, repetition in candidates]
            asked = [
                (candidate, measure.rows(*mine, self._key(repetition, split)))
                for (candidate, repetition), mine in zip(candidates, chosen, strict=True)
            ]
            shown = isinstance(measure.encoding, ShownEncoding)
            most = min(rows_at_once(rows) for _, rows in asked) if shown and asked else SCORED_ROWS
            every = self.run_scored(measure.batches, asked, most)
            for own, found, mine in zip(scores, every, chosen, strict=True):
                values = measure.metrics(found[None], *mine)
                own |= {name: float(value) for name, value in values.items()}
        return scores

    def score_cost(self, split: Split, repetition: int) -> Cost:
        """What scoring one candidate on a split costs, as if each answer had as many tokens as it may."""
        return self._cost_of(self._measures, split, repetition)

    def untuned_cost(self, untuned: Untuned, split: Split, repetition: int) -> Cost:
        return self._cost_of(self._measures_shown(untuned, repetition), split, repetition)

    def _cost_of(self, measures: Sequence[Measure], split: Split, repetition: int) -> Cost:
        chosen = self.chosen(split, repetition)
        key = self._key(repetition, split)
        return sum((each.cost(each.rows(*chosen, key), None, 1) for each in measures), Cost())

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

    def untuned_estimate(self, untuned: Untuned) -> Mapping[Split, Cost]:
        assert isinstance(untuned, Demonstrations)
        plain = self.estimate().scores
        whole = plain["train"].tokens / plain["train"].sequences
        beside = self.tuning.prefix_tokens + self.data.new_tokens
        question = max(1.0, whole - beside)
        room = max(0, int((self.model.longest - beside) // question) - 1)
        longer = 1 + min(untuned.shots, plain["train"].sequences, room) * question / whole
        return {
            split: Cost(cost.sequences, round(longer * cost.tokens), longer * cost.flops)
            for split, cost in plain.items()
        }

    def _new_encoding(self, shots: int, repetition: int) -> ShownEncoding:
        source, numbers = self.chosen("train", repetition)
        order = list(numbers)
        random.Random(f"{self.protocol.seed + repetition} examples").shuffle(order)
        return ShownEncoding(self.data, self.model, self.tuning.prefix_tokens, source, order[:shots])

    def _measures_shown(self, untuned: Untuned, repetition: int) -> list[Measure]:
        """The same as ``_measures``, of questions after examples."""
        assert isinstance(untuned, Demonstrations)
        encoding = self._shown(untuned.shots, repetition)
        return [each.of(encoding) for each in self._measures]

    @property
    def _measures(self) -> list[Measure]:
        return [self._reading] if self.data.reward == "choice" else [self._reading, self._judging]

    def identity(self) -> list[Any]:
        return ["answers", SCHEMA, self.data.digest]

    def encoded_rows(self, chosen: Chosen, repetition: int, generation: int) -> Encoded:
        return self.measure.rows(*chosen, self._key(repetition, str(generation)))

    def _key(self, repetition: int, occasion: str) -> str:
        """Of the random numbers of sampled answers."""
        return f"{self.protocol.seed} {repetition} {occasion}"

"""Model x data x tuning x objective: the task that algorithms minimise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from harness.core import (
    Candidate,
    Cost,
    Estimate,
    Population,
    Protocol,
    Request,
    Split,
    Untuned,
    UserError,
    point,
)
from tasks.answers.data import AnswerData
from tasks.answers.task import AnswerTask
from tasks.batching import Batches
from tasks.datasets import TextData
from tasks.encoding import Encoded, check_template, common_start, encode
from tasks.estimates import SAMPLE, estimated, mean_tokens, rows_of_splits
from tasks.language_model import LanguageModel
from tasks.model_task import Chosen, ModelTask
from tasks.objectives import Objective, metrics
from tasks.splits import few_shot
from tasks.templates import losses as losses_of
from tasks.templates import under_one_another, variants
from tasks.tuning.base import Tuning
from tasks.untuned.way import Way
from tasks.untuned.ways import WAYS

SCHEMA = 1


class TextTask(ModelTask):
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
        self.data = data = data.worded(model.family)
        self.metric = data.metric
        self.repetitions = len(data.shots) or None
        if objective.function is None:
            raise UserError(
                f"{name}: objective {objective.name!r} judges answers in the model's own words, and "
                f"{data.name} has label words; choose accuracy"
            )
        if objective.templates:
            variants(data)
        super().__init__(model, tuning, objective, protocol, name, cache(partial(few_shot, data, protocol)))
        self._way = cache(self._new_way)
        if model.has_tokenizer:
            limit = model.longest - tuning.prefix_tokens - model.kind.spare
            if limit < 1:
                raise UserError(
                    f"{name}: tokens={tuning.prefix_tokens} leaves no room for text: "
                    f"model {model.path} reads {model.longest} tokens; lower it"
                )
            check_template(data, model.tokenizer, limit, model.kind)
            model.kind.check_words(data, model.tokenizer)
            first = [data.filled(rows[0], mask="") for rows in data.splits.values()]
            model.check_tokens(token for text in first for token in model.tokenizer(text)["input_ids"])

    @cached_property
    def encoded(self) -> dict[str, Encoded]:
        """All rows of all splits as token ids."""
        model, prefix = self.model, self.tuning.prefix_tokens
        found = encode(self.data, model.tokenizer, model.longest, prefix, model.kind)
        model.check_tokens(int(rows.ids.max()) for rows in found.values())
        return found

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
    def searched(self) -> Batches:  # type: ignore[override]  # made on first use: it reads the rows
        """What runs members through the model."""
        apart = not self.model.kind.resumes or len(self._variants) > 1
        common = 0 if apart else len(common_start(self.encoded.values()))
        return Batches(self.model, self.tuning, self.space, self.words, common)

    @property
    def forward_seconds(self) -> float:  # type: ignore[override]  # it is measured where forwards run
        return self.searched.forward_seconds

    def losses(self, found: Tensor, rows: Encoded, request: Request) -> Tensor:
        return losses_of(self.objective, found, rows, len(self._variants))

    def cost(self, found: Tensor | None, rows: Encoded, members: int) -> Cost:
        prefix = self.tuning.prefix_tokens
        tokens = int((rows.lengths + prefix).sum())
        flops = tokens * self.model.flops_per_token(rows.ids.shape[1] + prefix)
        return Cost(members * len(rows), members * tokens, members * flops)

    def misfit(self, untuned: Untuned) -> str | None:
        return self._way(untuned).misfit() if type(untuned) in WAYS else super().misfit(untuned)

    def score(self, candidates: Sequence[tuple[Candidate, int]], split: Split) -> list[dict[str, float]]:
        rows = [self.rows_of(split, repetition) for _, repetition in candidates]
        tuned = [i for i, (candidate, _) in enumerate(candidates) if not isinstance(candidate, Untuned)]
        asked = [(point(candidates[i][0]), rows[i]) for i in tuned]
        found = dict(zip(tuned, self.run_scored(self.searched, asked), strict=True))
        for i, (candidate, repetition) in enumerate(candidates):
            if isinstance(candidate, Untuned):
                found[i] = self._way(candidate).logits(split, repetition)
        return [metrics(found[i], own.labels, self.metric) for i, own in enumerate(rows)]

    def score_cost(self, split: Split, repetition: int) -> Cost:
        return self.cost(None, self.rows_of(split, repetition), 1)

    def untuned_cost(self, untuned: Untuned, split: Split, repetition: int) -> Cost:
        return self._way(untuned).cost(split, repetition)

    def plain_cost(self, rows: Encoded) -> Cost:
        """What the untouched model costs on rows: no soft tokens stand before them."""
        tokens = int(rows.lengths.sum())
        return Cost(len(rows), tokens, tokens * self.model.flops_per_token(rows.ids.shape[1]))

    def _new_way(self, untuned: Untuned) -> Way:
        return WAYS[type(untuned)](self, untuned)

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
        rows = self.estimated_rows()
        return estimated(self.model, self.tuning, rows, self.protocol.minibatch, self.mean_tokens)

    def untuned_estimate(self, untuned: Untuned) -> Mapping[Split, Cost]:
        return self._way(untuned).estimate()

    def estimated_rows(self) -> dict[Split, int]:
        """Rows of each split, at most."""
        return rows_of_splits(self.protocol, self.data.classes, self.data.per_class)

    @cached_property
    def mean_tokens(self) -> float:
        """Tokens of a row, without soft ones; as published, where the tokenizer is not at hand to count."""
        data, model = self.data, self.model
        train = data.splits[self.splits(0).train_from]
        texts = [data.filled(row) for row in train[:SAMPLE]]
        return data.average_tokens or mean_tokens(texts, model.tokenizer if model.has_tokenizer else None)

    def identity(self) -> list[Any]:
        return [SCHEMA, self.data.digest]

    def encoded_rows(self, chosen: Chosen, repetition: int, generation: int) -> Encoded:
        index, prefix = torch.tensor(chosen[1]), self.tuning.prefix_tokens
        return under_one_another([encoded[chosen[0]][index].trimmed(prefix) for encoded in self._variants])

    def rows_of(self, split: Split, repetition: int) -> Encoded:
        """All rows of a split."""
        source, numbers = self.chosen(split, repetition)
        return self.encoded[source][torch.tensor(numbers)]


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

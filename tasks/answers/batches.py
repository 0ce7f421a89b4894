"""Members of many populations through few forwards, that answer questions or read given answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from harness.core import Perturbations, Population, Projected, Space, UserError
from harness.core.low_rank import Factored
from tasks.answers.data import AnswerData
from tasks.answers.generation import Endings, Questions, generate
from tasks.answers.left_padding import check_padding
from tasks.answers.likelihood import log_likelihoods
from tasks.batching import Batches, Member, joined
from tasks.encoding import ALIGNED, Encoded
from tasks.language_model import LanguageModel
from tasks.tuning.base import Tuning, View

NO_WORDS = torch.zeros(0, dtype=torch.long)


class Reading(Batches):
    """Mean log-likelihoods ``[R]`` of the continuations of a member's rows.

    Args:
        model: causal, loaded on first use.
        tuning: how a candidate changes it.
        space: that candidates are points of.
    """

    def __init__(self, model: LanguageModel, tuning: Tuning, space: Space) -> None:
        super().__init__(model, tuning, space, NO_WORDS)

    def run(self, members: Sequence[Member]) -> list[Tensor]:
        alike: dict[int, list[int]] = {}
        for i, member in enumerate(members):
            alike.setdefault(_most(member.rows), []).append(i)
        found: dict[int, Tensor] = {}
        for group in alike.values():
            found |= zip(group, super().run([members[i] for i in group]), strict=True)
        return [found[i] for i in range(len(members))]

    def _logits(self, see: Callable[[], View], rows: Sequence[Encoded]) -> Tensor:
        begin = time.perf_counter()
        here = log_likelihoods(self.model, see(), joined(rows), _most(rows[0])).cpu()
        self.forward_seconds += time.perf_counter() - begin
        return here


def _most(rows: Encoded) -> int:
    """Tokens of the longest continuation, rounded up so that few differ."""
    return -(-int(rows.labels.max()) // ALIGNED) * ALIGNED


class Answering(Batches):
    """Answers int64 ``[R, N]`` to a member's questions, as ``generate`` gives them.

    Args:
        model: causal, loaded on first use.
        tuning: how a candidate changes it.
        space: that candidates are points of.
        data: whose questions.
        rows: questions of one member, at most.
    """

    def __init__(
        self, model: LanguageModel, tuning: Tuning, space: Space, data: AnswerData, rows: int
    ) -> None:
        super().__init__(model, tuning, space, NO_WORDS)
        self.data, self.rows = data, rows
        ends = model.model.generation_config.eos_token_id
        tokens = set(ends if isinstance(ends, list) else [ends]) | {model.tokenizer.eos_token_id}
        self.endings = Endings(model.tokenizer, tokens - {None}, data.stop)
        check_padding(model)

    def _logits(self, see: Callable[[], View], rows: Sequence[Encoded]) -> Tensor:
        begin = time.perf_counter()
        fewest = max(2, -(-4 // len(rows[0])))
        view, asked = see(), _joined(rows)
        answers = generate(
            self.model, view, asked, self.data.new_tokens, self.endings, self.data.temperature, fewest
        )
        self.forward_seconds += time.perf_counter() - begin
        return answers

    def _bytes_per_member(self, population: Population) -> int:
        """With what is kept between the tokens: drawn weights, and what attention looks back at."""
        config = self.model.config
        heads = getattr(config, "num_attention_heads", 1)
        share = (getattr(config, "num_key_value_heads", None) or heads) / heads
        position = 2 * share * self.model.width * getattr(config, "num_hidden_layers", 1)
        length = min(self.model.longest, (self.data.max_tokens or self.model.longest) + self.data.new_tokens)
        kept = int(self.rows * length * position * self.model.dtype.itemsize)
        factored = isinstance(population, Perturbations) and isinstance(population.noise, Factored)
        if self.tuning.packs or (factored and not isinstance(self.space, Projected)):
            return kept + super()._bytes_per_member(population)
        return kept + 3 * sum(weight.nbytes for weight in self.model.parameters.values())


def _joined(rows: Sequence[Encoded]) -> Questions:
    plain = joined(rows)
    draws = [part.draws for part in rows if isinstance(part, Questions) and part.draws is not None]
    asked = Questions(plain.ids, plain.lengths, plain.labels)
    return replace(asked, draws=torch.cat(draws)) if draws else asked


def check_family(model: LanguageModel, name: str) -> None:
    """Refuse a model that does not go on with a text.

    Raises:
        UserError: naming model and data set.
    """
    family = getattr(model, "family", "causal")
    if family != "causal":
        raise UserError(
            f"{name}: its answers are written by causal models, and model {model.path} is of the family "
            f"{family!r}; choose a causal model, or a data set with label words"
        )

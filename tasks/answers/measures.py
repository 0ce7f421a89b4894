"""What is measured of answers: the likelihood of the right ones, the choice made, the text generated."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from copy import copy
from typing import Self

import torch
from torch import Tensor

from harness.core import Cost
from tasks.answers.batches import Answering
from tasks.answers.data import AnswerRow
from tasks.answers.encoding import AnswerEncoding
from tasks.answers.generation import BROKEN
from tasks.answers.rewards import Judge, Reward
from tasks.batching import Batches
from tasks.encoding import Encoded
from tasks.language_model import LanguageModel


class Measure(ABC):
    """One way to measure candidates on rows of a split.

    Args:
        encoding: of the data set's rows.
        batches: what runs members.
        model: for costs.
    """

    def __init__(self, encoding: AnswerEncoding, batches: Batches, model: LanguageModel) -> None:
        self.encoding, self.batches, self.model = encoding, batches, model

    def of(self, encoding: AnswerEncoding) -> Self:
        """The same measure of rows that are encoded in another way."""
        other = copy(self)
        other.encoding = encoding
        return other

    @abstractmethod
    def rows(self, split: str, numbers: Sequence[int], key: str) -> Encoded:
        """What members run on, for rows by number."""

    @abstractmethod
    def metrics(self, found: Tensor, split: str, numbers: Sequence[int]) -> dict[str, Tensor]:
        """Values float64 ``[n]`` by name, of what the batches found; nan for a broken candidate."""

    @abstractmethod
    def loss(self, metrics: dict[str, Tensor]) -> Tensor:
        """The one of these that a search minimises, float64 ``[n]``."""

    def cost(self, rows: Encoded, found: Tensor | None, members: int) -> Cost:
        """Of n members; of what they generated, ``found`` tells, or else the most is counted."""
        prefix = self.encoding.prefix
        length = rows.ids.shape[1] + prefix
        tokens = members * int((rows.lengths + prefix).sum())
        read, more = self._read(rows, found, members)
        flops = (tokens + more) * self.model.flops_per_token(length) + read * self._output_flops
        return Cost(members * len(rows), tokens + more, flops)

    @abstractmethod
    def _read(self, rows: Encoded, found: Tensor | None, members: int) -> tuple[int, int]:
        """Positions at which the output embedding is met, and tokens beside those of the rows."""

    @property
    def _output_flops(self) -> float:
        return 2.0 * self.model.width * int(getattr(self.model.config, "vocab_size", 0))

    def _facts(self, split: str, numbers: Sequence[int]) -> list[AnswerRow]:
        return [self.encoding.data.splits[split][number] for number in numbers]


class Likelihood(Measure):
    """``loss``: mean negative log-likelihood per token of each row's first answer, its end included."""

    def rows(self, split: str, numbers: Sequence[int], key: str) -> Encoded:
        closed = self.encoding.data.reward != "choice"
        facts = zip(numbers, self._facts(split, numbers), strict=True)
        return self.encoding.continuations(split, [(n, row.answers[0], closed) for n, row in facts])

    def metrics(self, found: Tensor, split: str, numbers: Sequence[int]) -> dict[str, Tensor]:
        return {"loss": -found.mean(1)}

    def loss(self, metrics: dict[str, Tensor]) -> Tensor:
        return metrics["loss"]

    def _read(self, rows: Encoded, found: Tensor | None, members: int) -> tuple[int, int]:
        return members * int(rows.labels.sum()), 0


class Ranking(Likelihood):
    """``accuracy``: how often the right choice has the highest mean log-likelihood per token.

    Source: Malladi et al., Fine-Tuning Language Models with Just Forward Passes, 2023, on COPA.
    """

    def rows(self, split: str, numbers: Sequence[int], key: str) -> Encoded:
        facts = zip(numbers, self._facts(split, numbers), strict=True)
        return self.encoding.continuations(
            split, [(n, each, False) for n, row in facts for each in row.choices]
        )

    def metrics(self, found: Tensor, split: str, numbers: Sequence[int]) -> dict[str, Tensor]:
        facts, hits, right = self._facts(split, numbers), [], []
        for row, choices in zip(facts, found.split([len(row.choices) for row in facts], dim=1), strict=True):
            answer = row.choices.index(row.answers[0])
            hits.append((choices.argmax(1) == answer).double().masked_fill(choices.isnan().any(1), torch.nan))
            right.append(-choices[:, answer])
        return {"accuracy": torch.stack(hits).mean(0), "loss": torch.stack(right).mean(0)}

    def loss(self, metrics: dict[str, Tensor]) -> Tensor:
        return 1 - metrics["accuracy"]


class Judging(Measure):
    """The mean reward of generated answers, under the reward's own name, and what else it reports.

    Args:
        encoding: of the data set's rows.
        batches: what generates.
        model: for costs.
        reward: how answers are judged.
    """

    batches: Answering

    def __init__(
        self, encoding: AnswerEncoding, batches: Answering, model: LanguageModel, reward: Reward
    ) -> None:
        super().__init__(encoding, batches, model)
        self.reward = reward

    def rows(self, split: str, numbers: Sequence[int], key: str) -> Encoded:
        return self.encoding.questions(split, numbers, key)

    def metrics(self, found: Tensor, split: str, numbers: Sequence[int]) -> dict[str, Tensor]:
        facts = self._facts(split, numbers)
        texts = [[self.batches.endings.text(answer) for answer in member] for member in found]
        broken = (found == BROKEN).flatten(1).any(1)

        def mean(judge: Judge) -> Tensor:
            every = [[judge(*pair) for pair in zip(member, facts, strict=True)] for member in texts]
            return torch.tensor(every, dtype=torch.float64).mean(1).masked_fill(broken, torch.nan)

        shaped = () if self.reward.shaped is None else (("shaped_reward", self.reward.shaped),)
        judges = ((self.reward.metric, self.reward.judge), *self.reward.beside, *shaped)
        return {name: mean(judge) for name, judge in judges}

    def loss(self, metrics: dict[str, Tensor]) -> Tensor:
        return 1 - metrics.get("shaped_reward", metrics[self.reward.metric])

    def _read(self, rows: Encoded, found: Tensor | None, members: int) -> tuple[int, int]:
        most = members * len(rows) * self.encoding.data.new_tokens
        count = most if found is None else int((found != -1).sum())
        return count, count

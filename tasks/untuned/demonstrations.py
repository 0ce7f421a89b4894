"""Training rows with their answers before each question."""

from __future__ import annotations

import random
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from harness.core import Cost, Split
from tasks.batching import Batches
from tasks.datasets import Row
from tasks.encoding import ALIGNED, Encoded, common_start, cut
from tasks.families.base import Family, padded
from tasks.untuned.fitting import fitting, rows_at_once
from tasks.untuned.way import Way

if TYPE_CHECKING:
    from tasks.text_task import TextTask


class DemonstrationWay(Way):
    """The untouched model, shown rows of the training split.

    Each is the filled template with its word where the answer stands. Classes come in turn, in an order
    drawn anew for each round, from the seed of the data split. A question is shown the first so many of them
    that fit; rows are cut as they are without examples.

    Args:
        task: whose rows are answered.
        shots: rows that are shown at most.

    >>> from harness.core import Protocol
    >>> from tasks.objectives import cross_entropy
    >>> from tasks.reference.registered import reference, sentiment
    >>> from tasks.text_task import TextTask
    >>> from tasks.tuning.prompt import PromptTuning
    >>> protocol = Protocol(per_class=4, test_rows=8)
    >>> task = TextTask(sentiment(), reference(), PromptTuning(), cross_entropy, protocol, "toy")
    >>> shown = DemonstrationWay(task, shots=2).shown(0)
    >>> len(shown), shown[0].rpartition(" ")[2] in task.data.words
    (2, True)
    """

    def __init__(self, task: TextTask, shots: int) -> None:
        super().__init__(task)
        self.shots = shots
        self.shown = lru_cache(8)(self._shown)
        self.groups = lru_cache(8)(self._groups)

    def misfit(self) -> str | None:
        model = self.task.model
        if model.kind.between is None:
            return f"{model.family} models read no examples"
        if model.has_tokenizer and self._fitting([self._text("train", 0, 0, answered=False)], 0) == [0]:
            return f"no example fits beside a question into the {self._room} tokens that the model takes"
        return None

    def logits(self, split: Split, repetition: int) -> Tensor:
        task = self.task
        found: dict[int, Tensor] = {}
        for places, rows in self.groups(split, repetition):
            batches = Batches(task.model, task.tuning, task.space, task.words, len(common_start([rows])))
            (logits,) = task.run_scored(batches, [(None, rows)], rows_at_once(rows))
            found |= zip(places, logits, strict=True)
            task.searched.forward_seconds += batches.forward_seconds
        return torch.stack([found[place] for place in range(len(found))])

    def cost(self, split: Split, repetition: int) -> Cost:
        """Every prompt in full, though what prompts have in common may be computed once."""
        return sum((self.task.plain_cost(rows) for _, rows in self.groups(split, repetition)), Cost())

    def estimate(self) -> dict[Split, Cost]:
        rows, tokens = self.task.estimated_rows(), self.task.mean_tokens
        model = self.task.model
        around = len(model.kind.ids(model.tokenizer, "")) if model.has_tokenizer else 1
        each = tokens - around + 1  # with its answer
        count = min(self.shots, rows["train"], max(0, int((self._room - tokens) // each)))
        return {split: self.estimated(number, tokens + count * each) for split, number in rows.items()}

    @property
    def _room(self) -> int:
        return self.task.model.longest - self.task.model.kind.spare

    def _shown(self, repetition: int) -> list[str]:
        """The examples' texts, in their order."""
        labels = self.labels("train", repetition).tolist()
        draw = random.Random(f"{self.task.protocol.seed + repetition} examples")
        classes: dict[int, list[int]] = {}
        for place, label in enumerate(labels):
            classes.setdefault(label, []).append(place)
        for places in classes.values():
            draw.shuffle(places)
        order: list[int] = []
        for turn in range(max(map(len, classes.values()))):
            round_ = [places[turn] for _, places in sorted(classes.items()) if turn < len(places)]
            draw.shuffle(round_)
            order += round_
        return [self._text("train", repetition, place, answered=True) for place in order[: self.shots]]

    def _text(self, split: Split, repetition: int, place: int, *, answered: bool) -> str:
        """A row's filled template, cut as ever, with its answer or with the place for it."""
        task, family, tokenizer = self.task, self.task.model.kind, self.task.model.tokenizer
        source, numbers = task.chosen(split, repetition)
        row = task.data.splits[source][numbers[place]]
        limit = min(self._room, task.data.max_tokens or self._room)
        fields = Row(cut(task.data, row, family, tokenizer, limit)[0], row.label)
        mask, word = family.mask(tokenizer), task.data.words[row.label]
        if mask:
            return task.data.filled(fields, word if answered else mask)
        return f"{task.data.filled(fields)} {word}" if answered else task.data.filled(fields)

    def _texts(self, split: Split, repetition: int) -> list[str]:
        count = len(self.task.chosen(split, repetition)[1])
        return [self._text(split, repetition, place, answered=False) for place in range(count)]

    def _prompt(self, question: str, repetition: int, count: int) -> list[int]:
        model = self.task.model
        text = (model.kind.between or "").join([*self.shown(repetition)[:count], question])
        return _ids(model.kind, model.tokenizer, text)

    def _size(self, question: str, repetition: int, count: int) -> int:
        return len(self._prompt(question, repetition, count))

    def _fitting(self, questions: list[str], repetition: int) -> list[int]:
        """How many examples fit before each question."""
        family, tokenizer = self.task.model.kind, self.task.model.tokenizer
        around = len(family.ids(tokenizer, ""))
        lengths = [len(_ids(family, tokenizer, text)) - around for text in self.shown(repetition)]
        sizes = [partial(self._size, question, repetition) for question in questions]
        return [fitting(lengths, self._room, size) for size in sizes]

    def _groups(self, split: Split, repetition: int) -> list[tuple[list[int], Encoded]]:
        """Places in the split and encoded prompts, those with equally many examples together."""
        questions, labels = self._texts(split, repetition), self.labels(split, repetition)
        groups: dict[int, list[int]] = {}
        for place, count in enumerate(self._fitting(questions, repetition)):
            groups.setdefault(count, []).append(place)
        model, found = self.task.model, []
        for count, places in groups.items():
            tokens = [self._prompt(questions[place], repetition, count) for place in places]
            lengths = torch.tensor([len(each) for each in tokens])
            width = min(model.longest, int(lengths.max()) + model.kind.spare + ALIGNED)
            rows = Encoded(padded(tokens, width), lengths, labels[places], spare=model.kind.spare)
            found.append((places, rows.trimmed()))
        return found


@lru_cache(2**14)
def _ids(family: Family, tokenizer: Any, text: str) -> list[int]:
    """Ids of a prompt, which the tasks of one model ask for again and again; not to be changed."""
    return family.ids(tokenizer, text)

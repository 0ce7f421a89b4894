"""Questions and continuations as token ids, each row when it is first asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache

import torch

from harness.core import UserError
from tasks.answers.data import AnswerData, AnswerRow
from tasks.answers.generation import Questions
from tasks.encoding import Encoded
from tasks.families.base import padded
from tasks.families.vocabulary import open_ids
from tasks.language_model import LanguageModel


class AnswerEncoding:
    """Token ids of a data set's rows for one model.

    A continuation follows its prompt after a space, or at once where the prompt ends with a line break. A
    prompt that leaves no room loses the last tokens of its longest field.

    Args:
        data: rows and template.
        model: whose tokenizer.
        prefix: soft tokens that will stand before each sequence.

    Raises:
        UserError: where the template and an answer take more than the model does.
    """

    def __init__(self, data: AnswerData, model: LanguageModel, prefix: int) -> None:
        self.data, self.tokenizer, self.prefix = data, model.tokenizer, prefix
        room = model.longest - prefix - 1 - data.new_tokens
        self.limit = min(room, data.max_tokens or room)
        bare = len(open_ids(self.tokenizer, data.filled(AnswerRow(dict.fromkeys(data.fields, ""), ("",)))))
        if bare >= self.limit:
            raise UserError(
                f"{data.name}: the template alone has {bare} tokens, and {self.limit} are left beside "
                f"{data.new_tokens} of an answer; shorten it, lower new_tokens, or take a longer model"
            )
        self._prompt = cache(self._cut)
        self._continued = cache(self._continuation)

    def questions(self, split: str, numbers: Sequence[int], key: str = "") -> Questions:
        """Prompts, with random numbers where answers are sampled: a function of key, row and position."""
        tokens = [self._prompt(split, number)[1] for number in numbers]
        draws = None
        if self.data.temperature > 0:
            draws = torch.stack([_draws(f"{key} {split} {n}", self.data.new_tokens) for n in numbers])
        lengths = torch.tensor([len(each) for each in tokens])
        ids = padded(tokens, int(lengths.max()) + 8 + self.prefix)
        return Questions(ids, lengths, torch.tensor(numbers), draws=draws).trimmed(self.prefix)

    def continuations(self, split: str, asked: Sequence[tuple[int, str, bool]]) -> Encoded:
        """Prompts with continuations, whose tokens ``labels`` counts.

        Args:
            split: of the rows.
            asked: (row number, continuation, whether the answer's end belongs to it).
        """
        found = [self._continued(split, *each) for each in asked]
        lengths = torch.tensor([len(tokens) for tokens, _ in found])
        ids = padded([tokens for tokens, _ in found], int(lengths.max()) + 8 + self.prefix)
        return Encoded(ids, lengths, torch.tensor([count for _, count in found])).trimmed(self.prefix)

    def _continuation(self, split: str, number: int, answer: str, closed: bool) -> tuple[list[int], int]:
        text, prompt = self._prompt(split, number)
        after = answer if text.endswith("\n") else f" {answer}"
        if closed:
            after += self.data.stop or ""
        whole = open_ids(self.tokenizer, text + after)
        rest = whole[len(prompt) :]
        if whole[: len(prompt)] != prompt or not rest:
            rest = list(self.tokenizer(after, add_special_tokens=False)["input_ids"])
        if closed and self.data.stop is None and self.tokenizer.eos_token_id is not None:
            rest.append(self.tokenizer.eos_token_id)
        rest = rest[: self.data.new_tokens]
        if not rest:
            raise UserError(f"{self.data.name}: {split}: row {number}: its answer {answer!r} has no tokens")
        return prompt + rest, len(rest)

    def _cut(self, split: str, number: int) -> tuple[str, list[int]]:
        """A prompt and its ids."""
        fields = dict(self.data.splits[split][number].fields)
        while True:
            text = self.data.filled(AnswerRow(fields, ("",)))
            tokens = open_ids(self.tokenizer, text)
            if len(tokens) <= self.limit:
                return text, tokens
            longest = max(self.data.fields, key=lambda name: len(fields[name]))
            spans = self.tokenizer(fields[longest], add_special_tokens=False, return_offsets_mapping=True)
            kept = len(spans["offset_mapping"]) - (len(tokens) - self.limit)
            if kept < 1:
                raise UserError(
                    f"{self.data.name}: {split}: row {number}: no text is left within {self.limit} tokens"
                )
            fields[longest] = fields[longest][: spans["offset_mapping"][kept - 1][1]]


def _draws(key: str, count: int) -> torch.Tensor:
    seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "little") >> 1
    return torch.rand(count, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))

"""Rows as token ids of one padded length, and the label words as single tokens."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from harness.core import UserError
from tasks.datasets import Row, TextData

ALIGNED = 8
"""Sequences are padded, soft prompt included, to a multiple of so many tokens."""


@dataclass(frozen=True, eq=False)
class Encoded:
    """Tokenised rows: ids int64 ``[R, T]`` padded at the right, lengths int64 ``[R]``, labels int64 ``[R]``.

    With causal attention no real token sees the padding, so no mask is needed.

    >>> rows = Encoded(torch.zeros(3, 8, dtype=torch.long), torch.tensor([8, 5, 6]), torch.tensor([0, 1, 1]))
    >>> len(rows), len(rows[torch.tensor([0, 2])])
    (3, 2)
    """

    ids: Tensor
    lengths: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return int(self.ids.shape[0])

    def __getitem__(self, rows: Tensor | slice) -> Encoded:
        return Encoded(self.ids[rows], self.lengths[rows], self.labels[rows])

    def trimmed(self, prefix: int = 0) -> Encoded:
        """Without the padding that none of these rows needs, still ``ALIGNED`` with a prefix before it.

        >>> rows = Encoded(torch.zeros(2, 24, dtype=torch.long), torch.tensor([9, 5]), torch.tensor([0, 1]))
        >>> rows.trimmed().ids.shape, rows.trimmed(prefix=5).ids.shape
        (torch.Size([2, 16]), torch.Size([2, 11]))
        """
        length = _aligned(int(self.lengths.max()), prefix)
        return Encoded(self.ids[:, :length], self.lengths, self.labels)


def _aligned(length: int, prefix: int) -> int:
    return -(-(length + prefix) // ALIGNED) * ALIGNED - prefix


def common_start(splits: Iterable[Encoded]) -> Tensor:
    """The tokens that all rows begin with, int64 ``[C]``; each row has at least one more.

    >>> one, two = torch.tensor([[1, 7, 3, 4]]), torch.tensor([[1, 7, 5, 0]])
    >>> label = torch.zeros(1)
    >>> common_start([Encoded(one, torch.tensor([4]), label), Encoded(two, torch.tensor([3]), label)])
    tensor([1, 7])
    """
    parts = list(splits)
    first = parts[0].ids[0]
    shortest = min(int(part.lengths.min()) for part in parts) - 1
    same = torch.stack([(part.ids == first).all(0) for part in parts]).all(0)[:shortest]
    return first[: int(same.long().cumprod(0).sum())]


def check_template(data: TextData, tokenizer: Any, limit: int) -> None:
    """Refuse a limit that leaves no room for a token of text.

    Raises:
        UserError: naming the data set and the limit.
    """
    limit = min(limit, data.max_tokens or limit)
    if len(_ids(tokenizer, data.filled(Row(dict.fromkeys(data.fields, ""), 0)))) >= limit:
        raise UserError(
            f"{data.name}: max_tokens: the template alone takes the {limit} tokens that there are; "
            "shorten it, or allow more"
        )


def encode(data: TextData, tokenizer: Any, longest: int, prefix: int = 0) -> dict[str, Encoded]:
    """All rows of all splits, padded to one length, so that no product's shape depends on company.

    Args:
        data: the rows and their template.
        tokenizer: a fast tokenizer.
        longest: sequence the model takes; ``data.max_tokens`` may be lower.
        prefix: soft tokens that will stand before each sequence.

    Raises:
        UserError: where the template leaves no room for a row's text.
    """
    longest -= prefix
    limit = min(longest, data.max_tokens or longest)
    tokenised = {
        split: [_tokens(data, row, tokenizer, limit) for row in rows] for split, rows in data.splits.items()
    }
    length = max(len(tokens) for rows in tokenised.values() for tokens in rows)
    # A product's last bits depend on how its operands lie in memory, and in attention each thread has
    # operands of its own: with whole cache lines all threads' lie alike.
    length = min(longest, _aligned(length, prefix))
    return {split: _padded(tokenised[split], data.splits[split], length) for split in tokenised}


def _padded(tokenised: Sequence[Sequence[int]], rows: Sequence[Row], length: int) -> Encoded:
    ids = torch.zeros(len(rows), length, dtype=torch.long)
    for i, tokens in enumerate(tokenised):
        ids[i, : len(tokens)] = torch.tensor(tokens)
    return Encoded(
        ids, torch.tensor([len(tokens) for tokens in tokenised]), torch.tensor([row.label for row in rows])
    )


def _tokens(data: TextData, row: Row, tokenizer: Any, limit: int) -> list[int]:
    tokens = _ids(tokenizer, data.filled(row))
    fields = dict(row.fields)
    while len(tokens) > limit:
        # The longest field loses its last tokens, so that the question after it is never cut off.
        longest = max(data.fields, key=lambda field: len(fields[field]))
        spans = tokenizer(fields[longest], add_special_tokens=False, return_offsets_mapping=True)[
            "offset_mapping"
        ]
        kept = len(spans) - (len(tokens) - limit)
        if kept < 1:
            raise UserError(f"{data.name}: max_tokens: no text is left of a row within {limit} tokens")
        fields[longest] = fields[longest][: spans[kept - 1][1]]
        tokens = _ids(tokenizer, data.template.format(**fields).strip())
    return tokens


def _ids(tokenizer: Any, text: str) -> list[int]:
    """Ids of a text that goes on: without the end-of-sequence token that some tokenizers add."""
    ids: list[int] = list(tokenizer(text)["input_ids"])
    if ids and ids[-1] in (tokenizer.eos_token_id, tokenizer.sep_token_id):
        ids.pop()
    return ids


def label_tokens(data: TextData, tokenizer: Any) -> Tensor:
    """The first token of each label word as it goes on after the template: int64 ``[C]``.

    Raises:
        UserError: where a word is unknown to the tokenizer, or two words begin with the same token.
    """
    before = data.filled(Row(dict.fromkeys(data.fields, "a"), 0))
    start = _ids(tokenizer, before)
    tokens: dict[int, str] = {}
    for word in data.words:
        continued = _ids(tokenizer, f"{before} {word}")
        if continued[: len(start)] != start or len(continued) == len(start):
            continued = start + tokenizer(f" {word}", add_special_tokens=False)["input_ids"]
        token = continued[len(start)]
        if token == tokenizer.unk_token_id:
            raise UserError(
                f"{data.name}: words: {word!r} is unknown to the model's tokenizer; choose another"
            )
        if token in tokens:
            raise UserError(
                f"{data.name}: words: {tokens[token]!r} and {word!r} begin with the same token "
                f"({tokenizer.convert_ids_to_tokens(token)!r}); choose words that differ there"
            )
        tokens[token] = word
    return torch.tensor(list(tokens))

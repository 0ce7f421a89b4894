"""Rows as token ids of one padded length."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from harness.core import UserError
from tasks.datasets import Row, TextData
from tasks.families.base import Family, padded
from tasks.families.causal import Causal

CAUSAL = Causal()
ALIGNED = 8
"""Sequences are padded, soft prompt included, to a multiple of so many tokens."""


@dataclass(frozen=True, eq=False)
class Encoded:
    """Tokenised rows: ids int64 ``[R, T]`` padded at the right, lengths int64 ``[R]``, labels int64 ``[R]``.

    ``spare`` is the padding that every row keeps, for families whose attention sees the whole row.

    >>> rows = Encoded(torch.zeros(3, 8, dtype=torch.long), torch.tensor([8, 5, 6]), torch.tensor([0, 1, 1]))
    >>> len(rows), len(rows[torch.tensor([0, 2])])
    (3, 2)
    """

    ids: Tensor
    lengths: Tensor
    labels: Tensor
    spare: int = field(default=0, kw_only=True)

    def __len__(self) -> int:
        return int(self.ids.shape[0])

    def __getitem__(self, rows: Tensor | slice) -> Encoded:
        return Encoded(self.ids[rows], self.lengths[rows], self.labels[rows], spare=self.spare)

    def trimmed(self, prefix: int = 0) -> Encoded:
        """Without the padding that none of these rows needs, still ``ALIGNED`` with a prefix before it.

        >>> rows = Encoded(torch.zeros(2, 24, dtype=torch.long), torch.tensor([9, 5]), torch.tensor([0, 1]))
        >>> rows.trimmed().ids.shape, rows.trimmed(prefix=5).ids.shape
        (torch.Size([2, 16]), torch.Size([2, 11]))
        """
        length = _aligned(int(self.lengths.max()) + self.spare, prefix)
        return Encoded(self.ids[:, :length], self.lengths, self.labels, spare=self.spare)


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


def check_template(data: TextData, tokenizer: Any, limit: int, family: Family = CAUSAL) -> None:
    """Refuse a limit that leaves no room for a token of text.

    Raises:
        UserError: naming the data set and the limit.
    """
    limit = min(limit, data.max_tokens or limit)
    bare = data.filled(Row(dict.fromkeys(data.fields, ""), 0), family.mask(tokenizer))
    if len(family.ids(tokenizer, bare)) >= limit:
        raise UserError(
            f"{data.name}: max_tokens: the template alone takes the {limit} tokens that there are; "
            "shorten it, or allow more"
        )


def encode(
    data: TextData, tokenizer: Any, longest: int, prefix: int = 0, family: Family = CAUSAL
) -> dict[str, Encoded]:
    """All rows of all splits, padded to one length, so that no product's shape depends on company.

    Args:
        data: the rows and their template.
        tokenizer: a fast tokenizer.
        longest: sequence the model takes; ``data.max_tokens`` may be lower.
        prefix: soft tokens that will stand before each sequence.
        family: of the model, which says what surrounds a text.

    Raises:
        UserError: where the template leaves no room for a row's text.
    """
    longest -= prefix
    limit = min(longest - family.spare, data.max_tokens or longest)
    tokenised = {
        split: [_tokens(data, row, family, tokenizer, limit) for row in rows]
        for split, rows in data.splits.items()
    }
    length = max(len(tokens) for rows in tokenised.values() for tokens in rows) + family.spare
    # A product's last bits depend on how its operands lie in memory, and in attention each thread has
    # operands of its own: with whole cache lines all threads' lie alike.
    length = min(longest, _aligned(length, prefix))
    return {
        split: Encoded(
            padded(rows, length),
            torch.tensor([len(tokens) for tokens in rows]),
            torch.tensor([row.label for row in data.splits[split]]),
            spare=family.spare,
        )
        for split, rows in tokenised.items()
    }


def _tokens(data: TextData, row: Row, family: Family, tokenizer: Any, limit: int) -> list[int]:
    return cut(data, row, family, tokenizer, limit)[1]


def cut(
    data: TextData, row: Row, family: Family, tokenizer: Any, limit: int
) -> tuple[Mapping[str, str], list[int]]:
    """A row's fields, shortened until the filled template fits, and its tokens.

    Args:
        data: with the template.
        row: one of its rows.
        family: of the model.
        tokenizer: a fast tokenizer.
        limit: most tokens.

    Raises:
        UserError: where no text would be left.
    """
    mask = family.mask(tokenizer)
    fields: Mapping[str, str] = row.fields
    if mask:  # a text that quotes the mask token asks nothing there
        fields = {field: row.fields[field].replace(mask, "") for field in data.fields}
    tokens = family.ids(tokenizer, data.filled(Row(fields, row.label), mask))
    while len(tokens) > limit:
        # The longest field loses its last tokens, so that the question after it is never cut off.
        longest = max(data.fields, key=lambda field: len(fields[field]))
        spans = tokenizer(fields[longest], add_special_tokens=False, return_offsets_mapping=True)[
            "offset_mapping"
        ]
        kept = len(spans) - (len(tokens) - limit)
        if kept < 1:
            raise UserError(f"{data.name}: max_tokens: no text is left of a row within {limit} tokens")
        fields = {**fields, longest: fields[longest][: spans[kept - 1][1]]}
        tokens = family.ids(tokenizer, data.filled(Row(fields, row.label), mask))
    return fields, tokens

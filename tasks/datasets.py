"""Labelled rows, the template that asks about them, and the words that answer."""

from __future__ import annotations

import hashlib
import json
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from harness.core import UserError

SPLITS = ("train", "dev", "test")


@dataclass(frozen=True)
class Row:
    """One example: the template's fields and the index of its class.

    >>> Row({"text": "a fine film"}, 1).label
    1
    """

    fields: Mapping[str, str]
    label: int


@dataclass(frozen=True, eq=False)
class TextData:
    """A labelled data set with its verbalizer.

    Args:
        name: for messages.
        splits: rows of ``train``, ``test`` and, where the set has one, ``dev``.
        template: text with ``{field}`` places; the answer follows it.
        words: the word that answers for each class, in the order of labels.
        max_tokens: longest sequence, template included; longer fields are cut at their end.

    Raises:
        UserError: for a template without a place, an unknown field, or fewer than two words.

    >>> rows = {"train": [Row({"text": "fine"}, 1)], "test": [Row({"text": "poor"}, 0)]}
    >>> data = TextData("toy", rows, "{text} . It was", ("bad", "good"))
    >>> data.filled(data.splits["train"][0])
    'fine . It was'
    """

    name: str
    splits: Mapping[str, Sequence[Row]]
    template: str
    words: tuple[str, ...]
    max_tokens: int | None = None

    def __post_init__(self) -> None:
        try:
            places = self.fields
        except ValueError as error:
            raise UserError(f"{self.name}: template: {error}; write one such as '{{text}} It was'") from None
        if not places:
            raise UserError(f"{self.name}: template: has no {{field}}; write one such as '{{text}} It was'")
        if len(self.words) < 2:
            raise UserError(f"{self.name}: words: two classes at least, got {len(self.words)}")
        for split, rows in self.splits.items():
            if not rows:
                raise UserError(f"{self.name}: {split}: no rows")
            missing = [field for field in places if field not in rows[0].fields]
            if missing:
                known = ", ".join(sorted(rows[0].fields))
                raise UserError(
                    f"{self.name}: template: the {split} rows have no field {missing[0]!r}; they have {known}"
                )

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """Names of the template's places."""
        names = [name for _, name, _, _ in string.Formatter().parse(self.template) if name is not None]
        unnamed = [name for name in names if not name.isidentifier()]
        if unnamed:
            raise ValueError(f"{{{unnamed[0]}}} names no field")
        return tuple(dict.fromkeys(names))

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.words)

    def filled(self, row: Row) -> str:
        """The template with a row's fields."""
        return self.template.format(**row.fields).strip()

    @cached_property
    def digest(self) -> str:
        """A hash of everything that defines the set."""
        content = hashlib.sha256(
            json.dumps([self.template, self.words, self.max_tokens], ensure_ascii=False).encode()
        )
        for split in sorted(self.splits):
            for row in self.splits[split]:
                line = [split, row.label, *(row.fields[field] for field in self.fields)]
                content.update(json.dumps(line, ensure_ascii=False).encode())
        return content.hexdigest()

"""Labelled rows, the template that asks about them, and the words that answer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from harness.core import UserError
from tasks.wording import FAMILIES, MASK, Wording, made_for, places

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
        splits: rows of ``train``, ``test`` and, where the set has one, ``dev``; those of ``shots`` beside.
        template: text with ``{field}`` places; the answer follows it, or stands at ``{mask}``.
        words: the word that answers for each class, in the order of labels.
        max_tokens: longest sequence, template included; longer fields are cut at their end.
        wordings: template and words for a family of models, where they are others.
        alternatives: other templates that the same words answer.
        shots: names of the (train, dev) splits of repetition 0, 1, ...; empty where they are drawn.
        per_class: rows per class to draw, whatever the protocol says; None for the protocol's.
        average_tokens: of a filled template, for plans.
        metric: by which results are compared: ``accuracy``, or ``f1`` of the last class.

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
    wordings: Mapping[str, Wording] = field(default_factory=dict)
    alternatives: tuple[str, ...] = ()
    shots: tuple[tuple[str, str], ...] = ()
    per_class: int | None = None
    average_tokens: float | None = None
    metric: str = "accuracy"

    def __post_init__(self) -> None:
        own = Wording(self.template, self.words, self.alternatives)
        own.check(f"{self.name}: ")
        for family, wording in self.wordings.items():
            wording.check(f"{self.name}: {family} ", family)
            if len(wording.words) != self.classes:
                raise UserError(
                    f"{self.name}: {family} words: {len(wording.words)} for {self.classes} classes; "
                    "give one for each"
                )
        for split, rows in self.splits.items():
            if not rows:
                raise UserError(f"{self.name}: {split}: no rows with a label; add some")
            missing = [field for field in self._all_fields if field not in rows[0].fields]
            if missing:
                known = ", ".join(sorted(rows[0].fields))
                raise UserError(
                    f"{self.name}: template: the {split} rows have no field {missing[0]!r}; "
                    f"it has to be one of {known}"
                )

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """Names of the template's places, but for ``{mask}``."""
        return tuple(dict.fromkeys(name for name in places(self.template) if name != MASK))

    @cached_property
    def _all_fields(self) -> tuple[str, ...]:
        """Those of every template."""
        wordings = [Wording(self.template, self.words, self.alternatives), *self.wordings.values()]
        templates = [template for each in wordings for template in (each.template, *each.alternatives)]
        names = dict.fromkeys(name for template in templates for name in places(template))
        return tuple(name for name in names if name != MASK)

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.words)

    def filled(self, row: Row, mask: str = "") -> str:
        """The template with a row's fields, and ``mask`` at its ``{mask}``.

        A line break at the template's end stays: the answer then begins the next line.

        >>> data = TextData("toy", {"test": [Row({"text": "fine"}, 1)]}, "{text} . {mask} .", ("Bad", "Good"))
        >>> data.filled(data.splits["test"][0], mask="<mask>")
        'fine . <mask> .'
        """
        return self.template.format(**{**row.fields, MASK: mask}).strip(" ")

    def worded(self, family: str) -> TextData:
        """The same rows with the template and words for a family of models.

        Args:
            family: ``causal``, ``masked``, ``encoder-decoder`` or ``sentence``. Where the set has no wording
                for it, one is made of its own template (``tasks.wording.made_for``).

        Raises:
            UserError: for another family, or a template from which none can be made.

        >>> data = TextData("toy", {"test": [Row({"text": "fine"}, 1)]}, "{text} . It was", ("bad", "good"))
        >>> masked = data.worded("masked")
        >>> masked.template, masked.filled(data.splits["test"][0], mask="<mask>")
        ('{text} . It was {mask} .', 'fine . It was <mask> .')
        >>> sentence = data.worded("sentence")
        >>> sentence.template, sentence.words
        ('{text}', ('It was bad', 'It was good'))
        """
        if family not in FAMILIES:
            raise UserError(
                f"{self.name}: no family of models {family!r}: choose one of {', '.join(FAMILIES)}"
            )
        own = Wording(self.template, self.words, self.alternatives)
        wording = self.wordings.get(family) or made_for(family, own, self.name)
        return replace(
            self,
            template=wording.template,
            words=wording.words,
            alternatives=wording.alternatives,
            wordings={},
        )

    @cached_property
    def digest(self) -> str:
        """A hash of everything that a result depends on."""
        wordings = {family: wording.plain() for family, wording in sorted(self.wordings.items())}
        beside = [wordings, self.alternatives, self.shots, self.per_class, self.metric]
        plain = beside == [{}, (), (), None, "accuracy"]  # as all sets were when results were first stored
        head = [self.template, self.words, self.max_tokens, *([] if plain else beside)]
        content = hashlib.sha256(json.dumps(head, ensure_ascii=False).encode())
        for split in sorted(self.splits):
            for row in self.splits[split]:
                line = [split, row.label, *(row.fields[field] for field in self._all_fields)]
                content.update(json.dumps(line, ensure_ascii=False).encode())
        return content.hexdigest()

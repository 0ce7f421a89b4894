"""Rows that are answered in words of the model's own: questions, right answers, and how one is judged."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from harness.core import UserError
from tasks.wording import places

REWARDS = ("exact-match", "token-f1", "countdown", "countdown-format", "gsm8k", "choice")
"""How an answer may be judged (``tasks.answers.rewards``); ``choice`` ranks a row's choices, the others read
generated text."""


@dataclass(frozen=True)
class AnswerRow:
    """One question: the template's fields, the right answers, the first of which is the model one.

    Args:
        fields: text by name of the template's place.
        answers: right answers, any of which will do; of a row with choices, the right choice.
        choices: what there is to choose from.
        facts: what a verifier needs to know beside the answers.

    >>> AnswerRow({"question": "2 + 2 ="}, ("4", "four")).answers[0]
    '4'
    """

    fields: Mapping[str, str]
    answers: tuple[str, ...]
    choices: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class AnswerData:
    """A data set whose answers are generated, or chosen among each row's own choices.

    Args:
        name: for messages.
        splits: rows of ``train``, ``test`` and, where the set has one, ``dev``.
        template: text with ``{field}`` places; the answer follows it.
        reward: how an answer is judged, one of ``REWARDS``.
        new_tokens: most tokens of an answer.
        stop: an answer ends before this text, or where the model ends it; None for the latter alone.
        temperature: of sampling, 0 for the likeliest token each time.
        max_tokens: longest prompt; longer fields are cut at their end. None is what the model takes.
        average_tokens: of a filled template, about; for plans.

    Raises:
        UserError: for a template without a place, an unknown field or reward, or rows that do not fit the
            reward.

    >>> rows = {s: [AnswerRow({"question": "2 + 2"}, ("4",))] for s in ("train", "test")}
    >>> data = AnswerData("sums", rows, "{question} =", "exact-match", new_tokens=4)
    >>> data.filled(data.splits["train"][0]), data.fields
    ('2 + 2 =', ('question',))
    >>> AnswerData("sums", rows, "{question} =", "choice", new_tokens=4)
    Traceback (most recent call last):
        ...
    harness.core.errors.UserError: sums: train: row 0: its answer '4' is not one of its choices ()
    """

    name: str
    splits: Mapping[str, Sequence[AnswerRow]]
    template: str
    reward: str
    new_tokens: int
    stop: str | None = "\n"
    temperature: float = 0.0
    max_tokens: int | None = None
    average_tokens: float | None = None

    def __post_init__(self) -> None:
        try:
            fields = self.fields
        except ValueError as error:
            raise UserError(f"{self.name}: template: {error}; write one such as '{{text}} It was'") from None
        if not fields:
            raise UserError(f"{self.name}: template: has no {{field}}; write one such as '{{question}} ='")
        if self.reward not in REWARDS:
            raise UserError(f"{self.name}: reward: {self.reward!r} is not one of {', '.join(REWARDS)}")
        if self.new_tokens < 1:
            raise UserError(f"{self.name}: new_tokens: at least one, got {self.new_tokens}")
        if not self.temperature >= 0:
            raise UserError(f"{self.name}: temperature: 0 or more, got {self.temperature}")
        for split, rows in self.splits.items():
            if not rows:
                raise UserError(f"{self.name}: {split}: no rows; add some")
            for number, row in enumerate(rows):
                self._check(row, f"{self.name}: {split}: row {number}")

    def _check(self, row: AnswerRow, place: str) -> None:
        missing = [name for name in self.fields if name not in row.fields]
        if missing:
            known = ", ".join(sorted(row.fields))
            raise UserError(f"{place}: has no field {missing[0]!r} of the template; it has {known}")
        if not row.answers:
            raise UserError(f"{place}: has no answer")
        if self.reward == "choice" and row.answers[0] not in row.choices:
            raise UserError(
                f"{place}: its answer {row.answers[0]!r} is not one of its choices {tuple(row.choices)}"
            )

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """Names of the template's places."""
        return tuple(dict.fromkeys(places(self.template)))

    def filled(self, row: AnswerRow) -> str:
        """The template with a row's fields; a line break at its end stays, and the answer begins a line."""
        return self.template.format(**row.fields).strip(" ")

    @cached_property
    def digest(self) -> str:
        """A hash of everything that defines the set."""
        how = [self.template, self.reward, self.new_tokens, self.stop, self.temperature, self.max_tokens]
        content = hashlib.sha256(json.dumps(how, ensure_ascii=False).encode())
        for split in sorted(self.splits):
            for row in self.splits[split]:
                fields = [row.fields[name] for name in self.fields]
                line = [split, fields, row.answers, row.choices, row.facts]
                content.update(json.dumps(line, ensure_ascii=False, sort_keys=True, default=str).encode())
        return content.hexdigest()

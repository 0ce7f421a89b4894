"""From the lines of a file, or the rows of the hub, to what a task reads."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from harness.core import UserError
from tasks.answers.data import AnswerRow
from tasks.datasets import Row
from tasks.published.card import Card
from tasks.published.table import Line

CHANGES: dict[str, Callable[[str], str]] = {
    "lower": str.lower,
    "lower-first": lambda text: text[:1].lower() + text[1:],
    "lower-first-but-I": lambda text: text if text.split(" ")[0] == "I" else text[:1].lower() + text[1:],
    "question": lambda text: text[:1].upper() + text[1:] + ("" if text.endswith("?") else "?"),
    "open": lambda text: re.sub(r"\s*[.?!]$", "", text),
    "spaced": lambda text: text.replace("\\n", " ").replace("\n", " "),
    "conjunction": lambda text: {"cause": "because", "effect": "so"}[text],
}
"""How a derived field is made of another: what the published templates do to their sentences."""
UNLABELLED = ("-1", "-", "none", "")
"""Labels of rows that annotators did not agree on, or that the publishers keep to themselves."""


def known_columns(card: Card) -> set[str]:
    """Every name that a column may have, in small letters."""
    named = [part for names in card.fields.values() for name in names for part in name.split("+")]
    answers = [card.answers.column] if card.answers else []
    return {name.lower() for name in (*named, *card.label, *answers)}


def is_labelled(card: Card, lines: Sequence[Line]) -> bool:
    """Whether there is anything to learn of these rows: the publishers keep some test labels."""
    columns = card.label or ((card.answers.column,) if card.answers else ())
    first = lines[0].values
    if not isinstance(first, Mapping):
        return True
    column = next((name for name in columns if name in first), None)
    return column is not None and any(_written(line.values[column]) not in UNLABELLED for line in lines)  # type: ignore[call-overload]


def text_rows(card: Card, lines: Sequence[Line]) -> list[Row]:
    """Rows of a labelled set; those without a label are left out.

    Raises:
        UserError: naming file and line of a column that is missing or a label that is unknown.
    """
    named = _named(card, lines)
    spelled = {each: index for index, spellings in enumerate(card.labels) for each in spellings}
    numbers = {values[_label(card, values, place)].lower() for place, values in named}
    shifted = {str(i + 1) for i in range(len(card.labels))}
    if numbers <= shifted and str(len(card.labels)) in numbers:  # counted from 1, as in the first releases
        spelled = {**spelled, **{str(i + 1): i for i in range(len(card.labels))}}
    rows = []
    for place, values in named:
        written = values[_label(card, values, place)]
        if written.lower() in UNLABELLED:
            continue
        if written.lower() not in spelled:
            known = ", ".join(spellings[0] for spellings in card.labels)
            raise UserError(f"{place}: label {written[:80]!r} is unknown; the classes are {known}")
        rows.append(Row(_fields(card, values, place), spelled[written.lower()]))
    return rows


def answer_rows(card: Card, lines: Sequence[Line]) -> list[AnswerRow]:
    """Rows of a set of questions.

    Raises:
        UserError: naming file and line of what is missing or malformed.
    """
    how = card.answers
    assert how is not None
    rows = []
    for line in lines:
        if not isinstance(line.values, Mapping):
            raise UserError(f"{line.place}: needs a header line or named values; use .jsonl")
        fields = _fields(card, line.values, line.place)
        if how.column not in line.values:
            raise UserError(f"{line.place}: no column {how.column!r}; it has {', '.join(line.values)}")
        given = line.values[how.column]
        choices = tuple(fields[name] for name in how.choices)
        if choices:
            if str(given) not in map(str, range(len(choices))):
                raise UserError(f"{line.place}: {how.column} {given!r} names none of {len(choices)} choices")
            rows.append(AnswerRow(fields, (choices[int(given)],), choices))
            continue
        texts = given.get("text", ()) if isinstance(given, Mapping) else given
        found = [str(text).strip() for text in ([texts] if isinstance(texts, str) else texts)]
        if how.pattern:
            matches = [re.search(how.pattern, text) for text in found]
            if not all(matches):
                raise UserError(f"{line.place}: no answer that fits {how.pattern!r} in {found[0]!r}")
            found = [match[1].strip() for match in matches if match]
        if not any(found):
            raise UserError(f"{line.place}: has no answer")
        rows.append(AnswerRow(fields, tuple(dict.fromkeys(found))))
    return rows


def _named(card: Card, lines: Sequence[Line]) -> list[tuple[str, dict[str, str]]]:
    """Lines as texts by column; those of a file without a header get the columns that their values tell."""
    if isinstance(lines[0].values, Mapping):
        return [
            (line.place, {name: _written(value) for name, value in line.values.items()})  # type: ignore[union-attr]
            for line in lines
        ]
    order = _order(card, lines)
    return [
        (line.place, _labelled(card, [str(cell).strip() for cell in line.values], order)) for line in lines
    ]


def _order(card: Card, lines: Sequence[Line]) -> int:
    """Where the label stands in lines without a header: at the beginning (0) or at the end (-1)."""
    known = {each for spellings in card.labels for each in spellings}
    known |= {str(i + 1) for i in range(len(card.labels))} | set(UNLABELLED)
    cells = [[str(line.values[at]).strip().lower() for line in lines] for at in (0, -1)]  # type: ignore[index]
    strangers = [[cell not in known for cell in column] for column in cells]
    at = min((0, 1), key=lambda side: sum(strangers[side]))
    if any(strangers[at]):
        line = lines[strangers[at].index(True)]
        classes = ", ".join(spellings[0] for spellings in card.labels)
        raise UserError(
            f"{line.place}: neither its first nor its last column is a label; one must be, of {classes}"
        )
    return -at


def _labelled(card: Card, cells: list[str], order: int) -> dict[str, str]:
    label = cells.pop(order)
    if len(card.fields) == 1:
        cells = [" ".join(cells)]  # a title and a description, in one text
    named = {names[0]: cell for names, cell in zip(card.fields.values(), cells, strict=False)}
    return {**named, card.label[0]: label}


def _label(card: Card, values: Mapping[str, str], place: str) -> str:
    found = next((name for name in card.label if name in values), None)
    if found is None:
        raise UserError(f"{place}: no column {card.label[0]!r}; it has {', '.join(values)}")
    return found


def _fields(card: Card, values: Mapping[str, Any], place: str) -> dict[str, str]:
    fields = {}
    for field, names in card.fields.items():
        parts = next((name.split("+") for name in names if set(name.split("+")) <= values.keys()), None)
        if parts is None:
            raise UserError(f"{place}: no column {names[0]!r}; it has {', '.join(values)}")
        fields[field] = " ".join(_written(values[part]) for part in parts).strip()
    for field, how in card.derived.items():
        source, change = how.split()
        try:
            fields[field] = CHANGES[change](fields[source])
        except KeyError:
            raise UserError(f"{place}: {source} {fields[source]!r} is unknown") from None
    return fields


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value).strip()

"""One file of rows, whatever its layout: TSV, CSV, JSON lines, or a label before each text."""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.core import UserError

LABELLED_TEXT = (".txt", ".label", ".all")
SUFFIXES = (".tsv", ".csv", ".jsonl", ".json", *LABELLED_TEXT)
"""Files that are read, by how their names end."""


@dataclass(frozen=True)
class Line:
    """A row as a file has it: where it stands, and its values by column in small letters.

    A file without a header line has no columns: its values are a sequence then.
    """

    place: str
    values: Mapping[str, Any] | Sequence[str]


def kept(count: int, rows: int | None, key: str) -> Sequence[int]:
    """Numbers of the rows of a split that are drawn from: all, or ``rows`` of them, in their order.

    >>> kept(3, None, "toy/train"), len(kept(100, 7, "toy/train"))
    (range(0, 3), 7)
    """
    if rows is None or count <= rows:
        return range(count)
    return sorted(random.Random(key).sample(range(count), rows))


def read_table(path: Path, columns: set[str]) -> list[Line]:
    """The rows of a file.

    Args:
        path: ends in one of ``SUFFIXES``.
        columns: names, in small letters, any of which tells a header line from a row.

    Raises:
        UserError: naming file and line, and the remedy.
    """
    # Not splitlines: texts hold rare characters that it takes for line breaks.
    lines = _text(path).replace("\r\n", "\n").split("\n") if path.suffix != ".json" else []
    if path.suffix == ".json":
        found = _json(path)
    elif path.suffix == ".jsonl":
        found = [Line(place, _object(line, place)) for place, line in _numbered(path, lines)]
    elif path.suffix == ".csv":
        found = _with_header(_csv(path), columns)
    elif path.suffix == ".tsv" or "\t" in (lines[0] if lines else ""):
        cells = [Line(place, line.split("\t")) for place, line in _numbered(path, lines)]
        found = _with_header(cells, columns)
    else:
        found = [Line(place, _label_first(line, place)) for place, line in _numbered(path, lines)]
    if not found:
        raise UserError(f"{path}: holds no rows; put the data set's own file there")
    return found


def _text(path: Path) -> str:
    text = _decoded(path)
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise UserError(f"{path}: line {line}: holds the character NUL, so it is no text; convert it")
    return text


def _decoded(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        if path.suffix in LABELLED_TEXT:  # the classical collections are older than UTF-8
            return path.read_bytes().decode("latin-1")
        raise UserError(f"{path}: is not UTF-8; convert it") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); put a file there that can") from None


def _numbered(path: Path, lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    return ((f"{path}: line {i}", line) for i, line in enumerate(lines, start=1) if line.strip())


def _csv(path: Path) -> list[Line]:
    csv.field_size_limit(2**31 - 1)  # its own is short of a long document
    reader = csv.reader(io.StringIO(_text(path), newline=""), strict=True)
    try:
        return [Line(f"{path}: line {reader.line_num}", cells) for cells in reader if cells]
    except csv.Error as error:
        raise UserError(
            f"{path}: line {reader.line_num}: malformed CSV: {error}; quote fields that hold commas"
        ) from None


def _with_header(lines: list[Line], columns: set[str]) -> list[Line]:
    if not lines:
        return []
    first = lines[0].values
    header = [str(cell).strip().lower() for cell in first]
    plain = header if columns & set(header) else None
    for name in header if plain else ():
        if name in columns and header.count(name) > 1:
            raise UserError(f"{lines[0].place}: column {name!r} is there twice; rename one")
    for line in lines[1:]:
        if len(line.values) != len(first):
            raise UserError(
                f"{line.place}: has {len(line.values)} columns where the first line has {len(first)}; "
                "mend the line"
            )
    if plain is None:
        return lines
    return [Line(line.place, dict(zip(plain, line.values, strict=True))) for line in lines[1:]]


def _label_first(line: str, place: str) -> list[str]:
    label, _, text = line.strip().partition(" ")
    if not text:
        raise UserError(f"{place}: has no text after its label; write '0 some text'")
    return [label.partition(":")[0], text]


def _object(line: str, place: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{place}: malformed JSON: {error}; write one object a line") from None
    if not isinstance(value, dict):
        raise UserError(f"{place}: is not an object with named values; write one object a line")
    return _flat(value)


def _flat(value: Mapping[str, Any]) -> dict[str, Any]:
    """Values by name in small letters; those of an object inside by ``outer.inner`` too."""
    found = {key.lower(): each for key, each in value.items()}
    for key, each in list(found.items()):
        if isinstance(each, Mapping):
            found.update({f"{key}.{inner.lower()}": deep for inner, deep in each.items()})
    return found


def _json(path: Path) -> list[Line]:
    """A list of objects, or the articles, paragraphs and questions of SQuAD."""
    try:
        value = json.loads(_text(path))
        if isinstance(value, dict):
            value = [
                {
                    "title": article.get("title", ""),
                    "context": paragraph["context"],
                    "question": each["question"],
                    "answers": [answer["text"] for answer in each["answers"]],
                }
                for article in value["data"]
                for paragraph in article["paragraphs"]
                for each in paragraph["qas"]
            ]
        return [Line(f"{path}: row {i}", _flat(each)) for i, each in enumerate(value, start=1)]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(
            f"{path}: is neither a list of objects nor in the layout of SQuAD ({error!r}); use .jsonl instead"
        ) from None

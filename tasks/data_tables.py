"""A file of columns, CSV, TSV or JSONL, with the line on which each row stands."""

from __future__ import annotations

import csv
import difflib
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from harness.core import UserError

SUFFIXES = (".csv", ".tsv", ".jsonl")
SEPARATORS = {".csv": ",", ".tsv": "\t"}
_LONGEST = 2**31 - 1  # of a field, in characters; the library's own limit is short of a long document


@dataclass(frozen=True)
class Table:
    """What a file holds.

    Args:
        columns: names, in the file's order.
        rows: for each the number of its line, counted from 1, and its values by column.
        suffix: of the file.
    """

    columns: tuple[str, ...]
    rows: list[tuple[int, dict[str, Any]]]
    suffix: str = ".csv"

    def hint(self, column: str) -> str:
        """What there is in place of a column that is missing.

        >>> Table(("text;label",), []).hint("text")
        "is it parted by ';'? a .csv file has ','; convert it"
        >>> Table(("text", "lable"), []).hint("label")
        "did you mean 'lable'?"
        """
        own = SEPARATORS.get(self.suffix)
        other = next((each for each in ",;\t|" if own and each != own and each in self.columns[0]), None)
        if len(self.columns) == 1 and other:
            return f"is it parted by {other!r}? a {self.suffix} file has {own!r}; convert it"
        near = difflib.get_close_matches(column, self.columns, 1)
        return (
            f"did you mean {quoted(near[0])}?"
            if near
            else f"it has {', '.join(map(quoted, self.columns[:20]))}"
        )


def quoted(value: Any) -> str:
    """A value as it stands in a message: its repr, cut where it is long.

    >>> quoted("a"), len(quoted("a" * 1000))
    ("'a'", 82)
    """
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return repr(text if len(text) <= 80 else text[:79] + "…")


def read_table(path: Path, place: str, columns: list[str] | None = None) -> Table:
    """The rows of a file.

    Args:
        path: ends in one of ``SUFFIXES``.
        place: begins what is said of the file.
        columns: their names, for a file without a header line.

    CSV follows RFC 4180 (quoted fields), TSV has no quoting, JSONL holds an object a line; UTF-8.

    Raises:
        UserError: naming the line and the remedy.
    """
    if path.suffix not in SUFFIXES:
        known = ", ".join(SUFFIXES)
        raise UserError(f"{place}: files end in {known}; convert it, or rename it to what it is")
    text = _content(path, place)
    if path.suffix == ".jsonl":
        rows = list(_objects(text, place))
        names = tuple(rows[0][1]) if rows else ()
    else:
        lines = _separated(text, place, SEPARATORS[path.suffix])
        names, rows = _named(lines, place, columns)
    if not rows:
        raise UserError(f"{place}: holds no rows; write some into it, or name another file")
    return Table(names, rows, path.suffix)


def _content(path: Path, place: str) -> str:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"{place}: no such file; name another") from None
    except OSError as error:
        raise UserError(f"{place}: cannot be read ({error.strerror}); name a file that can") from None
    except UnicodeDecodeError:
        raise UserError(f"{place}: is not UTF-8; convert it") from None
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise UserError(f"{place}: line {line}: holds the character NUL, so it is no text; convert it")
    return text


def _separated(text: str, place: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Fields by the number of the line that they begin on; empty lines are left out."""
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if separator == "," else csv.QUOTE_NONE
    csv.field_size_limit(_LONGEST)
    lines = io.StringIO(text, newline="")
    reader = csv.reader(lines, delimiter=separator, quoting=quoting, strict=True)
    begin = 1
    try:
        for fields in reader:
            if any(field.strip() for field in fields) or len(fields) > 1:
                yield begin, fields
            begin = reader.line_num + 1
    except csv.Error as error:
        raise UserError(
            f"{place}: line {begin}: malformed: {error}; put fields that hold quotes or commas in quotes, "
            "and double the quotes inside"
        ) from None


def _named(
    lines: Iterator[tuple[int, list[str]]], place: str, columns: list[str] | None
) -> tuple[tuple[str, ...], list[tuple[int, dict[str, Any]]]]:
    first = next(lines, None) if columns is None else (0, columns)
    if first is None:
        return (), []
    names = tuple(first[1])
    where = f"{place}: line {first[0]}" if columns is None else f"{place}: columns"
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"{where}: {quoted(name)} is there twice; rename one")
    rows = []
    for number, fields in lines:
        if len(fields) != len(names):
            header = "columns name" if columns else "the header has"
            raise UserError(
                f"{place}: line {number}: has {len(fields)} fields where {header} {len(names)}; "
                "mend the line, or quote a field that holds the separator"
            )
        rows.append((number, dict(zip(names, fields, strict=True))))
    return names, rows


def _objects(text: str, place: str) -> Iterator[tuple[int, dict[str, Any]]]:
    first: dict[str, Any] | None = None
    for number, line in enumerate(
        text.replace("\r\n", "\n").split("\n"), start=1
    ):  # texts hold rare line breaks
        if not line.strip():
            continue
        where = f"{place}: line {number}"
        try:
            values = json.loads(line, object_pairs_hook=_distinct, parse_constant=_refused)
        except (ValueError, RecursionError) as error:
            said = str(error).split(";")[0]
            raise UserError(f"{where}: malformed JSON: {said}; write one object a line") from None
        if not isinstance(values, dict):
            raise UserError(f"{where}: is no object with named values; write one object a line")
        first = values if first is None else first
        if values.keys() != first.keys():
            odd = sorted(values.keys() ^ first.keys())[0]
            raise UserError(
                f"{where}: it and the first row do not both have {quoted(odd)}; add it, or remove it"
            )
        yield number, values


def _distinct(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in pairs:
        if key in values:
            raise ValueError(f"{quoted(key)} is there twice")
        values[key] = value
    return values


def _refused(constant: str) -> None:
    raise ValueError(f"{constant} is no value")

"""A user's own data set, from CSV, TSV or JSONL files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from harness.core import UserError
from tasks.data_tables import quoted, read_table
from tasks.datasets import Row, TextData


def files(
    *,
    train: str,
    test: str,
    dev: str | None = None,
    text: str | list[str] = "text",
    label: str = "label",
    template: str = "{text} It was",
    words: dict[str, str],
    columns: list[str] | None = None,
    max_tokens: Annotated[int, Field(ge=4)] | None = None,
    alternatives: list[str] | None = None,
    name: str = "data",
) -> TextData:
    """A data set from local files.

    Args:
        train: file to tune (and, without a dev file, to choose) on.
        test: file to report on.
        dev: file to choose on.
        text: the text column, or a list of them; a template names its places after them. A template's
            ``{text}`` stands for the only text column, whatever its name.
        label: the label column.
        template: text with ``{column}`` places; the answer follows it.
        words: ``{label as written in the file: word that answers}``, in class order.
        columns: names of the columns, for files without a header line.
        max_tokens: longest sequence, template included; longer texts are cut.
        alternatives: other templates that the same words answer, for the objective ``agreement``.
        name: for messages.

    CSV follows RFC 4180 (quoted fields), TSV has no quoting, JSONL holds an object a line; UTF-8.

    Raises:
        UserError: naming file, row or column, and the remedy.
    """
    paths = {"train": train, "dev": dev, "test": test}
    wanted = [text] if isinstance(text, str) else list(text)
    if not wanted:
        raise UserError(f"{name}: text: names no column; name the one that holds the text")
    splits = {}
    for split, path in paths.items():
        if path is not None:
            place = f"{name}.{split}: {path}"
            splits[split] = _rows(Path(path), place, columns, wanted, label, words)
    others = tuple(alternatives or ())
    return TextData(name, splits, template, tuple(words.values()), max_tokens, alternatives=others)


def _rows(
    path: Path, place: str, columns: list[str] | None, wanted: list[str], label: str, words: Mapping[str, str]
) -> list[Row]:
    """The rows of a file; ``place`` begins what is said of it."""
    if not words:
        raise UserError(f"{place}: words: there are none; write a word for each label")
    table = read_table(path, place, columns)
    for column in [*wanted, label]:
        if column not in table.columns:
            raise UserError(f"{place}: no column {quoted(column)}; {table.hint(column)}")
    index = {written: number for number, written in enumerate(words)}
    rows = []
    for number, values in table.rows:
        line = f"{place}: line {number}"
        texts = {
            column: _text(values[column], f"{line}: column {quoted(column)}").strip() for column in wanted
        }
        written = _text(values[label], f"{line}: column {quoted(label)}")
        if written not in index:
            header = " (a header line? then leave out columns)" if columns and written == label else ""
            raise UserError(
                f"{line}: label {quoted(written)} has no word{header}; add it to words, which has "
                f"{', '.join(index)}"
            )
        if len(wanted) == 1:
            texts.setdefault("text", texts[wanted[0]])
        rows.append(Row(texts, index[written]))
    return rows


def _text(value: Any, place: str) -> str:
    if isinstance(value, list | dict):
        raise UserError(f"{place}: holds {quoted(value)}, which is no text; name another column")
    text = "" if value is None else str(value)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UserError(f"{place}: holds half a character ({quoted(text)}); mend the text") from None
    return text

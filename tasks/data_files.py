"""A user's own data set, from CSV, TSV or JSONL files."""

from __future__ import annotations

import csv
import difflib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import pandas as pd
from pydantic import Field

from harness.core import UserError
from tasks.datasets import Row, TextData

READERS = {".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl"}


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
    splits = {}
    for split, path in paths.items():
        if path is not None:
            table = _read(Path(path), f"{name}.{split}", columns)
            splits[split] = _rows(table, f"{name}.{split}: {path}", wanted, label, words)
    others = tuple(alternatives or ())
    return TextData(name, splits, template, tuple(words.values()), max_tokens, alternatives=others)


def _read(path: Path, place: str, columns: list[str] | None) -> pd.DataFrame:
    if path.suffix not in READERS:
        known = ", ".join(READERS)
        raise UserError(f"{place}: {path}: files end in {known}; convert it, or rename it to what it is")
    try:
        if path.suffix == ".jsonl":
            return _read_lines(path, place)
        tab = path.suffix == ".tsv"
        return pd.read_csv(
            path,
            sep="\t" if tab else ",",
            quoting=csv.QUOTE_NONE if tab else csv.QUOTE_MINIMAL,
            header=None if columns else "infer",
            names=columns,
            dtype=str,
            keep_default_na=False,
            encoding="utf-8-sig",
        )
    except FileNotFoundError:
        raise UserError(f"{place}: {path}: no such file") from None
    except OSError as error:
        raise UserError(f"{place}: {path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"{place}: {path}: is not UTF-8; convert it") from None
    except ValueError as error:  # pandas' parser errors are ValueErrors
        reason = " ".join(str(error).split())
        raise UserError(f"{place}: {path}: malformed {path.suffix[1:]}: {reason}") from None


def _read_lines(path: Path, place: str) -> pd.DataFrame:
    rows = []
    with path.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            row = json.loads(line)
            if not isinstance(row, dict):
                raise UserError(f"{place}: {path}: line {number} is not an object with named values")
            rows.append({key: "" if value is None else str(value) for key, value in row.items()})
            if rows[-1].keys() != rows[0].keys():
                odd = sorted(rows[-1].keys() ^ rows[0].keys())[0]
                raise UserError(f"{place}: {path}: line {number} and line 1 do not both have {odd!r}")
    return pd.DataFrame(rows)


def _rows(
    table: pd.DataFrame, place: str, wanted: list[str], label: str, words: Mapping[str, str]
) -> list[Row]:
    for column in [*wanted, label]:
        if column not in table.columns:
            near = difflib.get_close_matches(column, map(str, table.columns), 1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(map(str, table.columns))}"
            raise UserError(f"{place}: no column {column!r}; {hint}")
    index = {written: number for number, written in enumerate(words)}
    unknown = table[~table[label].isin(list(index))]
    if len(unknown):
        written, line = unknown[label].iloc[0], int(unknown.index[0]) + 1
        raise UserError(
            f"{place}: row {line}: label {written!r} has no word; "
            f"add it to words, which has {', '.join(index)}"
        )
    labels = [index[written] for written in table[label]]
    texts = {column: table[column].str.strip().tolist() for column in wanted}
    if len(wanted) == 1:
        texts.setdefault("text", texts[wanted[0]])
    return [
        Row({column: values[i] for column, values in texts.items()}, labels[i]) for i in range(len(labels))
    ]

"""Ways in which a stored file can be damaged, each a function of its bytes and of a like file's bytes."""

from __future__ import annotations

import io
import json
import math
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

Damage = Callable[[bytes, bytes], bytes | None]
"""From a file's bytes, and those of another file of its kind, to what is there instead; None for no file."""

FOREIGN = {
    "foreign: an empty object": b"{}\n",
    "foreign: a list": b"[1, 2]\n",
    "foreign: null": b"null\n",
    "foreign: text": b"to be or not to be\n",
    "foreign: no text": bytes(range(128, 256)),
    "foreign: an object": b'{"status": "finished", "fragments": 1, "sessions": "abc", "cells": [3]}\n',
}

BASIC: dict[str, Damage] = {
    "cut in half": lambda mine, other: mine[: len(mine) // 2],
    "last bytes cut off": lambda mine, other: mine[:-3],
    "emptied": lambda mine, other: b"",
    "zeros": lambda mine, other: bytes(len(mine)),
    "a page of zeros": lambda mine, other: mine[: len(mine) // 2] + bytes(len(mine) - len(mine) // 2),
    "deleted": lambda mine, other: None,
    "of another cell": lambda mine, other: other,
    "written twice": lambda mine, other: mine + mine,
    **{name: (lambda mine, other, content=content: content) for name, content in FOREIGN.items()},
}


def flips(content: bytes, count: int, seed: int) -> Iterator[tuple[str, Damage]]:
    """One bit another: in the first and last bytes, and at places drawn between them."""
    draw = random.Random(seed)
    length = len(content)
    places = [0, 4, length // 2, length - 9, length - 6, length - 2]
    places += [draw.randrange(length) for _ in range(count)]
    for place in places:
        bit = 1 << draw.randrange(8)
        if 0 <= place < length:
            yield f"bit {bit} of byte {place}", lambda mine, other, p=place, b=bit: _flipped(mine, p, b)


def _flipped(content: bytes, place: int, bit: int) -> bytes:
    return content[:place] + bytes([content[place] ^ bit]) + content[place + 1 :]


def edits(name: str) -> dict[str, Damage]:
    """Changes that leave a valid file: made by hand, or with a program."""
    if name.endswith(".json"):
        return {"a number changed": lambda mine, other: _numbers_changed(mine)}
    if name.endswith(".csv"):
        return {"a digit changed": lambda mine, other: _digit_changed(mine)}
    if name.endswith(".parquet"):
        return {
            "a value changed, rewritten by pyarrow": lambda mine, other: _rewritten(mine, _value_changed),
            "a value changed, rewritten by pandas": lambda mine, other: _rewritten(mine, _by_pandas),
            "a row left out": lambda mine, other: _rewritten(mine, lambda table: table.slice(1)),
            "rows in another order": lambda mine, other: _rewritten(mine, _reversed),
        }
    return {}


def _numbers_changed(content: bytes) -> bytes:
    """Every measured value that is not whole, a little higher; where there is none, every whole number."""
    data = json.loads(content)
    changed = _changed(data, float)
    return (json.dumps(changed if changed != data else _changed(data, int), indent=1) + "\n").encode()


def _changed(data: Any, kind: type) -> Any:
    if isinstance(data, dict):
        # Not the version, by which results of other schemas are told apart.
        return {k: v if k == "schema_version" else _changed(v, kind) for k, v in data.items()}
    if isinstance(data, list):
        return [_changed(each, kind) for each in data]
    good = type(data) is kind and math.isfinite(data)
    return data + (0.125 if kind is float else 1) if good else data


def _digit_changed(content: bytes) -> bytes:
    place = max(content.rfind(digit) for digit in b"12345678")
    return content[:place] + b"9" + content[place + 1 :]


def _rewritten(content: bytes, change: Callable[[pa.Table], pa.Table]) -> bytes:
    table = pq.read_table(pa.BufferReader(content))
    sink = pa.BufferOutputStream()
    pq.write_table(change(table), sink, write_page_checksum=True)
    return bytes(sink.getvalue().to_pybytes())


def _value_changed(table: pa.Table) -> pa.Table:
    names = [name for name in ("test_metric", "dev_metric", "loss", "value") if name in table.column_names]
    at = table.column_names.index(names[0])
    values = table.column(at).to_pylist()
    known = [place for place, value in enumerate(values) if value is not None and math.isfinite(value)]
    if known:
        values[known[0]] += 0.125
    return table.set_column(at, table.schema.field(at), pa.array(values, table.schema.field(at).type))


def _by_pandas(table: pa.Table) -> pa.Table:
    sink = io.BytesIO()
    _value_changed(table).to_pandas(integer_object_nulls=True).to_parquet(sink)
    found = pq.read_table(io.BytesIO(sink.getvalue()))
    return found.cast(pa.schema([f.remove_metadata() for f in table.schema], metadata=found.schema.metadata))


def _reversed(table: pa.Table) -> pa.Table:
    return table.take(list(range(table.num_rows))[::-1])


def kind_of(file: Path) -> str:
    """The name of a file, without what tells it from others of its kind."""
    return "fragment" if file.parts[0] == "cells" and file.suffix == ".parquet" else file.name


def chosen(source: Path) -> list[tuple[Path, Path]]:
    """Files of every kind, from a cell in the middle, each with another of its kind."""
    found = sorted(path.relative_to(source) for path in source.rglob("*") if path.is_file())
    top = [
        path
        for path in found
        if len(path.parts) == 1 and path.suffix in (".json", ".parquet", ".csv", ".yaml")
    ]
    cells = sorted({path.parts[1] for path in found if path.parts[0] == "cells"})
    pairs = [(path, _like(path, top)) for path in top]
    cell, other = cells[len(cells) // 2], cells[len(cells) // 2 - 1]
    for path in found:
        if path.parts[:2] == ("cells", cell) and path.stem.rpartition("-")[2] in ("00000", "status"):
            twin = Path("cells", other, *path.parts[2:])
            pairs.append((path, twin if twin in found else path))
    return pairs


def _like(path: Path, others: Sequence[Path]) -> Path:
    alike = [other for other in others if other.suffix == path.suffix and other != path]
    return alike[0] if alike else path

"""Whether what is read is what was stored: checksums that notice accidents and edits by hand, not a forger.

What was stored before there were checksums has none, and is taken as it is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

SEAL = "checksum"
_METADATA = b"gradfree_checksums"


def sealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON object with a checksum of all else that it says, in place of one that it may have.

    >>> sealed({"a": 1})["checksum"][:12]
    'f9d86028c6e0'
    """
    return {**content, SEAL: _digest(content)}


def check_seal(content: Mapping[str, Any]) -> None:
    """Raise ValueError for a JSON object that was altered since it was ``sealed``.

    >>> check_seal(sealed({"a": 1}))
    >>> check_seal({**sealed({"a": 1}), "a": 2})
    Traceback (most recent call last):
        ...
    ValueError: its checksum says that it was altered
    """
    if SEAL not in content:
        return
    if content[SEAL] != _digest(content):
        raise ValueError("its checksum says that it was altered")


def chained(before: str, content: bytes) -> str:
    """The checksum of a row of files, from that of all but the last; of none it is the empty text.

    >>> chained(chained("", b"one"), b"two") == chained(chained("", b"two"), b"one")
    False
    """
    return hashlib.sha256(before.encode() + hashlib.sha256(content).digest()).hexdigest()


def table_checksum(table: pa.Table) -> str:
    """A checksum of names, types and values, however the table is stored or cut into chunks.

    >>> import pyarrow as pa
    >>> whole = pa.table({"id": ["a", None, "b"], "loss": [0.5, float("nan"), None]})
    >>> cut = pa.concat_tables([whole.slice(0, 1), whole.slice(1)])
    >>> table_checksum(whole) == table_checksum(cut) != table_checksum(whole.slice(1))
    True
    """
    import pyarrow as pa

    digest = hashlib.sha256()
    for field, column in zip(table.schema, table.columns, strict=True):
        array = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], field.type)
        digest.update(f"{field.name} {field.type} {len(array)}\n".encode())
        digest.update(array.is_null().to_numpy(zero_copy_only=False).tobytes())
        if pa.types.is_string(field.type):
            encoded = array.fill_null("").dictionary_encode()
            digest.update(json.dumps(encoded.dictionary.to_pylist()).encode())
            array = encoded.indices
        else:
            array = array.fill_null(pa.scalar(0).cast(field.type))
        digest.update(array.to_numpy(zero_copy_only=False).tobytes())
    return digest.hexdigest()


def with_checksums(tables: Mapping[str, pa.Table]) -> dict[str, pa.Table]:
    """Derived tables, of which ``runs`` brings the checksums of all as metadata."""
    runs = tables["runs"]
    sums = {name: table_checksum(table) for name, table in tables.items()}
    metadata = {**(runs.schema.metadata or {}), _METADATA: json.dumps(sums, sort_keys=True).encode()}
    return {**tables, "runs": runs.replace_schema_metadata(metadata)}


def check_tables(tables: Mapping[str, pa.Table]) -> None:
    """Raise ValueError for derived tables that were altered, or are not from one sweep and moment."""
    metadata = tables["runs"].schema.metadata or {}
    if b"gradfree_schema" not in metadata:
        raise ValueError("runs.parquet: was written by another program than gradfree")
    if _METADATA not in metadata:
        return
    sums = json.loads(metadata[_METADATA])
    for name, table in tables.items():
        if not isinstance(sums, dict) or sums.get(name) != table_checksum(table):
            raise ValueError(f"{name}.parquet: its checksum says that it was altered, or belongs elsewhere")


def _digest(content: Mapping[str, Any]) -> str:
    said = {name: value for name, value in content.items() if name != SEAL}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()

"""Code that leaves a mark when it runs, in the forms in which strangers may send it."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from harness import Sweep

SMALL = Sweep.from_flags(tasks="sphere[dimension=2]", algorithms="random", budget=8, repetitions=1)
"""The sweep of the stranger's folder."""


def altered(theirs: Path, table: str, change: Callable[[pa.Table], pa.Table]) -> None:
    """Write a table of a folder of results anew, without the checksums that tell of it, as a forger would."""
    data = pq.read_table(runs := theirs / "runs.parquet")
    kept = {key: value for key, value in data.schema.metadata.items() if key == b"gradfree_schema"}
    pq.write_table(data.replace_schema_metadata(kept), runs)
    pq.write_table(change(pq.read_table(file := theirs / f"{table}.parquet")), file)


def filled(data: pa.Table, column: str, text: str) -> pa.Table:
    """The table with the same text in all rows of a column."""
    place = data.schema.get_field_index(column)
    return data.set_column(place, data.schema.field(place), pa.array([text] * len(data), pa.string()))


Edit = Callable[[Path, Callable[[dict[str, Any]], None]], None]
"""Changes a JSON file."""


class _Touch:
    """Unpickled, it leaves a mark."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.mark,)


class Trap:
    """Code that leaves a mark when it runs, in the forms in which code travels.

    Args:
        mark: the file that is there once it has run.
    """

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    @property
    def sprung(self) -> bool:
        """Whether any of it has run."""
        return self.mark.exists()

    @property
    def python(self) -> str:
        """As a module."""
        return f"from pathlib import Path\nPath({str(self.mark)!r}).touch()\n"

    @property
    def pickled(self) -> bytes:
        """As a bare pickle."""
        return pickle.dumps(_Touch(self.mark))

    @property
    def checkpoint(self) -> bytes:
        """As torch.save writes it: a zip with a pickle inside."""
        held = io.BytesIO()
        with zipfile.ZipFile(held, "w") as archive:
            archive.writestr("archive/data.pkl", self.pickled)
            archive.writestr("archive/version", "3\n")
            archive.writestr("archive/byteorder", "little")
        return held.getvalue()

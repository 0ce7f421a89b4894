"""Tables from strangers: Arrow's own types and nothing else; no object is made of what they say."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from harness.core import UserError
from harness.running.results import load_results
from tests.security.strangers import Trap, altered, filled

PICKLED = "arrow.py_extension_type"
"""The name under which Arrow once stored types as pickles, and loaded them."""


def typed(column: str, data: pa.Table, metadata: dict[str, bytes]) -> pa.Table:
    """The table with a column whose field says that it is of an extension type."""
    place = data.schema.get_field_index(column)
    return data.cast(data.schema.set(place, data.schema.field(place).with_metadata(metadata)))


def test_a_pickled_type_of_a_column_is_not_loaded(theirs: Path, trap: Trap) -> None:
    said = {"ARROW:extension:name": PICKLED.encode(), "ARROW:extension:metadata": trap.pickled}
    altered(theirs, "runs", lambda data: typed("reason", data, said))
    assert len(load_results(theirs).runs) == 2
    assert not trap.sprung


def test_a_pickled_type_is_not_loaded_in_a_process_that_has_just_begun(theirs: Path, trap: Trap) -> None:
    said = {"ARROW:extension:name": PICKLED.encode(), "ARROW:extension:metadata": trap.pickled}
    altered(theirs, "losses", lambda data: typed("loss", data, said))
    done = subprocess.run(
        [sys.executable, "-m", "harness.cli", "status", theirs], capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert not trap.sprung


@pytest.mark.parametrize(
    "kind",
    [
        pa.binary(),
        pa.large_string(),
        pa.list_(pa.string()),
        pa.struct([("a", pa.string())]),
        pa.dictionary(pa.int32(), pa.string()),
        pa.timestamp("ns"),
        pa.decimal128(10, 2),
        pa.json_(),
        pa.uuid(),
        pa.null(),
    ],
    ids=str,
)
def test_a_column_of_another_type_is_refused(kind: pa.DataType, theirs: Path) -> None:
    def change(data: pa.Table) -> pa.Table:
        values = pa.array([None] * len(data), kind)
        return data.set_column(data.schema.get_field_index("reason"), "reason", values)

    altered(theirs, "runs", change)
    with pytest.raises(UserError, match=r"runs: reason is .*, not string"):
        load_results(theirs)


@pytest.mark.parametrize(
    "said",
    [
        b'{"index_columns": ["id"], "columns": [], "column_indexes": []}',
        b'{"index_columns": [], "columns": [{"name": "task", "field_name": "task", "pandas_type": "object",'
        b' "numpy_type": "object", "metadata": null}], "column_indexes": [{"name": null, "field_name": null,'
        b' "pandas_type": "unicode", "numpy_type": "object", "metadata": {"encoding": "UTF-8"}}]}',
        b'{"index_columns": [{"kind": "range", "name": null, "start": 0, "stop": 1000000000000, "step": 1}],'
        b' "columns": [], "column_indexes": []}',
        b"not JSON",
    ],
)
def test_what_pandas_is_told_of_a_table_is_not_heeded(said: bytes, theirs: Path) -> None:
    altered(
        theirs, "runs", lambda data: data.replace_schema_metadata({**data.schema.metadata, "pandas": said})
    )
    ids = json.loads((theirs / "plan.json").read_text())["cells"]
    assert load_results(theirs).runs["id"].tolist() == [cell["id"] for cell in ids]


@pytest.mark.parametrize("settings", ["[1]", "{", "7", "null"])
def test_settings_that_are_no_names_and_values_are_refused(settings: str, theirs: Path) -> None:
    altered(theirs, "runs", lambda data: filled(data, "settings", settings))
    with pytest.raises(UserError, match=r"settings is .*, no JSON of names and values"):
        load_results(theirs)


def test_a_table_that_is_a_pickle_is_refused(theirs: Path, trap: Trap) -> None:
    for content in (trap.pickled, trap.checkpoint, b"PAR1" + trap.pickled + b"PAR1"):
        (theirs / "runs.parquet").write_bytes(content)
        with pytest.raises(UserError, match=r"runs\.parquet"):
            load_results(theirs)
    assert not trap.sprung


def test_a_text_of_a_million_letters_is_shown_as_one_line(
    theirs: Path, answers: Callable[..., tuple[int, str, str]]
) -> None:
    altered(theirs, "runs", lambda data: filled(data, "provider", "x" * 1_000_000))
    for verb in ("status", "leaderboard", "report"):
        assert answers(verb, theirs)[0] == 0

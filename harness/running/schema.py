"""The stored tables: names, types, units and the meaning of every column.

Columns marked as measured (seconds, memory, energy, environment) differ between two runs of one sweep; all
others are the same, byte for byte, on one type of machine and one version of the libraries.

>>> [column.name for column in TABLES["metrics"]]
['id', 'evaluations', 'split', 'metric', 'value']
>>> "seconds_ask" in measured("runs"), "test_metric" in measured("runs")
(True, False)
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

SCHEMA_VERSION = 3

Dtype = Literal["string", "int64", "float64", "bool"]


@dataclass(frozen=True)
class Column:
    """A column of a stored table.

    Args:
        name: unique in its table.
        dtype: any value may also be missing.
        unit: of the numbers; empty for names, counts without a unit and hashes.
        meaning: one sentence.
        measured: differs between two runs of the same sweep.
    """

    name: str
    dtype: Dtype
    unit: str
    meaning: str
    measured: bool = False


_ID = Column("id", "string", "", "The cell: a hash of its task, algorithm, repetition, budget and protocol.")

RUNS = (
    _ID,
    Column("schema_version", "int64", "", "Version of these tables."),
    Column("task", "string", "", "The task, in canonical form."),
    Column("task_signature", "string", "", "Hash of data, model, templates and schema."),
    Column("dataset", "string", "", "The data set; missing for a task that is not a text task."),
    Column("model", "string", "", "The model; missing for a task that is not a text task."),
    Column("tuning", "string", "", "How a candidate changes the model; missing as above."),
    Column("dimension", "int64", "coordinates", "Size d of the search space."),
    Column("algorithm", "string", "", "The algorithm with its options, in canonical form."),
    Column(
        "kind", "string", "", "default: as listed; trial: of other options; tuned: with the best trial's."
    ),
    Column(
        "trial", "int64", "", "Number of the trial, or of the one that a tuned cell follows; 0 as listed."
    ),
    Column(
        "effort", "int64", "evaluations", "Spent on the trials by which a tuned cell's options were chosen."
    ),
    Column("smoke", "bool", "", "Of a smoke run: tiny models, few rows; its figures mean nothing."),
    Column("options", "string", "", "The options that hold, given or tuned, as JSON."),
    Column("settings", "string", "", "All options with their defaults, as JSON; missing until it runs."),
    Column("inside", "string", "", "What ran, where that leaves it open: a wizard's choice, stages."),
    Column("reference", "bool", "", "A marked reference (first-order or not tuned), not a contestant."),
    Column("provider", "string", "", "Distributions and versions: its own, and those that search for it."),
    Column("repetition", "int64", "", "Counted from 0; the data split of a repetition is everyone's."),
    Column("data_seed", "int64", "", "Seed of the data splits."),
    Column("algorithm_seed", "int64", "", "Seed of the algorithm, separate from that of the data."),
    Column("status", "string", "", "finished, failed, timeout, skipped; running or pending if unfinished."),
    Column("reason", "string", "", "Why it failed, timed out or was skipped."),
    Column("budget", "int64", "evaluations", "Candidate evaluations that it may spend."),
    Column("evaluations", "int64", "evaluations", "Candidate evaluations that it spent."),
    Column("generations", "int64", "generations", "Populations that were evaluated."),
    Column("failed_evaluations", "int64", "evaluations", "Losses that were nan."),
    Column("reported_at", "int64", "evaluations", "Evaluations spent when the reported candidate was taken."),
    Column("metric", "string", "", "The metric by which algorithms are compared on this task."),
    Column("metric_direction", "string", "", "max or min: which values of the metric are better."),
    Column("train_metric", "float64", "metric", "The metric of the reported candidate on the train split."),
    Column("dev_metric", "float64", "metric", "The same on dev, on which the candidate was chosen."),
    Column("test_metric", "float64", "metric", "The same on test, looked at once; missing for trials."),
    Column("sequences", "int64", "sequences", "Sequences put through the model while tuning."),
    Column("tokens", "int64", "tokens", "Tokens put through the model while tuning, without padding."),
    Column("flops", "float64", "operations", "Floating-point operations while tuning."),
    Column("scored_candidates", "int64", "candidates", "Candidates scored on train, dev and test together."),
    Column("score_sequences", "int64", "sequences", "Put through the model for scoring; 0 if unknown."),
    Column("score_tokens", "int64", "tokens", "Put through the model for scoring; 0 if unknown."),
    Column("score_flops", "float64", "operations", "Floating-point operations for scoring; 0 if unknown."),
    Column("seconds_ask", "float64", "s", "Time in ask.", measured=True),
    Column("seconds_evaluate", "float64", "s", "Its share of the forwards, by tokens.", measured=True),
    Column("seconds_tell", "float64", "s", "Time in tell and best.", measured=True),
    Column("seconds_score", "float64", "s", "Its share of scoring, by candidates.", measured=True),
    Column("seconds_shared", "bool", "", "Some forward was shared with other cells.", measured=True),
    Column(
        "peak_memory",
        "int64",
        "bytes",
        "High water of the device's memory while the cell acted (on the CPU, of the process so far).",
        measured=True,
    ),
    Column(
        "energy",
        "float64",
        "J",
        "Used while the cell acted, by its device or the processors, others' work there included; its share"
        " of the forwards by tokens; missing where nothing reports it.",
        measured=True,
    ),
    Column("environment", "string", "", "Key of environment.json: machine and libraries.", measured=True),
)

CURVE = (
    _ID,
    Column("generation", "int64", "", "Counted from 0."),
    Column("evaluations", "int64", "evaluations", "Spent up to and with this generation."),
    Column("sequences", "int64", "sequences", "Put through the model so far, while tuning."),
    Column("tokens", "int64", "tokens", "Put through the model so far, while tuning, without padding."),
    Column("flops", "float64", "operations", "Floating-point operations so far, while tuning."),
    Column("loss_best", "float64", "loss", "Lowest loss of this generation; nan if all failed."),
    Column("loss_mean", "float64", "loss", "Mean of this generation's losses that are not nan."),
    Column("loss_lowest", "float64", "loss", "Lowest loss of all generations so far."),
    Column("dev_metric", "float64", "metric", "Dev metric of the candidate that would be reported now."),
    Column("seconds_ask", "float64", "s", "Time in ask so far.", measured=True),
    Column("seconds_evaluate", "float64", "s", "Its share of the forwards so far.", measured=True),
    Column("seconds_tell", "float64", "s", "Time in tell and best so far.", measured=True),
    Column("seconds_score", "float64", "s", "Its share of scoring so far.", measured=True),
)

METRICS = (
    _ID,
    Column("evaluations", "int64", "evaluations", "Spent when the scored candidate was taken."),
    Column("split", "string", "", "dev at the fixed points; train and test for the reported candidate."),
    Column("metric", "string", "", "Name of the metric."),
    Column("value", "float64", "metric", "Its value."),
)

LOSSES = (
    _ID,
    Column("generation", "int64", "", "Counted from 0."),
    Column("member", "int64", "", "Place in the asked population, counted from 0."),
    Column("loss", "float64", "loss", "What the algorithm was told; nan where the evaluation failed."),
)

TABLES: dict[str, tuple[Column, ...]] = {"runs": RUNS, "curve": CURVE, "metrics": METRICS, "losses": LOSSES}
"""Every stored table, in order of columns."""

FRAGMENTED = ("curve", "metrics", "losses")
"""The tables that a cell writes piece by piece while it runs."""


def measured(table: str) -> list[str]:
    """Names of the columns that differ between two runs of one sweep."""
    return [column.name for column in TABLES[table] if column.measured]


@cache
def arrow_schema(table: str) -> pa.Schema:
    """The table's Arrow schema, with unit and meaning of each column as its metadata."""
    import pyarrow as pa

    types = {"string": pa.string(), "int64": pa.int64(), "float64": pa.float64(), "bool": pa.bool_()}
    return pa.schema(
        [
            pa.field(
                column.name,
                types[column.dtype],
                metadata={"unit": column.unit, "meaning": column.meaning, "measured": str(column.measured)},
            )
            for column in TABLES[table]
        ],
        metadata={"gradfree_schema": str(SCHEMA_VERSION)},
    )


def make_table(table: str, rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """An Arrow table of rows; a key that is left out is missing, an unknown one raises KeyError.

    >>> make_table("losses", [{"id": "a", "generation": 0, "member": 0, "loss": 0.5}]).num_rows
    1
    """
    import pyarrow as pa

    rows, schema = list(rows), arrow_schema(table)
    known = set(schema.names)
    for row in rows:
        if not row.keys() <= known:
            raise KeyError(f"{table} has no column {sorted(row.keys() - known)}")
    return pa.Table.from_pylist(rows, schema=schema)


def check_row(table: str, row: Mapping[str, Any]) -> None:
    """Raise ValueError, in one line, for a column that is unknown or a value that it cannot hold.

    >>> check_row("losses", {"id": "a", "loss": 1})
    >>> check_row("losses", {"id": 7})
    Traceback (most recent call last):
        ...
    ValueError: losses: id is 7, no string
    """
    known = {column.name: column.dtype for column in TABLES[table]}
    for name, value in row.items():
        if name not in known:
            raise ValueError(f"{table} has no column {name!r}")
        fits = isinstance(value, _TYPES[known[name]])
        if known[name] != "bool" and isinstance(value, bool):
            fits = False
        if known[name] == "int64" and fits:
            fits = abs(value) < 2**63
        if value is not None and not fits:
            raise ValueError(f"{table}: {name} is {str(value)[:40]}, no {known[name]}")
        if value is not None and name in JSON_COLUMNS and mapping_of(value) is None:
            raise ValueError(f"{table}: {name} is {value[:40]}, no JSON of names and values")


def mapping_of(text: str) -> dict[str, Any] | None:
    """The names and values of a column of ``JSON_COLUMNS``; None for a text that is something else.

    >>> mapping_of('{"sigma": 0.1}'), mapping_of("[1]"), mapping_of("{")
    ({'sigma': 0.1}, None, None)
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


JSON_COLUMNS = ("options", "settings")
"""Columns of ``runs`` that hold names and values as JSON."""

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "int64": (int,),
    "float64": (int, float),
    "bool": (bool,),
}


def validate(table: str, data: pa.Table) -> None:
    """Raise ValueError, in one line, unless the columns are those of the schema."""
    expected, found = arrow_schema(table), data.schema
    if found.names != expected.names:
        missing = [name for name in expected.names if name not in found.names]
        extra = [name for name in found.names if name not in expected.names]
        raise ValueError(f"{table}: columns do not fit schema {SCHEMA_VERSION}: {missing=}, {extra=}")
    for name in expected.names:
        if found.field(name).type != expected.field(name).type:
            raise ValueError(f"{table}: {name} is {found.field(name).type}, not {expected.field(name).type}")
    for name in JSON_COLUMNS if table == "runs" else ():
        for text in data.column(name).unique().to_pylist():
            if text is not None and mapping_of(text) is None:
                raise ValueError(f"{table}: {name} is {text[:40]}, no JSON of names and values")


def to_frame(data: pa.Table) -> pd.DataFrame:
    """A pandas frame; integers and truth values are of pandas' types that can be missing.

    >>> to_frame(make_table("losses", [])).dtypes["member"]
    Int64Dtype()
    """
    import pandas as pd
    import pyarrow as pa

    types = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}
    # Without the metadata that pandas may have written: a stranger's could make an index of a column.
    frame: pd.DataFrame = data.replace_schema_metadata(None).to_pandas(types_mapper=types.get)
    return frame

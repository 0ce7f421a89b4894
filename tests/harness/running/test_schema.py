"""The tables are what their schema says."""

from __future__ import annotations

import math

import pytest

from harness.running.schema import TABLES, arrow_schema, make_table, measured, to_frame, validate


@pytest.mark.parametrize("table", TABLES)
def test_every_column_says_what_it_means_and_no_name_is_used_twice(table):
    names = [column.name for column in TABLES[table]]
    assert len(set(names)) == len(names)
    assert all(column.meaning.endswith((".", ")")) for column in TABLES[table])
    assert arrow_schema(table).field(names[-1]).metadata[b"meaning"]


def test_seconds_memory_energy_and_environment_are_measured_and_nothing_else_is():
    marked = {name for table in TABLES for name in measured(table)}
    assert {name.split("_")[0] for name in marked} == {"seconds", "peak", "energy", "environment"}


def test_an_unknown_column_is_refused_by_name():
    with pytest.raises(KeyError, match="los"):
        make_table("losses", [{"id": "a", "los": 1.0}])


def test_nan_and_missing_integers_survive():
    frame = to_frame(make_table("runs", [{"id": "a", "dev_metric": math.nan, "reported_at": None}]))
    assert math.isnan(frame["dev_metric"][0])
    assert frame["reported_at"].isna()[0]
    assert str(frame["reported_at"].dtype) == "Int64"


def test_a_table_with_other_columns_is_told_from_a_valid_one():
    table = make_table("losses", [])
    validate("losses", table)
    with pytest.raises(ValueError, match="member"):
        validate("losses", table.drop_columns(["member"]))

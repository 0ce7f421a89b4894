"""Running cells by themselves, and the bytes of what they leave."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from harness.core import Protocol
from harness.running.plan import Cell
from harness.running.results import collect
from harness.running.runner import Workshop, run_cells
from harness.running.schema import measured
from harness.running.store import Store
from harness.running.sweep_file import Sweep


def words(tasks: str, algorithms: str, budget: int, repetitions: int = 1) -> Sweep:
    """A small sweep on the CPU."""
    protocol = {"per_class": 4, "minibatch": 4, "dev_points": 2, "test_rows": 8}
    flags = {"tasks": tasks, "algorithms": algorithms, "budget": budget, "repetitions": repetitions}
    return Sweep.from_flags(**flags, device="cpu", protocol=protocol)


def content(out: Path, cells: Sequence[Cell]) -> dict[str, bytes]:
    """The bytes of the tables of cells, measured columns and the checksums of these aside."""
    found = {}
    for name, table in collect(out, cells).items():
        sink = pa.BufferOutputStream()
        pq.write_table(table.drop_columns(measured(name)).replace_schema_metadata(None), sink)
        found[name] = sink.getvalue().to_pybytes()
    return found


def run(
    out: Path, cells: Sequence[Cell], workshop: Workshop, protocol: Protocol, **options
) -> dict[str, bytes]:
    """Run cells in this process; their ``content``."""
    with Store(out) as store:
        store.begin('{"cells": []}', "tasks: []\n")
        run_cells(cells, store, workshop, protocol, **options)
    return content(out, cells)

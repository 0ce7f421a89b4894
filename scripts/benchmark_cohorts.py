"""Cells advancing together beside the same cells one after another.

    python scripts/benchmark_cohorts.py results/throughput

24 cells of mezo and spsa, soft prompts and LoRA on the reference model, as one cohort and as 24 cohorts of
one, in turns; at 4 and at 32 rows per candidate. Loading is left out of both; storing and scoring are in
both. The losses of both have to be the same bits. Writes ``cohorts.csv``, ``cohorts.json``, ``cohorts.md``.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from harness.plugins.build import Builder, build_algorithm
from harness.running.clock import Breakdown
from harness.running.cohort import Cohort, Todo
from harness.running.observer import Observer
from harness.running.plan import Cell, builder_of, make_plan
from harness.running.results import collect, run_row
from harness.running.store import Store
from harness.running.sweep_file import Sweep

TASKS = "sentiment/reference/prompt,sentiment/reference/lora"
ALGORITHMS = "mezo,spsa"
REPETITIONS = 6


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--tasks", default=TASKS)
    parser.add_argument("--rows", nargs="+", type=int, default=[4, 32])
    parser.add_argument("--budget", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    rows = [measure(given, count) for count in given.rows]
    table = pd.DataFrame(rows)
    table.to_csv(given.out / "cohorts.csv", index=False, float_format="%.4g")
    (given.out / "cohorts.md").write_text(markdown(rows))
    about = {
        "torch": torch.__version__,
        "python": platform.python_version(),
        "threads": torch.get_num_threads(),
    }
    (given.out / "cohorts.json").write_text(json.dumps({"machine": about, "rows": rows}, indent=1) + "\n")
    print(markdown(rows))


def measure(given: argparse.Namespace, count: int) -> dict[str, Any]:
    """A row for candidates of so many rows."""
    words = Sweep.from_flags(
        tasks=given.tasks,
        algorithms=ALGORITHMS,
        repetitions=REPETITIONS,
        budget=given.budget,
        device=given.device,
        dtype=given.dtype,
    ).override(protocol={"minibatch": count, "per_class": 32, "dev_points": 1, "test_rows": 32})
    builder = builder_of(words)
    cells = [cell for cell in make_plan(words, builder).cells if str(cell.algorithm) in ALGORITHMS.split(",")]
    for _ in range(2):  # until the tasks have found their chunk sizes
        run([cells], builder)
        run([[cell] for cell in cells], builder)
    together, apart = [], []
    for _ in range(given.rounds):
        seconds, losses = run([cells], builder)
        together.append(seconds)
        seconds, alone = run([[cell] for cell in cells], builder)
        apart.append(seconds)
        if not losses.equals(alone):
            raise SystemExit("the losses depend on company")
    return {
        "cells": len(cells),
        "rows": count,
        "evaluations": given.budget * len(cells),
        "together s": statistics.median(together),
        "one by one s": statistics.median(apart),
        "times faster": statistics.median(a / t for a, t in zip(apart, together, strict=True)),
        "least": min(a / t for a, t in zip(apart, together, strict=True)),
        "most": max(a / t for a, t in zip(apart, together, strict=True)),
        "same bits": True,
    }


def run(cohorts: Sequence[Sequence[Cell]], builder: Builder) -> tuple[float, pd.DataFrame]:
    """Seconds of running these cohorts one after another, and all losses."""
    tasks = {str(cell.task): builder.task(cell.task) for cells in cohorts for cell in cells}
    signatures = {name: task.signature() for name, task in tasks.items()}
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder) / "out") as store:
        begin = time.perf_counter()
        for cells in cohorts:
            todos: dict[str, list[Cell]] = {}
            for cell in cells:
                todos.setdefault(str(cell.task), []).append(cell)
            Cohort(
                store,
                builder.protocol,
                lambda cell, task, budget: build_algorithm(
                    cell.algorithm, task.space, budget, cell.algorithm_seed
                ),
                run_row,
                Observer(),
                Breakdown(),
                1e9,
            ).run([Todo(name, tasks[name], signatures[name], group) for name, group in todos.items()])
        seconds = time.perf_counter() - begin
        every = [cell for cells in cohorts for cell in cells]
        losses = collect(store.path, every)["losses"].to_pandas()
    return seconds, losses.sort_values(["id", "generation", "member"], ignore_index=True)


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """The table for readers, with three digits."""
    lines = ["| " + " | ".join(rows[0]) + " |", "|" + "---|" * len(rows[0])]
    for row in rows:
        shown = [f"{cell:.3g}" if isinstance(cell, float) else str(cell) for cell in row.values()]
        lines.append("| " + " | ".join(shown) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()

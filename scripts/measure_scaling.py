"""How much faster a sweep's cells end with more workers: pairs of sweeps, one worker against several.

Each worker computes with as many threads as it has with several, so that the same work is compared; the
tables are compared too. Run on a quiet machine:

    python scripts/measure_scaling.py --out results/scaling
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

from harness.running.executors.local import Local, Workers
from harness.running.results import Results
from harness.running.schema import TABLES, measured
from harness.running.sweep_file import Sweep
from harness.running.sweeping import sweep

TASKS = "sentiment/reference/prompt,topic/reference/lora,sentiment/reference/full"
ALGORITHMS = "mezo,eggroll,openai-es,snes,random"


def once(words: Sweep, folder: str, workers: int) -> tuple[float, Results]:
    """Seconds from the command to the tables, starting the workers included."""
    begin = time.perf_counter()
    results = sweep(words, out=folder, executor=Local(Workers(workers, threads=1)))
    return time.perf_counter() - begin, results


def same(one: Results, other: Results) -> bool:
    """Whether all columns but the measured ones are equal."""
    return all(
        getattr(one, table)
        .drop(columns=measured(table))
        .equals(getattr(other, table).drop(columns=measured(table)))
        for table in TABLES
    )


def main() -> None:
    """Print a table and JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--budget", type=int, default=400)
    parser.add_argument("--repetitions", type=int, default=4)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    words = Sweep.from_flags(
        tasks=TASKS, algorithms=ALGORITHMS, budget=given.budget, repetitions=given.repetitions
    )
    pairs, equal = [], True
    for _ in range(given.pairs):
        with tempfile.TemporaryDirectory() as folder:
            one, alone = once(words, f"{folder}/one", 1)
            several, shared = once(words, f"{folder}/several", given.workers)
            equal &= same(alone, shared)
        pairs.append((one, several))
        print(f"1 worker {one:6.1f} s   {given.workers} workers {several:6.1f} s   {one / several:.2f} times")
    speedups = sorted(one / several for one, several in pairs)
    found = {
        "cells": len(alone.runs),
        "workers": given.workers,
        "cores": os.cpu_count(),
        "pairs": pairs,
        "speedup": statistics.median(speedups),
        "speedup_range": [speedups[0], speedups[-1]],
        "efficiency": statistics.median(speedups) / given.workers,
        "tables_equal": equal,
    }
    print(f"{found['cells']} cells, {given.workers} workers on {found['cores']} cores:")
    print(f"{found['speedup']:.2f} times as fast ({speedups[0]:.2f} to {speedups[-1]:.2f})")
    print(f"efficiency {found['efficiency']:.2f}; tables {'equal' if equal else 'DIFFERENT'}")
    if given.out is not None:
        given.out.mkdir(parents=True, exist_ok=True)
        (given.out / "scaling.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()

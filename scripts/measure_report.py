"""How long a leaderboard and a report take, and how much memory, over tables of any size.

Tables are generated (seeded) in the schema of a result folder: by default 10,000 cells of 20 tasks, 50
algorithms and 10 repetitions, with 1e7 rows of curve. Each command runs in a process of its own.

    python scripts/measure_report.py --out FOLDER
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from harness.running.schema import arrow_schema, make_table

BUDGET = 4000
DEV_POINTS = 10
REFERENCES = ("zero-shot", "adam")
GOAL = {"seconds": 20.0, "bytes": 4 * 2**30}
SECONDS = ("seconds_ask", "seconds_evaluate", "seconds_tell")

LEADERBOARD = "from harness.cli.application import main; import sys; sys.exit(main())"
STUDY = """
import sys, time
from pathlib import Path
from harness.report.figures import CHARTS
from harness.report.study import Study
from harness.running.results import load_results
study = Study(load_results(sys.argv[1]))
study.standing
for chart in CHARTS:
    chart(study)
"""
REPORT = """
import sys
from pathlib import Path
from harness.report.writing import write_report
from harness.running.results import load_results
write_report(load_results(sys.argv[1]), Path(sys.argv[1]) / "report.html")
"""


def generate(folder: Path, tasks: int, algorithms: int, repetitions: int, rows: int) -> dict[str, int]:
    """Write the four tables; returns the rows of each.

    Args:
        folder: that is made.
        tasks: of which each has all algorithms.
        algorithms: contestants and references together.
        repetitions: of each.
        rows: of the curve, shared evenly among the cells that spend anything.
    """
    random = np.random.default_rng(0)
    names = [*(f"method-{place:02d}" for place in range(algorithms - len(REFERENCES))), *REFERENCES]
    quality = {name: random.uniform(0.5, 0.85) for name in names} | {"zero-shot": 0.5, "adam": 0.9}
    cells = [(t, name, r) for t in range(tasks) for name in names for r in range(repetitions)]
    steps = rows // sum(name != "zero-shot" for _, name, _ in cells)
    # Each cell climbs from zero-shot to a quality of its own; dev is known from the first dev point on.
    final = np.array([quality[name] + 0.03 * random.standard_normal() for _, name, _ in cells])
    final = np.round(final * 256) / 256  # shares of 256 rows, so that there are ties
    spending = np.array([name != "zero-shot" for _, name, _ in cells])
    runs = [_run(*cell, float(value), steps) for cell, value in zip(cells, final, strict=True)]
    folder.mkdir(parents=True, exist_ok=True)
    ids = pa.array([run["id"] for run in runs])
    tables = {
        "runs": make_table("runs", runs),
        "curve": _curve(ids, final, spending, steps),
        "metrics": _metrics(ids, final, spending),
        "losses": make_table("losses", []),
    }
    for name, table in tables.items():
        pq.write_table(table, folder / f"{name}.parquet", row_group_size=2**20)
    return {name: table.num_rows for name, table in tables.items()}


def _run(task: int, name: str, repetition: int, value: float, steps: int) -> dict[str, Any]:
    spent = BUDGET * (name != "zero-shot")
    return {
        "id": f"{task:04d}{repetition:03d}{name}",
        "schema_version": 3,
        "task": f"data-{task:02d}/reference/prompt",
        "dataset": f"data-{task:02d}",
        "model": "reference",
        "tuning": "prompt",
        "dimension": 320,
        "algorithm": name,
        "kind": "default",
        "options": "{}",
        "settings": "{}",
        "reference": name in REFERENCES,
        "provider": "generated==1",
        "repetition": repetition,
        "status": "finished",
        "budget": BUDGET,
        "evaluations": spent,
        "generations": steps * (spent > 0),
        "failed_evaluations": 0,
        "reported_at": spent,
        "metric": "accuracy",
        "metric_direction": "max",
        "train_metric": value + 0.02,
        "dev_metric": value,
        "test_metric": value - 0.01,
        "tokens": 250 * spent,
        "flops": 1e6 * spent,
        "peak_memory": 10**9,
        "smoke": False,
        **dict.fromkeys(SECONDS, 0.001 * spent),
    }


def _curve(ids: pa.Array, final: np.ndarray, spending: np.ndarray, steps: int) -> pa.Table:
    cells = np.flatnonzero(spending)
    place = np.tile(np.arange(steps, dtype=np.int64), len(cells))
    spent = (place + 1) * BUDGET // steps
    point = np.floor(spent * DEV_POINTS / BUDGET) / DEV_POINTS
    reached = np.repeat(final[cells], steps)
    dev = np.where(point > 0, 0.5 + (reached - 0.5) * point, np.nan)
    loss = 1.0 - reached * spent / BUDGET
    columns: dict[str, Any] = {
        "id": ids.take(pa.array(np.repeat(cells, steps))),
        "generation": place,
        "evaluations": spent,
        "sequences": 16 * spent,
        "tokens": 250 * spent,
        "flops": 1e6 * spent,
        **dict.fromkeys(("loss_best", "loss_mean", "loss_lowest"), loss),
        "dev_metric": dev,
        **dict.fromkeys((*SECONDS, "seconds_score"), 0.001 * spent),
    }
    return pa.table(columns, schema=arrow_schema("curve"))


def _metrics(ids: pa.Array, final: np.ndarray, spending: np.ndarray) -> pa.Table:
    points = np.arange(1, DEV_POINTS + 1) / DEV_POINTS
    cell = np.repeat(np.arange(len(final)), DEV_POINTS)
    share = np.tile(points, len(final))
    columns = {
        "id": ids.take(pa.array(cell)),
        "evaluations": (BUDGET * share * spending[cell]).astype(np.int64),
        "split": pa.array(["dev"] * len(cell)),
        "metric": pa.array(["accuracy"] * len(cell)),
        "value": 0.5 + (final[cell] - 0.5) * share,
    }
    return pa.table(columns, schema=arrow_schema("metrics"))


def measured(code: str, *arguments: str) -> dict[str, float]:
    """Seconds by the clock and of the processor, and peak bytes, of a process that runs some code."""
    begin = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"it failed: {arguments}")
    process.returncode = 0
    seconds = time.perf_counter() - begin
    busy = usage.ru_utime + usage.ru_stime
    return {"seconds": seconds, "processor_seconds": busy, "bytes": usage.ru_maxrss * 1024.0}


def main() -> None:
    """Generate, measure, print a table and JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="where the tables go; a temporary folder by default")
    parser.add_argument("--tasks", type=int, default=20)
    parser.add_argument("--algorithms", type=int, default=50)
    parser.add_argument("--repetitions", type=int, default=10)
    parser.add_argument("--rows", type=int, default=10_000_000, help="of the curve")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.out or Path(temporary)
        rows = generate(folder, given.tasks, given.algorithms, given.repetitions, given.rows)
        board = ["leaderboard", str(folder)]
        jobs = {
            "gradfree leaderboard": (LEADERBOARD, *board),
            "gradfree leaderboard --at-budget": (LEADERBOARD, *board, "--at-budget", str(BUDGET // 2)),
            "gradfree leaderboard --columns promises": (LEADERBOARD, *board, "--columns", "promises"),
            "gradfree leaderboard --columns ert": (LEADERBOARD, *board, "--columns", "ert"),
            "study and figures": (STUDY, str(folder)),
            "gradfree report": (REPORT, str(folder)),
        }
        found = {name: measured(*job) for name, job in jobs.items()}
        size = (folder / "report.html").stat().st_size
    print(f"rows: {', '.join(f'{name} {count:,}' for name, count in rows.items())}\n")
    print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n")
    print("| command | seconds | processor seconds | peak memory |\n| --- | --- | --- | --- |")
    for name, each in found.items():
        times = f"{each['seconds']:.1f} | {each['processor_seconds']:.1f}"
        print(f"| `{name}` | {times} | {each['bytes'] / 2**30:.2f} GiB |")
    within = all(each[key] <= most for each in found.values() for key, most in GOAL.items())
    print(f"\nreport: {size / 1e6:.1f} MB; within 20 s and 4 GiB: {'yes' if within else 'no'}\n")
    print(json.dumps({"rows": rows, "report_bytes": size, "measured": found}))


if __name__ == "__main__":
    main()

"""Sets our algorithms beside reference implementations: same functions, starts, seeds and budgets.

    pip install coco-experiment cmaes crfmnes evotorch pypop7
    python scripts/compare_with_references.py

in an environment apart from the project's own, that has gradfree too. What is not installed is left out, and
the table says so. Each run is stored as soon as it ends, and a second start goes on with those that are
missing; `--again NAME` runs a contestant anew. Writes to `results/references`:

- `functions.csv`: a row for each pair, dimension and function, with medians and the test of significance;
- `summary.csv`: a row for each pair and dimension;
- `trajectories.csv`: spsa and mezo beside their equations;
- the tables in `README.md`, between its markers.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import time
from collections.abc import Iterator
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import pandas as pd
import torch
from reference_comparison.contestants import Contestant, run
from reference_comparison.pairs import PAIRS, SCHEDULES, Pair
from reference_comparison.problems import LARGEST_BBOB, suite
from reference_comparison.tables import COMPARED, HITS, compare, fill, markdown, summarise
from reference_comparison.trajectories import trajectories
from reference_comparison.trial import Trial

ROOT = Path(__file__).resolve().parent.parent
KEY = ["contestant", "version", "function", "dimension", "instance", "population", "budget"]
COLUMNS = [*KEY, "status", "evaluations", "best", "seconds", *HITS]


class Runs:
    """The stored runs: a CSV file to which each run is added at its end.

    Args:
        path: of the file; a line that a kill cut short is dropped.
        again: names of contestants whose runs are forgotten.
    """

    def __init__(self, path: Path, again: list[str]) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        text = path.read_text() if path.exists() else ""
        rows = list(csv.DictReader(text[: text.rfind("\n") + 1].splitlines()))
        kept = [row for row in rows if row["contestant"] not in again]
        # Rewritten only if it must be, for another process may be adding runs of other dimensions.
        if not text.endswith("\n") or len(kept) < len(rows):
            with path.open("w", newline="") as file:
                writer = csv.DictWriter(file, COLUMNS)
                writer.writeheader()
                writer.writerows(kept)
        self.done = {tuple(row[column] for column in KEY) for row in kept}

    def add(self, row: dict) -> None:
        with self.path.open("a", newline="") as file:
            csv.DictWriter(file, COLUMNS).writerow(row)
        self.done.add(tuple(str(row[column]) for column in KEY))

    def table(self) -> pd.DataFrame:
        return pd.read_csv(self.path, dtype={"version": str})


def jobs(pairs: list[Pair], side: str, dimensions: list[int]) -> Iterator[tuple[Contestant, Pair, int, int]]:
    """Contestant, pair, dimension and instance: one instance of everything, then the next.

    So that the tables are of use before all is done.
    """
    wanted = [
        (contestant, pair, dimension)
        for pair in pairs
        for contestant in {"ours": [pair.ours], "peers": [pair.peer], "both": [pair.ours, pair.peer]}[side]
        for dimension in pair.schedules
        if dimension in dimensions and not absent(contestant, dimension)
    ]
    for instance in range(1, 1 + max(schedule.instances for schedule in SCHEDULES.values())):
        for contestant, pair, dimension in wanted:
            if instance <= pair.schedules[dimension].instances:
                yield contestant, pair, dimension, instance


def absent(contestant: Contestant, dimension: int) -> str:
    """Why a contestant cannot run in a dimension; empty if it can."""
    if contestant.version is None:
        return f"{contestant.name} not installed"
    if contestant.package == "gradfree" and not entry_points(
        group="gradfree.algorithms", name=contestant.name
    ):
        return f"{contestant.name} not registered"
    if dimension <= LARGEST_BBOB and find_spec("cocoex") is None:
        return "coco-experiment not installed"
    return ""


def measure(
    contestant: Contestant, pair: Pair, dimension: int, instance: int, share: float, runs: Runs
) -> None:
    """A contestant's runs on one instance of every function, as far as they are not stored."""
    population, budget = pair.population(dimension), pair.budget(dimension, share)
    for make in suite(dimension, instance):
        problem = make()
        where = (problem.name, dimension, instance, population, budget)
        key = (contestant.name, contestant.version, *where)
        if tuple(map(str, key)) in runs.done:
            continue
        trial, start = Trial(problem, budget), time.perf_counter()
        status = run(contestant, trial, population, seed=instance)
        seconds = time.perf_counter() - start
        runs.add(
            dict(zip(KEY, key, strict=True))
            | {"status": status, "evaluations": trial.evaluations, "best": trial.best}
            | {"seconds": round(seconds, 4)}
            | dict(zip(HITS, trial.reached, strict=True))
        )


def write(pairs: list[Pair], runs: Runs, share: float, out: Path) -> None:
    """The tables, as files and between the markers of the README."""
    out.mkdir(parents=True, exist_ok=True)
    stored = runs.table()
    paths = trajectories()
    paths.to_csv(out / "trajectories.csv", index=False, float_format="%.4g")
    compared = [table for pair in pairs if len(table := compare(pair, stored, share))]
    functions = pd.concat(compared) if compared else pd.DataFrame(columns=COMPARED)
    versions = {contestant.name: contestant.version for pair in pairs for contestant in pair[:2]}
    functions.insert(2, "version", functions.peer.map(versions))
    functions.to_csv(out / "functions.csv", index=False, float_format="%.6g")
    summary = pd.concat([summarise(functions), left_out(pairs, functions)])
    summary.to_csv(out / "summary.csv", index=False, float_format="%.4g")
    columns = ["algorithm", "peer", "dimension", "function", "solved, ours", "solved, peer"]
    columns += ["target", "ratio", "final, ours", "final, peer", "p corrected"]
    sections = {
        "summary": markdown(summary),
        "worse": markdown(functions[functions.verdict == "worse"][columns]),
        "trajectories": markdown(paths),
        "versions": ", ".join(f"{name} {version}" for name, version in _packages(pairs).items()),
    }
    print(*sections.values(), sep="\n\n")
    failed = stored[stored.status != "ok"].groupby(["contestant", "dimension", "status"]).size()
    if len(failed):
        print(failed.to_string())
    fill(out / "README.md", sections)


def left_out(pairs: list[Pair], functions: pd.DataFrame) -> pd.DataFrame:
    """Rows of the summary that say why there is nothing to compare."""
    there = set(zip(functions.algorithm, functions.peer, functions.dimension, strict=True))
    rows = []
    for pair in pairs:
        for dimension in pair.schedules:
            key = (pair.ours.name, pair.peer.name, dimension)
            reasons = filter(None, (absent(contestant, dimension) for contestant in pair[:2]))
            if key not in there:
                row = dict(zip(["algorithm", "peer", "dimension"], key, strict=True))
                rows.append(row | {"functions": 0, "note": ", ".join(reasons) or "not run"})
    return pd.DataFrame(rows)


def _packages(pairs: list[Pair]) -> dict[str, str]:
    found = {c.package: c.version for pair in pairs for c in pair[:2] if c.package and c.version}
    return dict(sorted(found.items())) | {"torch": torch.__version__}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--algorithms", nargs="*", default=[], help="ours to compare; all by default")
    parser.add_argument("--dimensions", nargs="*", type=int, default=[5, 20, 40, 500])
    parser.add_argument("--side", choices=["both", "ours", "peers"], default="both")
    parser.add_argument("--share", type=float, default=1.0, help="of the instances and budgets")
    parser.add_argument("--instances", type=int, help="the first so many only")
    parser.add_argument("--again", nargs="*", default=[], help="contestants to run anew")
    parser.add_argument("--runs", type=Path, default=ROOT / "results" / "references" / "runs.csv")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "references")
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)
    pairs = [pair for pair in PAIRS if not chosen.algorithms or pair.ours.name in chosen.algorithms]
    runs = Runs(chosen.runs, chosen.again)
    began, last = time.perf_counter(), 0
    for contestant, pair, dimension, instance in jobs(pairs, chosen.side, chosen.dimensions):
        share_of = max(1, round(chosen.share * pair.schedules[dimension].instances))
        if instance > min(share_of, chosen.instances or share_of):
            continue
        if instance != last:
            print(f"instance {instance}: after {time.perf_counter() - began:.0f} s", flush=True)
        last = instance
        measure(contestant, pair, dimension, instance, chosen.share, runs)
    write(pairs, runs, chosen.share, chosen.out)


if __name__ == "__main__":
    main()

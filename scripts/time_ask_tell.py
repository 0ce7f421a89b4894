"""Times what an algorithm itself costs: ask and tell per evaluation, without the evaluations.

    python scripts/time_ask_tell.py

Every contestant with its default population, and the baselines by name, on a sphere of 500 and of 10,000
coordinates. All live in one process with one thread, and take turns of ten generations, so that what else
the machine does hits all of them alike; what is counted is processor time. After the first turn every
generation counts, those that decompose a matrix or close a tree with them: the figures are sums over
generations divided by evaluations. Each has a minute of it.

Of algorithms that ask for perturbations, ask makes nothing, and the evaluator draws each member once, which
is the column `draw`. Tell draws what the update needs, but for what the law has kept of the evaluator's draws
of small blocks (64 KiB).

Writes `timing.csv`, `timing.json` and the table in `README.md` to `results/overhead`.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import signal
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import entry_points, version
from pathlib import Path
from typing import Any, NamedTuple

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import pandas as pd
import torch
from reference_comparison.tables import fill, markdown

from harness.core import Block, Budget, Points, Space
from harness.core.algorithm import Algorithm
from harness.plugins.build import algorithm_class

ROOT = Path(__file__).resolve().parent.parent
NAMED = [
    "pycma[covariance=separable]",
    *(f"nevergrad[optimizer={name}]" for name in ("TBPSA", "DE", "NGOpt")),
    *(f"optuna[sampler={name}]" for name in ("CmaEs", "Random")),
]
"""Baselines beside each algorithm's defaults (pycma: full; nevergrad: DiagonalCMA; optuna: TPE)."""

BUDGET = 100_000
TURN = 10
CAP = 60.0
LINEAR = 100_000
"""An algorithm of ours that allows so many coordinates works in O(d)."""


class MinuteOver(BaseException):
    """The minute is over; not an Exception, for libraries swallow those."""


class Watch:
    """Looks once a second whether a deadline, in processor time, is past.

    The system's own timers of processor time would make the clock itself coarse.
    """

    deadline = math.inf

    def start(self) -> None:
        signal.signal(signal.SIGALRM, self.look)
        signal.setitimer(signal.ITIMER_REAL, 1.0, 1.0)

    def stop(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0.0)

    def look(self, *_: object) -> None:
        """Raises MinuteOver if it is."""
        if time.process_time() > self.deadline:
            raise MinuteOver


WATCH = Watch()


class Generation(NamedTuple):
    """Members, and seconds of processor time."""

    members: int
    ask: float
    tell: float
    draw: float


class Timed:
    """One algorithm and the processor time that it took.

    Args:
        spec: name, with options in brackets.
        dimension: d.
        warm_up: generations that do not count, of a slow algorithm one.
    """

    def __init__(self, spec: str, dimension: int, warm_up: int) -> None:
        self.spec, self.dimension, self.warm_up = spec, dimension, warm_up
        self.status = "ok"
        self.spent = 0.0
        self.used = 0
        self.generations: list[Generation] = []
        self.algorithm: Algorithm | None = None
        self.kind, self.options = algorithm_class(spec)

    def build(self) -> None:
        """Makes the algorithm, or notes why it cannot be."""
        with self.capped():
            reason = self.kind.misfit(self.dimension, BUDGET, **self.options)
            if reason:
                self.status = reason
                return
            space = Space([Block("z", (self.dimension,), "vector")])
            self.algorithm = self.kind(space, Budget(BUDGET), 0, **self.options)

    def turn(self, generations: int) -> None:
        """The next generations, unless it is finished."""
        for _ in range(generations):
            if self.algorithm is None or self.status != "ok":
                return
            self._generation(self.algorithm)

    def _generation(self, algorithm: Algorithm) -> None:
        with self.capped():
            began = time.process_time()
            asked = algorithm.ask(BUDGET - self.used)
            middle = time.process_time()
            if asked is None or not len(asked):
                self.algorithm = None
                return
            points = asked.values if isinstance(asked, Points) else asked.materialise("z")
            drawn = time.process_time()
            losses = (points.double() - 1).square().mean(1)
            told = time.process_time()
            algorithm.tell(asked, losses)
            ended = time.process_time()
            self.used += Budget.price(asked)
            draw = 0.0 if isinstance(asked, Points) else drawn - middle
            self.generations.append(Generation(len(asked), middle - began, ended - told, draw))

    @contextmanager
    def capped(self) -> Iterator[None]:
        """The rest of the minute; what is raised inside becomes the status."""
        began = time.process_time()
        WATCH.deadline = began + CAP - self.spent
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        except MinuteOver:
            self.status = "time"
        except Exception as problem:
            self.status = f"{type(problem).__name__}: {problem}".splitlines()[0][:120]
        finally:
            WATCH.deadline = math.inf
            self.spent += time.process_time() - began

    def row(self) -> dict[str, Any]:
        """Microseconds of processor time per evaluation."""
        skipped = self.warm_up if len(self.generations) > self.warm_up else 1
        counted = pd.DataFrame(self.generations[skipped:], columns=list(Generation._fields), dtype=float)
        each = 1e6 / counted.members.sum() if len(counted) else math.nan
        totals = (counted.ask + counted.tell) / counted.members
        return {
            "algorithm": self.spec,
            "family": self.kind.family,
            "d": self.dimension,
            "members": float(counted.members.mean()),
            "generations": len(counted),
            "ask": each * counted.ask.sum(),
            "tell": each * counted.tell.sum(),
            "ask + tell": each * (counted.ask.sum() + counted.tell.sum()),
            "median": 1e6 * float(totals.median()),
            "draw": each * counted.draw.sum(),
            "status": "stopped by the cap" if self.status == "time" and len(counted) else self.status,
        }


def measure(dimension: int, generations: int, only: list[str]) -> list[dict[str, Any]]:
    """A row for each algorithm."""
    entries = sorted(entry_points(group="gradfree.algorithms"), key=lambda entry: entry.name)
    specs = [entry.name for entry in entries if not entry.load().reference] + NAMED
    timed = [Timed(spec, dimension, min(TURN, generations)) for spec in specs if not only or spec in only]
    for one in timed:
        one.build()
    for _ in range(1 + max(1, generations // TURN)):
        for one in timed:
            one.turn(min(TURN, generations))
    return [one.row() for one in timed]


def claims(table: pd.DataFrame) -> list[str]:
    """What was promised, and what was measured."""
    lines = []
    small = table[table.d == 500].set_index("algorithm")
    if {"cma-es", "pycma"} <= set(small.index):
        own, peer = (float(small.loc[name, "ask + tell"]) for name in ("cma-es", "pycma"))
        lines.append(
            f"cma-es at d = 500: {own:.0f} us per evaluation, pycma {peer:.0f}: {own / peer:.2f} times"
        )
    kinds = {entry.name: entry.load() for entry in entry_points(group="gradfree.algorithms")}
    for name, row in small.iterrows():
        kind = kinds[str(name).split("[")[0]]
        linear = kind.largest_dimension is None or kind.largest_dimension >= LINEAR
        if kind.family != "baselines" and linear and row["ask + tell"] > 50:
            lines.append(f"{name} at d = 500: {row['ask + tell']:.0f} us per evaluation, over 50")
    return lines


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dimensions", nargs="*", type=int, default=[500, 10_000])
    parser.add_argument("--generations", type=int, default=100)
    parser.add_argument("--only", nargs="*", default=[], help="algorithms; all by default")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "overhead")
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)

    WATCH.start()
    rows = [row for d in chosen.dimensions for row in measure(d, chosen.generations, chosen.only)]
    WATCH.stop()
    table = pd.DataFrame(rows)
    chosen.out.mkdir(parents=True, exist_ok=True)
    table.to_csv(chosen.out / "timing.csv", index=False, float_format="%.4g")
    packages = {name: version(name) for name in ("torch", "numpy", "cma", "nevergrad", "optuna")}
    machine = {"processor": _processor(), "threads": 1, "python": platform.python_version(), **packages}
    found = claims(table)
    rows = table.astype(object).where(table.notna(), None).to_dict("records")
    record = {"machine": machine, "claims": found, "microseconds per evaluation": rows}
    (chosen.out / "timing.json").write_text(json.dumps(record, indent=1) + "\n")
    sections = {
        "timing": markdown(table.sort_values(["d", "ask + tell"]).drop(columns="family")),
        "machine": ", ".join(f"{key} {value}" for key, value in machine.items()),
        "claims": "\n".join(f"- {line}" for line in found),
    }
    print(*sections.values(), sep="\n\n")
    fill(chosen.out / "README.md", sections)


def _processor() -> str:
    """The model's name where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "unknown")


if __name__ == "__main__":
    main()

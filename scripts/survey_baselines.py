"""Which optimizers of Nevergrad, Optuna and pycma run at d = 20, 500 and 10,000, and what they cost.

    OMP_NUM_THREADS=1 python scripts/survey_baselines.py results/baselines/survey.csv

Each runs for 60 evaluations through the classes of ``algorithms.baselines`` on the sphere ``sum (z - 1)^2``,
started at zero, in a child process of its own with 60 s of processor time and 2 GiB of memory beyond the
parent's. A row is written after each; rows that the file has are not run again, so that an interrupted survey
goes on where it stopped. What ran out of time or memory is not run at a larger d.
"""

from __future__ import annotations

import csv
import json
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from algorithms.baselines import nevergrad, optuna, pycma
from harness.core import Algorithm, Block, Budget, Space, UserError

DIMENSIONS = (20, 500, 10_000)
EVALUATIONS = 60
PROCESSOR_SECONDS = 60
STILL_SECONDS = 30
MEMORY = 2 * 2**30
COLUMNS = (
    "library",
    "version",
    "optimizer",
    "options",
    "dimension",
    "answer",
    "inside",
    "evaluations",
    "ask_seconds",
    "tell_seconds",
    "processor_seconds",
    "loss_at_start",
    "loss_at_end",
)

Row = dict[str, Any]


def entrants() -> Iterator[tuple[type[Algorithm], str, dict[str, Any]]]:
    """Class, name in its library and options of everything that is surveyed."""
    for covariance in ("full", "separable", "vkd"):
        yield pycma.PyCMA, "CMAEvolutionStrategy", {"covariance": covariance}
    for optimizer in nevergrad.optimizers():
        yield nevergrad.Nevergrad, optimizer, {"optimizer": optimizer}
    for sampler in optuna.samplers():
        yield optuna.Optuna, sampler, {"sampler": sampler, "bound": 2.0}


def run(kind: type[Algorithm], dimension: int, options: dict[str, Any]) -> Row:
    """The part of a row that running it gives."""
    # A class's largest dimension is our advice; what is asked here is what would happen without it.
    kind = type(kind.__name__, (kind,), {"largest_dimension": None})
    if misfit := kind.misfit(dimension, EVALUATIONS, **options):
        return {"answer": f"refused: {misfit}"}
    clock = time.process_time
    began = clock()
    asking, telling, spent = 0.0, 0.0, 0
    search = kind(Space([Block("z", (dimension,), "vector")]), Budget(EVALUATIONS), 1, **options)
    while True:
        start = clock()
        population = search.ask(EVALUATIONS - spent)
        asking += clock() - start
        if population is None or not len(population):
            break
        spent += len(population)
        losses = (population.values.double() - 1).square().sum(1)
        start = clock()
        search.tell(population, losses)
        telling += clock() - start
    if not spent:
        raise RuntimeError("it asked for nothing")
    end = float((search.best().values.double() - 1).square().sum())
    return {
        "answer": "ran",
        "inside": search.inside or "",
        "evaluations": spent,
        "ask_seconds": f"{asking / max(1, spent):.3g}",
        "tell_seconds": f"{telling / max(1, spent):.3g}",
        "processor_seconds": f"{clock() - began:.3g}",
        "loss_at_start": dimension,
        "loss_at_end": f"{end:.6g}",
    }


def answer_of(kind: type[Algorithm], dimension: int, options: dict[str, Any]) -> Row:
    """As ``run``; what is raised is an answer too."""
    try:
        return run(kind, dimension, options)
    except MemoryError:
        return {"answer": "memory"}
    except Exception as problem:
        said = " ".join(str(problem).split())[:300]
        refused = isinstance(problem, UserError)
        return {"answer": f"refused: {said}" if refused else f"failed: {type(problem).__name__}: {said}"}


def survey(kind: type[Algorithm], dimension: int, options: dict[str, Any]) -> Row:
    """As ``answer_of``, in a forked child under the limits."""
    reading, writing = os.pipe()
    limit = psutil.Process().memory_info().rss + MEMORY
    child = os.fork()
    if not child:
        os.close(reading)
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_SECONDS, PROCESSOR_SECONDS + 5))
        os.write(writing, json.dumps(answer_of(kind, dimension, options)).encode())
        os._exit(0)  # threads that a library left behind would be waited for
    os.close(writing)
    watched, said, ended = psutil.Process(child), b"", ""
    used, moved = 0.0, time.monotonic()
    while not ended:
        if select.select([reading], [], [], 0.02)[0]:
            piece = os.read(reading, 65536)
            said += piece
            ended = "" if piece else "itself"
            continue
        memory, now = usage(watched)
        if now > used:
            used, moved = now, time.monotonic()
        if memory > limit:
            ended = "memory"
        elif time.monotonic() - moved > STILL_SECONDS:
            ended = f"failed: it hangs, idle for {STILL_SECONDS} s"
    if ended != "itself":
        os.kill(child, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.close(reading)
    if ended != "itself":
        return {"answer": ended}
    if said:
        return json.loads(said)
    if status in (-signal.SIGXCPU, -signal.SIGKILL):
        return {"answer": "timeout"}
    return {"answer": f"failed: ended by signal or exit {status}"}


def usage(process: psutil.Process) -> tuple[int, float]:
    """Bytes in memory and processor seconds; zero for a process that has just ended."""
    try:
        times = process.cpu_times()
        return process.memory_info().rss, times.user + times.system
    except psutil.Error:
        return 0, 0.0


def main(path: Path) -> None:
    """Append the rows that the file lacks; at a larger d, what was quick at the smaller one comes first."""
    torch.set_num_threads(1)
    path.parent.mkdir(parents=True, exist_ok=True)
    known: dict[tuple[str, ...], Row] = {}
    if path.exists():
        with path.open(newline="") as stream:
            known = {key_of(row): row for row in csv.DictReader(stream)}
    else:
        with path.open("w", newline="") as stream:
            csv.DictWriter(stream, COLUMNS).writeheader()
    for dimension in DIMENSIONS:
        planned = []
        for kind, optimizer, options in entrants():
            row = {
                "library": kind.libraries[0],
                "version": version(kind.libraries[0]),
                "optimizer": optimizer,
                "options": ",".join(f"{key}={value}" for key, value in options.items()),
                "dimension": dimension,
            }
            before = known.get(key_of({**row, "dimension": smaller(dimension)}), {})
            planned.append((float(before.get("processor_seconds") or 0), kind, options, row, before))
        for _, kind, options, row, before in sorted(planned, key=lambda each: each[0]):
            if key_of(row) in known:
                continue
            said = str(before.get("answer", ""))
            if said.startswith("not run"):
                answer = {"answer": said}
            elif said.startswith(("timeout", "memory")):
                answer = {"answer": f"not run: {said} at d = {smaller(dimension)}"}
            else:
                answer = survey(kind, dimension, options)
            known[key_of(row)] = row | answer
            with path.open("a", newline="") as stream:
                csv.DictWriter(stream, COLUMNS).writerow(row | answer)


def key_of(row: Row) -> tuple[str, ...]:
    """What tells a row from the others."""
    return tuple(str(row[name]) for name in ("library", "optimizer", "options", "dimension"))


def smaller(dimension: int) -> int:
    """The dimension before, or 0."""
    return max((each for each in DIMENSIONS if each < dimension), default=0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

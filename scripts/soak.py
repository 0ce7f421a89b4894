"""An hour of sweeps with everything that can go wrong: kills, a full disk, faulty algorithms.

    python scripts/soak.py --minutes 60 --json soak.json

Rounds of two kinds take turns. In the first, a sweep of good and faulty algorithms runs in processes that are
killed at random instants, or find the disk full, until one comes to its end; its tables must be those of an
undisturbed run. In the second, this very process runs sweeps through ``harness.sweep``, one after the other,
and its memory is read after each: it must stay flat. Ends with 1 if a table differs, a row is lost, a process
ends with a traceback, or memory grows by more than ``--growth`` MiB per 100 sweeps.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
sys.path.insert(0, str(Path(__file__).resolve().parent))

import numpy as np
import psutil
import torch
from faults.children import Commands
from faults.comparing import Picture
from faults.faulty import NAMES, registered

SWEEP = f"""\
tasks: ["sphere[dimension=4]", "rastrigin[dimension=3]"]
algorithms: [openai-es, cemcts, mezo, pycma, "nevergrad[optimizer=TBPSA]", adam, {", ".join(NAMES)}]
repetitions: 2
budget: 40
protocol: {{timeout: 600}}
"""
SETTLING = 10
"""Sweeps before memory counts: caches fill first."""


def disturbed(
    commands: Commands, out: Path, reference: Picture, draw: random.Random, usual: float, met: Counter[str]
) -> list[str]:
    """Runs that are disturbed, then one that is not; what is wrong with their ends, or the tables.

    Args:
        commands: of the sweep.
        out: folder of the results.
        reference: of an undisturbed run.
        draw: of kinds and moments.
        usual: seconds that an undisturbed run takes.
        met: where the disturbances are counted that came before the run's end.
    """
    wrong = []
    for _ in range(draw.randrange(1, 4)):
        if draw.random() < 0.7:
            killed = commands.run(out, kill_after=draw.uniform(0.01, 1.2 * usual))
            met["kills"] += killed.code is None
            continue
        ended = commands.run(out, "ENOSPC", draw.randrange(1, 1500), lasting=True)
        met["full disks"] += ended.code != 0
        if not ended.clean:
            wrong.append(f"full disk: {ended.said[-1] if ended.said else ended.code}")
    last = commands.run(out)
    if last.code != 0:
        return [*wrong, f"the last run ended with {last.code}: {last.said[-1:]}"]
    found = Picture.of(out)
    wrong += [f"{name} differs" for name in reference.differing(found)]
    return wrong + ([f"{lost} rows lost"] if (lost := reference.lost(found)) else [])


@contextmanager
def quiet() -> Iterator[None]:
    """What is printed inside, by whatever way, is nowhere."""
    sys.stdout.flush()
    kept = [os.dup(number) for number in (1, 2)]
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        for number in (1, 2):
            os.dup2(nowhere, number)
        yield
    finally:
        sys.stdout.flush()
        for number, handle in zip((1, 2), kept, strict=True):
            os.dup2(handle, number)
        for handle in (*kept, nowhere):
            os.close(handle)


def swept(sweep: Path, out: Path) -> float:
    """One sweep in this process; MiB that it holds afterwards."""
    from harness import sweep as run_sweep

    with quiet():
        run_sweep(sweep, out=out)
    gc.collect()
    return float(psutil.Process().memory_info().rss) / 2**20


def growth(memory: list[float]) -> float:
    """MiB per 100 sweeps, by a straight line through all but the first ``SETTLING``; nan of too few.

    >>> growth([50.0] * SETTLING + [100.0, 100.5, 101.0])
    50.0
    """
    kept = memory[SETTLING:]
    if len(kept) < 3:
        return float("nan")
    return round(float(np.polyfit(np.arange(len(kept)), kept, 1)[0]) * 100, 3)


def main() -> int:
    """Rounds until the time is over."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--options", default="--executor inline", help="more options of gradfree sweep")
    parser.add_argument("--inside", type=int, default=5, help="sweeps in this process between two others")
    parser.add_argument("--growth", type=float, default=20.0, help="MiB per 100 sweeps that are allowed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # a child of fork must not wait for threads that it does not have
    draw, wrong, memory, rounds = random.Random(arguments.seed), [], [], 0
    met: Counter[str] = Counter()
    end = time.monotonic() + 60 * arguments.minutes
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        registered(folder / "plugins")
        (folder / "sweep.yaml").write_text(SWEEP)
        sweep = folder / "sweep.yaml"
        commands = Commands((f"sweep {sweep} --out {{out}} --quiet {arguments.options}",))
        whole = commands.run(folder / "reference")
        if whole.code != 0:
            raise SystemExit(f"the undisturbed sweep failed:\n{whole.err}")
        reference = Picture.of(folder / "reference")
        while time.monotonic() < end:
            out = folder / "out"
            found = disturbed(commands, out, reference, draw, whole.seconds, met)
            shutil.rmtree(out, ignore_errors=True)
            for _ in range(arguments.inside):
                memory.append(swept(sweep, out))
                found += [f"in this process: {each} differs" for each in _differing(reference, out)]
                shutil.rmtree(out, ignore_errors=True)
            rounds += 1
            wrong += [f"round {rounds}: {each}" for each in found]
            print(f"round {rounds}: {memory[-1]:.0f} MiB; {'; '.join(found) or 'all the same'}", flush=True)
    grown = growth(memory)
    print(
        f"{rounds} rounds, {met['kills']} kills, {met['full disks']} runs that found the disk full; "
        f"{len(memory)} sweeps in this process: {memory[0]:.0f} MiB after the first, "
        f"{memory[-1]:.0f} after the last, {grown:+.2f} MiB per 100 sweeps; {len(wrong)} things wrong"
    )
    if arguments.json:
        figures = {"rounds": rounds, **met, "mebibytes": memory, "growth_per_100": grown, "wrong": wrong}
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")
    return int(bool(wrong) or grown > arguments.growth)


def _differing(reference: Picture, out: Path) -> list[str]:
    # The leaderboard is written by the command line.
    return [name for name in reference.differing(Picture.of(out)) if name != "leaderboard"]


if __name__ == "__main__":
    sys.exit(main())

"""Run in a process of its own: the same sweep, killed with SIGKILL before every one of its writes.

For each write a child runs the sweep into a fresh folder and kills itself there; at every third, another
child runs it again and is killed in its turn; then the sweep is run to its end. (What follows a write is
what precedes the next one.) Prints how many moments there were. Usage: killed.py FOLDER.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import conftest as toys
import torch

from harness.core import Protocol

CELLS = [
    toys.cell("walk", 0, budget=10),
    toys.cell("restless", 0, budget=8),
    toys.cell("raises", 0, budget=12, task="other"),
    toys.cell("untouched", 0),
    toys.cell("walk", 1, skip="not this one"),
]


def once(out: Path) -> None:
    """The sweep of two tasks that advance together, with every round stored."""
    tasks = {"quadratic": toys.Quadratic(), "other": toys.Quadratic("other")}
    for task in tasks.values():
        task.company = "a model"
    toys.run(out, CELLS, tasks=tasks, protocol=Protocol(dev_points=3), flush_seconds=0.0)


def killed_at(out: Path, write: int) -> bool:
    """Run in a child that kills itself before a write; whether it came so far."""
    child = os.fork()
    if child == 0:
        replace, count = os.replace, 0

        def counted(*arguments: object) -> None:
            nonlocal count
            count += 1
            if count == write:
                os.kill(os.getpid(), signal.SIGKILL)
            replace(*arguments)

        os.replace = counted
        once(out)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def main(folder: Path) -> None:
    """All moments, one folder each."""
    os.fsync = lambda _: None  # a killed process loses nothing that it has written; a dead machine may
    torch.set_num_threads(1)  # a child of fork must not wait for threads that it does not have
    once(folder / "whole")
    moment = 0
    while killed_at(out := folder / f"killed-{moment:03d}", moment + 1):
        if moment % 3 == 0:
            killed_at(out, moment % 17 + 3)
        once(out)
        moment += 1
    print(moment)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

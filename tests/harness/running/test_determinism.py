"""What changes no bit: the seed of Python's hashes, the process, the order in which a disk lists its files.

On the tasks below neither does the number of threads.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from harness import Sweep, sweep
from harness.core import Block, Space
from harness.core.low_rank import LowRank, Subspace
from harness.running.executors import executor_of

WORDS = {
    "tasks": "sentiment/reference/lora,sentiment/reference/prompt,sphere",
    "algorithms": "eggroll,mezo,cma-es,cemcts",
    "budget": 24,
    "repetitions": 1,
    "protocol": {"per_class": 2, "minibatch": 2, "dev_points": 1, "test_rows": 4},
}
SCRIPT = """
import sys
from harness import Sweep, sweep
from harness.running.executors import executor_of

sweep(Sweep.from_flags(**{words!r}), out=sys.argv[1], executor=executor_of("inline"))
"""


def _losses(out: Path) -> bytes:
    sweep(Sweep.from_flags(**WORDS), out=out, executor=executor_of("inline"))
    return (out / "losses.parquet").read_bytes()


@pytest.fixture(scope="module")
def losses(tmp_path_factory) -> bytes:
    """The table of losses as this process writes it, with one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _losses(tmp_path_factory.mktemp("here") / "out")
    finally:
        torch.set_num_threads(before)


def test_another_process_with_another_hash_seed_writes_the_same_bytes(losses, tmp_path):
    seed = "1" if os.environ.get("PYTHONHASHSEED") == "0" else "0"  # this process has a random one, or that
    environment = {**os.environ, "PYTHONHASHSEED": seed, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-c", SCRIPT.format(words=WORDS), str(tmp_path / "out")]
    subprocess.run(command, check=True, capture_output=True, env=environment)
    assert (tmp_path / "out" / "losses.parquet").read_bytes() == losses


class _Backwards:
    """The entries of a folder, the last one first."""

    def __init__(self, entries: Iterator[os.DirEntry[str]]) -> None:
        self._entries = sorted(entries, key=lambda entry: entry.name, reverse=True)

    def __enter__(self) -> Iterator[os.DirEntry[str]]:
        return iter(self._entries)

    def __exit__(self, *_: object) -> None: ...

    def __iter__(self) -> Iterator[os.DirEntry[str]]:
        return iter(self._entries)

    def close(self) -> None: ...


def test_a_disk_that_lists_its_files_in_another_order_changes_no_byte(losses, tmp_path, monkeypatch):
    scandir, listdir = os.scandir, os.listdir
    monkeypatch.setattr(os, "scandir", lambda *given: _Backwards(scandir(*given)))
    monkeypatch.setattr(os, "listdir", lambda *given: sorted(listdir(*given), reverse=True))
    assert _losses(tmp_path / "out") == losses


@pytest.fixture
def threads() -> Iterator[None]:
    """Puts the number of threads back."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("threads")
def test_two_threads_give_the_losses_of_one(losses, tmp_path):
    torch.set_num_threads(2)
    assert _losses(tmp_path / "out") == losses


SHAPES = [(5, 64), (7, 100), (9, 2048), (10, 256), (64, 6), (64, 64), (309, 64)]


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("rank", [1, 4])
def test_a_step_along_low_rank_directions_has_the_same_bits_for_any_number_of_threads(shape, rank):
    space = Space([Block("w", shape, "matrix")])
    found = []
    for count in (1, 2):
        torch.set_num_threads(count)
        noise = LowRank(space, seed=3, generation=1, rank=rank)
        step = noise.weighted_sum("w", range(20), [0.1 * i - 1 for i in range(20)])
        found.append((step, noise.draw(0, "w"), Subspace(space, 3, 1, rank=rank).draw(0, "w")))
    assert all(torch.equal(one, two) for one, two in zip(*found, strict=True))

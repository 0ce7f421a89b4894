"""How many members go through one forward: as many as memory and the processor's caches like."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import psutil
import torch

T = TypeVar("T")
R = TypeVar("R")

SHARE = 0.5  # of the free memory that one forward may fill
CPU_TOKENS = 4096  # more in one forward fall out of the caches and are slower per token


def free_bytes(device: torch.device) -> int:
    """Memory that is free on the device now."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)


def chunk_members(
    device: torch.device, tokens: int, bytes_per_token: int, bytes_per_member: int, fewest: int
) -> int:
    """Members in one forward.

    Args:
        device: where it runs.
        tokens: of one member's rows, padding included.
        bytes_per_token: of activations that live at once.
        bytes_per_member: of weights that live at once for each member.
        fewest: never less than this.

    >>> chunk_members(torch.device("cpu"), 512, 1000, 0, 2)
    8
    """
    by_memory = int(SHARE * free_bytes(device)) // (tokens * bytes_per_token + bytes_per_member)
    by_cache = CPU_TOKENS // tokens if device.type == "cpu" else by_memory
    return max(fewest, min(by_memory, by_cache))


def in_chunks(items: Sequence[T], size: int, fewest: int, run: Callable[[Sequence[T]], list[R]]) -> list[R]:
    """Run items chunk by chunk; on out-of-memory the chunk is halved and what is done is kept.

    Args:
        items: what to run.
        size: items in a chunk.
        fewest: a chunk of this size that does not fit raises.
        run: gives a result for each item.

    Raises:
        MemoryError: where even ``fewest`` items do not fit.

    >>> in_chunks([1, 2, 3], 2, 1, lambda chunk: [10 * item for item in chunk])
    [10, 20, 30]
    """
    done: list[R] = []
    while len(done) < len(items):
        size = min(size, len(items) - len(done))
        try:
            done += run(items[len(done) : len(done) + size])
        except RuntimeError as error:
            if not _out_of_memory(error):
                raise
            if size <= fewest:
                raise MemoryError(f"{size} candidates do not fit into memory: {error}") from error
            size = max(fewest, size // 2)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
    return done


def _out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.cuda.OutOfMemoryError) or "can't allocate memory" in str(error)

"""How much memory is held, and was at most."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from harness.core.task import Task


def reset_peak_memory(task: Task) -> None:
    """Lower the high water of the device's allocator to what is held now; on the CPU nothing lowers it."""
    if task.space.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(task.space.device)


def peak_memory(task: Task) -> int:
    """Bytes at the high water: of the device's allocator, or on the CPU of this process so far."""
    if task.space.device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(task.space.device))
    try:
        import resource
    except ImportError:
        import psutil

        return int(psutil.Process().memory_info().rss)
    high_water = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(high_water if sys.platform == "darwin" else high_water * 1024)


def resident() -> int:
    """Bytes that this process holds in memory now.

    >>> resident() > 2**20
    True
    """
    try:
        with open("/proc/self/statm", "rb", buffering=0) as file:
            return int(file.read(64).split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:  # not Linux
        import psutil

        return int(psutil.Process().memory_info().rss)


def machine_memory() -> int:
    """Bytes of memory that this machine has, or the container that this process runs in.

    >>> machine_memory() > 2**20
    True
    """
    import psutil

    total = int(psutil.virtual_memory().total)
    try:
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text())
    except (OSError, ValueError):  # no container, or one without a limit
        return total
    return min(total, limit)

"""The high water of a device's memory."""

from __future__ import annotations

import sys
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

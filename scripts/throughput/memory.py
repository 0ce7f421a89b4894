"""Peak memory of a call: of the device's allocator, or of this process beyond what it held before."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch


class Peak:
    """MiB."""

    @staticmethod
    def of(device: torch.device, call: Callable[[int], Any]) -> float:
        """What one call takes at most beyond what was held before it; nan where this cannot be known.

        On the CPU this is the resident size's high-water mark, which Linux alone lets one set back.
        """
        gc.collect()
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            before = torch.cuda.memory_allocated(device)
            call(0)
            return (torch.cuda.max_memory_allocated(device) - before) / 2**20
        reset, status = Path("/proc/self/clear_refs"), Path("/proc/self/status")
        if not reset.exists():
            return float("nan")
        ctypes.CDLL(None).malloc_trim(0)
        reset.write_text("5")
        before = _kilobytes(status, "VmRSS:")
        call(0)
        return (_kilobytes(status, "VmHWM:") - before) / 2**10


def _kilobytes(status: Path, key: str) -> int:
    return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith(key))

"""Joules that a device has used, where its driver or the processors themselves count them."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path

import torch

POWERCAP = Path("/sys/class/powercap")
"""Where Linux shows the counters of the processors (RAPL); often readable by the administrator alone."""


class Meter:
    """Tells how much was used since it was last asked.

    Args:
        read: joules from anywhere, which never fall; None where nothing counts them.

    >>> counter = iter([5.0, 7.5, 8.0])
    >>> meter = Meter(lambda: next(counter))
    >>> meter.lap(), meter.lap()
    (2.5, 0.5)
    >>> Meter(lambda: None).lap() is None
    True
    """

    def __init__(self, read: Callable[[], float | None]) -> None:
        self._read = read
        self._last = read()

    def lap(self) -> float | None:
        """Joules since the last lap, or since this was made; None where nothing counts them."""
        if self._last is None:
            return None
        before, self._last = self._last, self._read()
        return None if self._last is None else max(0.0, self._last - before)


def meter_of(device: torch.device) -> Meter:
    """The meter of a GPU, or of this machine's processors.

    >>> meter_of(torch.device("meta")).lap() is None
    True
    """
    if device.type == "cuda":
        return Meter(_nvidia(device))
    if device.type == "cpu":
        return Meter(processors(POWERCAP))
    return Meter(_nothing)


def processors(root: Path) -> Callable[[], float | None]:
    """Joules of all processor packages together, from the files that the kernel shows under ``root``."""
    packages = [path for path in sorted(root.glob("intel-rapl:*")) if path.name.count(":") == 1]
    try:
        limits = [int((path / "max_energy_range_uj").read_text()) for path in packages]
        last = [int((path / "energy_uj").read_text()) for path in packages]
    except (OSError, ValueError):
        return _nothing
    if not packages:
        return _nothing
    total = 0

    def read() -> float | None:
        nonlocal total
        for number, path in enumerate(packages):
            try:
                now = int((path / "energy_uj").read_text())
            except (OSError, ValueError):
                return None
            # A counter that has reached its limit begins again.
            total += now - last[number] if now >= last[number] else now - last[number] + limits[number]
            last[number] = now
        return total / 1e6

    return read


def _nvidia(device: torch.device) -> Callable[[], float | None]:
    """Joules of a GPU since its driver was loaded (Volta and later), by the driver's management library."""
    try:
        library = ctypes.CDLL("libnvidia-ml.so.1")
        # By its identity: the driver numbers all GPUs, torch only those that it may see.
        name = f"GPU-{torch.cuda.get_device_properties(device).uuid}".encode()
        handle, joules = ctypes.c_void_p(), ctypes.c_ulonglong()
        if library.nvmlInit_v2() or library.nvmlDeviceGetHandleByUUID(name, ctypes.byref(handle)):
            return _nothing
    except (OSError, AttributeError, RuntimeError):
        return _nothing

    def read() -> float | None:
        failed = library.nvmlDeviceGetTotalEnergyConsumption(handle, ctypes.byref(joules))
        return None if failed else joules.value / 1e3

    return read


def _nothing() -> None:
    return None

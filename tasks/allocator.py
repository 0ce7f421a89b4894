"""Freed memory is kept for the next forward, where the C library would give it back to the system."""

from __future__ import annotations

import ctypes
import os
import sys
from functools import cache

MMAP_THRESHOLD, TRIM_THRESHOLD = -3, -1
"""Parameters of ``mallopt``, as ``malloc.h`` of the GNU C library numbers them."""
LARGEST = 2**25
"""Bytes of the largest block that is kept: the most that the library takes for it."""
KEPT = 2**28
"""So many free bytes are kept at most at the end of the heap."""


@cache
def keep_freed_memory() -> bool:
    """Let the process keep what it frees, up to ``KEPT`` bytes; true where it could be set, once.

    Every forward makes and frees the same activations. Given back and taken again, their pages are faulted
    in and cleared each time, which took a sixth of the time of small models' forwards. Whoever sets the
    library's own variables (``MALLOC_TRIM_THRESHOLD_``, ``GLIBC_TUNABLES``, ...) is left alone.

    >>> keep_freed_memory() is keep_freed_memory()
    True
    """
    chosen = any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in os.environ)
    if chosen or not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    return bool(mallopt(MMAP_THRESHOLD, LARGEST)) and bool(mallopt(TRIM_THRESHOLD, KEPT))

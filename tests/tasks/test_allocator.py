"""What a process frees it keeps: the next forward faults in no new pages."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

LOOP = """
import resource
from tasks.allocator import keep_freed_memory
print(keep_freed_memory())
for _ in range(2):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        blocks = [b"x" * 2**21 for _ in range(8)]
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def looped(**variables: str) -> tuple[str, int]:
    """Whether it could be set, and the pages that were faulted in when the loop ran for the second time."""
    free = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    found = subprocess.run(
        [sys.executable, "-c", LOOP], env={**free, **variables}, capture_output=True, text=True, check=True
    ).stdout.split()
    return found[0], int(found[2])


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="of the GNU C library")
def test_memory_that_was_freed_is_used_again_without_faults() -> None:
    done, faults = looped()
    if done == "False":
        pytest.skip("another C library")
    assert faults < 512  # pages of one block; there are 160 blocks


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="of the GNU C library")
def test_whoever_sets_the_librarys_variables_is_left_alone() -> None:
    assert looped(MALLOC_TRIM_THRESHOLD_="131072")[0] == "False"

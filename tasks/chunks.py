"""How many members go through one forward: what fits into memory and was measured to be fastest."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

import psutil
import torch

T = TypeVar("T")
R = TypeVar("R")

SHARE = 0.5  # of the free memory that one forward may fill
LITTLE = 2**26  # bytes for which nobody asks how many are free
FIRST_TOKENS = {"cpu": 1536}  # a first guess: what one forward's activations keep in the caches
FIRST_TOKENS_ELSEWHERE = 16384
TRIALS = 3  # timings of a size before it is judged by its best
WORTHWHILE = 0.97  # a larger size has to be that much faster, for it takes more memory


def most_members(device: torch.device, bytes_per_member: int, wanted: int) -> int:
    """How many members fit into the free memory of a device at once, at least one.

    Where those that are wanted need but little nobody asks, for that takes longer than a small layer.

    >>> most_members(torch.device("cpu"), 2**62, 5), most_members(torch.device("cpu"), 2**20, 5)
    (1, 64)
    """
    if wanted * bytes_per_member <= LITTLE:
        return LITTLE // max(1, bytes_per_member)
    if device.type == "cuda":
        free = int(torch.cuda.mem_get_info(device)[0])
    else:
        free = int(psutil.virtual_memory().available)
    return max(1, int(SHARE * free) // bytes_per_member)


def first_guess(device: torch.device, tokens: int) -> int:
    """Members of so many tokens each to begin with.

    >>> first_guess(torch.device("cpu"), 384)
    4
    """
    return max(1, FIRST_TOKENS.get(device.type, FIRST_TOKENS_ELSEWHERE) // tokens)


class Sizes:
    """The sizes of chunk that were tried for one shape: the smallest, and 2, 3, 4, 6, 8, 12, ... times that.

    Climbs from the first guess to a neighbour as long as that is faster. A chunk of any size counts as of
    the next of these, so that what is left is tried in one as well as in two.

    Args:
        fewest: smallest size.
        first: where to begin, rounded down to a size.

    >>> sizes = Sizes(fewest=2, first=9)
    >>> sizes.choose(most=100, left=50)
    8
    >>> for size, seconds in ((8, 1.0), (12, 1.5), (6, 0.9), (4, 0.95)):
    ...     for _ in range(TRIALS):
    ...         sizes.note(size, seconds * size)
    >>> sizes.choose(most=100, left=50), sizes.choose(most=3, left=50), sizes.choose(most=100, left=7)
    (6, 2, 4)
    """

    def __init__(self, fewest: int, first: int) -> None:
        self.fewest = fewest
        self.first = self._rung(max(fewest, first))
        if self.first > max(fewest, first):
            self.first = self._below(self.first)
        self.limit: int | None = None
        self._seconds: dict[int, list[float]] = {}

    def choose(self, most: int, left: int) -> int:
        """How many of the items that are left go into the next chunk.

        Args:
            most: items that fit into memory (the smallest size is tried in any case).
            left: items still to be run.
        """
        most = max(self.fewest, most if self.limit is None else min(most, self.limit))
        best = self._best()
        for rung in (best, self._rung(best + 1), self._below(best)):
            size = min(rung, left)
            if rung <= most and self._rung(size) == rung and len(self._seconds.get(rung, ())) < TRIALS:
                return size
        while best > most:
            best = self._below(best)
        return -(-left // -(-left // best))  # chunks of nearly equal size

    def note(self, size: int, seconds: float) -> None:
        """Take in how long a chunk took; not of one that was filled up to the smallest size."""
        tried = self._seconds.setdefault(self._rung(size), [])
        if size >= self.fewest and len(tried) < TRIALS:
            tried.append(seconds / size)

    def exceeded(self, size: int) -> int:
        """A chunk of that size did not fit: half of it from now on."""
        self.limit = max(self.fewest, size // 2)
        self._seconds = {tried: seconds for tried, seconds in self._seconds.items() if tried <= self.limit}
        return self.limit

    def _best(self) -> int:
        judged = {size: min(s) for size, s in sorted(self._seconds.items()) if len(s) == TRIALS}
        if not judged:
            return self.first if self.limit is None else min(self.first, self.limit)
        best = next(iter(judged))
        for size, seconds in judged.items():
            if seconds < WORTHWHILE * judged[best]:
                best = size
        return best

    def _rung(self, size: int) -> int:
        """The smallest of the sizes that is no smaller."""
        times = -(-size // self.fewest)
        power = 1 << (times - 1).bit_length()
        return self.fewest * (3 * power // 4 if power > 2 and times <= 3 * power // 4 else power)

    def _below(self, rung: int) -> int:
        """The next smaller size; the smallest has none, and is given back."""
        times = rung // self.fewest
        return self.fewest * max(1, 2 * times // 3 if times % 3 == 0 else 3 * times // 4)


class Chunks:
    """Runs items in chunks, whose size is found by measuring and remembered for each shape.

    On out-of-memory the chunk is halved, what is done is kept, and the smaller size is remembered.

    >>> Chunks().run([1, 2, 3], "shape", 2, 2, 1, lambda chunk: [10 * item for item in chunk])
    [10, 20, 30]
    """

    def __init__(self) -> None:
        self.sizes: dict[Hashable, Sizes] = {}

    def run(
        self,
        items: Sequence[T],
        shape: Hashable,
        first: int,
        most: int,
        fewest: int,
        call: Callable[[Sequence[T]], list[R]],
    ) -> list[R]:
        """Results of all items, in order.

        Args:
            items: what to run.
            shape: whatever the time of an item depends on.
            first: a guess at the best size, for a shape not seen before.
            most: items that fit into memory.
            fewest: a chunk of this size that does not fit raises.
            call: gives a result for each item of a chunk.

        Raises:
            MemoryError: where even ``fewest`` items do not fit.
        """
        sizes = self.sizes.setdefault(shape, Sizes(fewest, first))
        done: list[R] = []
        while len(done) < len(items):
            size = sizes.choose(most, len(items) - len(done))
            chunk = items[len(done) : len(done) + size]
            begin = time.perf_counter()
            try:
                done += call(chunk)
            except RuntimeError as error:
                if not _out_of_memory(error):
                    raise
                if size <= fewest:
                    raise MemoryError(f"{size} candidates do not fit into memory: {error}") from error
                sizes.exceeded(size)
                if torch.cuda.is_available():
                    torch.cuda.empty_cache()
                continue
            sizes.note(size, time.perf_counter() - begin)
        return done


def _out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.cuda.OutOfMemoryError) or "can't allocate memory" in str(error)

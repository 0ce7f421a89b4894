"""Draws of a generation on all cores: a generator of torch fills a tensor with one thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

import torch

T = TypeVar("T")
R = TypeVar("R")


def side_by_side(call: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
    """``map(call, items)`` on as many threads as torch has, and no more results in memory than threads.

    >>> list(side_by_side(lambda x: x + 1, [1, 2, 3]))
    [2, 3, 4]
    """
    threads = torch.get_num_threads()
    if threads == 1 or len(items) == 1:
        yield from map(call, items)
        return
    for begin in range(0, len(items), threads):
        yield from _pool(threads).map(call, items[begin : begin + threads])


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="draw")

"""Keeping other people's libraries off the global random state."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


class PrivateRandomness:
    """Global random state of Python, numpy and torch that exists only inside ``with``, and goes on next time.

    Args:
        seed: where the private streams start.

    >>> private = PrivateRandomness(seed=0)
    >>> np.random.seed(1)
    >>> with private.active():
    ...     inside = np.random.rand()
    >>> outside = np.random.rand()
    >>> np.random.seed(1)
    >>> outside == np.random.rand()
    True
    """

    def __init__(self, seed: int) -> None:
        words = np.random.SeedSequence(seed).generate_state(4)
        self._python: object = random.Random(int(words[0])).getstate()
        self._numpy = np.random.RandomState(int(words[1])).get_state()
        self._torch = torch.Generator().manual_seed(int(words[2])).get_state()

    @contextmanager
    def active(self) -> Iterator[None]:
        """Swap the private state in, and the caller's back at the end."""
        outer = random.getstate(), np.random.get_state(), torch.get_rng_state()
        random.setstate(self._python)  # type: ignore[arg-type]
        np.random.set_state(self._numpy)
        torch.set_rng_state(self._torch)
        try:
            yield
        finally:
            self._python, self._numpy = random.getstate(), np.random.get_state()
            self._torch = torch.get_rng_state()
            random.setstate(outer[0])
            np.random.set_state(outer[1])
            torch.set_rng_state(outer[2])

"""Where the wall time of a sweep goes: phases that exclude one another and sum to the whole."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:
    from harness.core.task import Task

Phase = Literal["loading", "forward", "ask", "tell", "packing", "recording", "bookkeeping"]
PHASES: tuple[Phase, ...] = get_args(Phase)
"""Imports, building tasks and algorithms; the model's own forwards, with making candidates out of seeds and
points; ask; tell and best; what evaluating and scoring take beyond that; rows, files and tables; the rest."""


class Breakdown:
    """The seconds of one session of a sweep, phase by phase, from when this is made.

    Phases nest, and the outer one stands still while an inner one lasts. What none claims is bookkeeping.
    A phase costs two looks at the clock; no device is waited for.

    Args:
        clock: gives seconds, from anywhere.

    >>> seconds = iter([0.0, 1.0, 3.0, 6.0, 7.0, 9.0])
    >>> breakdown = Breakdown(lambda: next(seconds))
    >>> with breakdown.phase("recording"), breakdown.phase("tell"):
    ...     pass
    >>> session = breakdown.session()
    >>> session["seconds"]["recording"], session["seconds"]["tell"], session["seconds"]["bookkeeping"]
    (3.0, 3.0, 3.0)
    >>> session["wall_seconds"]
    9.0
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.began = datetime.now(UTC)
        self.cells = 0
        """Cells that came to an end."""
        self._seconds: dict[Phase, float] = dict.fromkeys(PHASES, 0.0)
        self._clock = clock
        self._phase: Phase | None = "bookkeeping"
        self._since = clock()

    @contextmanager
    def phase(self, name: Phase) -> Iterator[None]:
        """What happens inside is counted there, unless it is in a phase of its own."""
        outer = self._enter(name)
        try:
            yield
        finally:
            self._enter(outer)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """What happens inside is counted by others, whose sessions are absorbed."""
        outer = self._enter(None)
        try:
            yield
        finally:
            self._enter(outer)

    def absorb(self, session: dict[str, Any]) -> None:
        """Count another's session as if it had been spent here.

        >>> breakdown = Breakdown(lambda: 0.0)
        >>> breakdown.absorb({"seconds": {"forward": 2.0}})
        >>> breakdown.session()["wall_seconds"]
        2.0
        """
        for name, seconds in session["seconds"].items():
            self._seconds[name] += seconds

    @contextmanager
    def answering(self, task: Task) -> Iterator[None]:
        """A task evaluates or scores: what it tells of its forwards is forward, and the rest packing.

        >>> from types import SimpleNamespace
        >>> seconds = iter([0.0, 0.0, 5.0, 5.0])
        >>> breakdown, task = Breakdown(lambda: next(seconds)), SimpleNamespace(forward_seconds=1.0)
        >>> with breakdown.answering(task):
        ...     task.forward_seconds += 4.0
        >>> session = breakdown.session()["seconds"]
        >>> session["forward"], session["packing"]
        (4.0, 1.0)
        """
        before, spent = task.forward_seconds, self._seconds["packing"]
        with self.phase("packing"):
            yield
        spent = self._seconds["packing"] - spent
        after = task.forward_seconds
        # A task's clock is its own: whatever it says, no phase is negative.
        told = spent if before is None or after is None else max(0.0, min(spent, after - before))
        self._seconds["packing"] -= told
        self._seconds["forward"] += told

    def session(self) -> dict[str, Any]:
        """All of it so far, as it is stored."""
        self._enter(self._phase)
        return {
            "began": self.began.isoformat(timespec="seconds"),
            "wall_seconds": sum(self._seconds.values()),
            "cells": self.cells,
            "seconds": dict(self._seconds),
        }

    def _enter(self, name: Phase | None) -> Phase | None:
        now, outer = self._clock(), self._phase
        if outer is not None:
            self._seconds[outer] += now - self._since
        self._since, self._phase = now, name
        return outer


def in_words(session: dict[str, Any]) -> str:
    """A stored session's shares in one line.

    >>> seconds = {"forward": 7.0, "ask": 1.0, "tell": 1.0, "recording": 0.25, "loading": 0.75}
    >>> in_words({"seconds": seconds})
    '70.0 % forward, 20.0 % ask and tell, 10.0 % overhead (loading 7.5 %, recording 2.5 %)'
    """
    seconds = dict.fromkeys(PHASES, 0.0) | session["seconds"]
    share = 100 / max(sum(seconds.values()), 1e-9)
    forward = seconds.pop("forward") * share
    algorithms = (seconds.pop("ask") + seconds.pop("tell")) * share
    parts = sorted(seconds.items(), key=lambda part: -part[1])
    named = ", ".join(f"{name} {spent * share:.1f} %" for name, spent in parts if spent)
    overhead = f"{sum(seconds.values()) * share:.1f} % overhead" + f" ({named})" * bool(named)
    return f"{forward:.1f} % forward, {algorithms:.1f} % ask and tell, {overhead}"

"""Finding plugins: names are read from metadata, an object is imported when it is first used.

The built-in algorithms, data sets, models, tunings, objectives and tasks are registered through the same
entry points as a stranger's. One broken plugin breaks nothing but itself.

>>> "random" in ALGORITHMS.names()
True
>>> ALGORITHMS.load("rndom")
Traceback (most recent call last):
    ...
harness.core.errors.UserError: unknown algorithm 'rndom': did you mean 'random'?
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.metadata import EntryPoint, entry_points
from types import FunctionType, TracebackType
from typing import Any

from harness.core.errors import UserError
from harness.plugins.messages import did_you_mean, one_line, shown

UNPACKAGED = "unpackaged"
"""The provider of what was registered by hand, in a notebook or a test."""


OURS = "gradfree"
"""The distribution whose plugins are part of this very program."""

_reading: ContextVar[bool] = ContextVar("reading", default=False)


@contextmanager
def reading_results() -> Iterator[None]:
    """Inside, no code of a plugin is imported because results name it: nobody has asked for it.

    gradfree's own plugins are, and those that are imported already serve. Any other raises UserError, like
    one that is not installed.

    >>> with reading_results():
    ...     ALGORITHMS.load("random").__name__
    'RandomSearch'
    """
    before = _reading.set(True)
    try:
        yield
    finally:
        _reading.reset(before)


class Registry:
    """The plugins of one entry-point group.

    Args:
        group: of entry points, as ``gradfree.algorithms``.
        kind: the word for one of them in messages, as ``algorithm``.
        adapt: makes a plugin of a plain function; without it, functions stay as they are.

    >>> registry = Registry("gradfree.examples", "example")
    >>> with registry.register("constant", 3):
    ...     registry.names(), registry.load("constant"), registry.provider("constant")
    (['constant'], 3, 'unpackaged')
    >>> registry.names()
    []
    """

    def __init__(self, group: str, kind: str, adapt: Callable[[Any], Any] | None = None) -> None:
        self.group = group
        self.kind = kind
        self._adapt = adapt
        self._by_hand: dict[str, Any] = {}
        self._path: tuple[str, ...] | None = None
        self._cached: dict[str, list[EntryPoint]] = {}

    def _found(self) -> dict[str, list[EntryPoint]]:
        path = tuple(sys.path)
        if path != self._path:  # metadata are read again only when the search path changed
            found: dict[str, list[EntryPoint]] = {}
            for point in entry_points(group=self.group):
                found.setdefault(point.name, []).append(point)
            self._path, self._cached = path, found
        return self._cached

    def names(self) -> list[str]:
        """All names, sorted, those of broken plugins included; nothing is imported."""
        return sorted({*self._found(), *self._by_hand})

    def load(self, name: str) -> Any:
        """The object of that name, imported on first use.

        Raises:
            UserError: if there is none, if two distributions claim the name, if its import fails, or if it
                is a function of other parameters than such a plugin has.
        """
        thing = self._by_hand[name] if name in self._by_hand else self._imported(self._point(name))
        return self._adapt(thing) if self._adapt and isinstance(thing, FunctionType) else thing

    def provider(self, name: str) -> str:
        """Who provides it, as ``gradfree==0.1.0``; raises UserError as ``load`` does for bad names."""
        return UNPACKAGED if name in self._by_hand else _party(self._point(name))

    def register(self, name: str, thing: Any) -> Registration:
        """Add an object by hand, for good or as a context; a name that is taken raises UserError."""
        if name in self._by_hand or name in self._found():
            parties = " and ".join(_party(point) for point in self._found().get(name, [])) or UNPACKAGED
            raise UserError(f"{self.kind} {name!r} is already registered by {parties}; choose another name")
        self._by_hand[name] = thing
        return Registration(self, name)

    def unregister(self, name: str) -> None:
        """Take away what was registered by hand; nothing happens where there is none."""
        self._by_hand.pop(name, None)

    def unknown(self, name: str, also: Iterable[str] = ()) -> UserError:
        """The error for a name that nobody has; ``also`` are right names from elsewhere."""
        return UserError(f"unknown {self.kind} {shown(name)}: {did_you_mean(name, [*self.names(), *also])}")

    def _imported(self, point: EntryPoint) -> Any:
        ours = point.dist is not None and point.dist.name == OURS
        if _reading.get() and not ours and point.module not in sys.modules:
            raise UserError(f"{self.kind} {point.name!r} of {_party(point)} is not imported to read results")
        try:
            return point.load()
        except (Exception, SystemExit) as error:
            raise UserError(
                f"{self.kind} {point.name!r} of {_party(point)} cannot be imported: {one_line(error)}; "
                f"mend or uninstall that distribution"
            ) from error

    def _point(self, name: str) -> EntryPoint:
        points = self._found().get(name)
        if points is None:
            raise self.unknown(name)
        if len(points) > 1:
            parties = " and ".join(f"{_party(point)} ({point.value})" for point in points)
            raise UserError(f"{self.kind} {name!r} is claimed by {parties}; uninstall one of them")
        return points[0]


class Registration:
    """What ``Registry.register`` returns: leave it alone, or use it as a context that takes the name away."""

    def __init__(self, registry: Registry, name: str) -> None:
        self.registry = registry
        self.name = name

    def __enter__(self) -> Registration:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.registry.unregister(self.name)


def _party(point: EntryPoint) -> str:
    return f"{point.dist.name}=={point.dist.version}" if point.dist else "an unknown distribution"


def _algorithm(function: Any) -> Any:
    from harness.plugins.functions import as_algorithm  # late: it brings torch

    return as_algorithm(function)


def _task(function: Any) -> Any:
    from harness.plugins.functions import as_task, positional

    return as_task(function) if positional(function) else function  # without any it is a factory


ALGORITHMS = Registry("gradfree.algorithms", "algorithm", _algorithm)
DATASETS = Registry("gradfree.datasets", "data set")
MODELS = Registry("gradfree.models", "model")
TUNINGS = Registry("gradfree.tunings", "tuning")
OBJECTIVES = Registry("gradfree.objectives", "objective")
TASKS = Registry("gradfree.tasks", "task", _task)

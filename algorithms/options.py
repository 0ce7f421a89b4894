"""The kinds of options that algorithms take, and what is said when one is unusable."""

from __future__ import annotations

import difflib
import inspect
import math
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from harness.core import UserError

Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Pairs = Annotated[int, Field(ge=2)]
Share = Annotated[float, Field(gt=0, le=1)]
OpenShare = Annotated[float, Field(gt=0, lt=1)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
UnitInterval = Annotated[float, Field(ge=0, le=1)]
Units = Literal["scale", "raw"]
"""Whether sigma and lr are in units of each block's scale, or in the parameters' own."""


def default_population(dimension: int) -> int:
    """``4 + floor(3 ln d)``, the population of CMA-ES (Hansen, 2016).

    >>> default_population(320)
    21
    """
    return 4 + math.floor(3 * math.log(dimension))


def generation_size(size: int, remaining: int) -> int:
    """How many to ask for: ``size``, but all that remain where less than half a generation would be left.

    So no budget is left over, and no generation is too small to select from.

    >>> generation_size(10, 25), generation_size(10, 14), generation_size(10, 6)
    (10, 14, 6)
    """
    return remaining if 2 * (remaining - size) < size else size


def unknown(option: str, value: str, known: Iterable[str]) -> UserError:
    """The error for a name that is not there, with the nearest right ones.

    >>> print(unknown("sampler", "TEP", ["TPE", "Random"]))
    sampler: there is no 'TEP'; nearest: TPE
    """
    names = sorted(known)
    lowered = {name.lower(): name for name in names}
    nearest = [lowered[hit] for hit in difflib.get_close_matches(value.lower(), lowered, n=3, cutoff=0.5)]
    return UserError(f"{option}: there is no {value!r}; nearest: {', '.join(nearest or names[:5])}")


def chosen(algorithm: type, options: Mapping[str, Any], name: str) -> Any:
    """The value of an option: the one given, else the constructor's default.

    >>> class Example:
    ...     def __init__(self, *, sigma: float = 2.0): ...
    >>> chosen(Example, {}, "sigma"), chosen(Example, {"sigma": 1.0}, "sigma")
    (2.0, 1.0)
    """
    return options.get(name, inspect.signature(algorithm).parameters[name].default)

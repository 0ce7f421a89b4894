"""The search space of an algorithm's own options: between which values a step size is looked for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Range:
    """The values between which an option is tuned.

    Args:
        low: least value.
        high: largest value.
        log: equal ratios are equally likely, not equal differences.

    Raises:
        ValueError: for bounds that are not finite and in order, or not positive where ``log`` is set.

    >>> Range(0.01, 10.0)
    Range(low=0.01, high=10.0, log=True)
    >>> Range(0.0, 1.0)
    Traceback (most recent call last):
        ...
    ValueError: a logarithmic range needs positive bounds, got 0.0 to 1.0
    """

    low: float
    high: float
    log: bool = True

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError(f"a range needs finite bounds in order, got {self.low} to {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"a logarithmic range needs positive bounds, got {self.low} to {self.high}")

    def __contains__(self, value: float) -> bool:
        """Whether a value lies between the bounds, themselves included."""
        return self.low <= value <= self.high


def ranges(**bounds: tuple[float, float]) -> Mapping[str, Range]:
    """Logarithmic ranges by option, as an algorithm declares them.

    >>> ranges(sigma=(0.05, 5.0), lr=(0.03, 30.0))["lr"]
    Range(low=0.03, high=30.0, log=True)
    """
    return {option: Range(low, high) for option, (low, high) in bounds.items()}

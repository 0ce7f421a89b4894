"""Arithmetic expressions as a model may write them: read with care, exactly worth what they say."""

from __future__ import annotations

import re
from fractions import Fraction

LONGEST = 128
"""Most characters of an expression: more than any honest answer takes, and few enough to recurse into."""
_TOKEN = re.compile(r"\s*(?:([0-9]+)|([-+*/()]))")


class Expression:
    """The value of an expression and the numbers in it, in order.

    Whole numbers, ``+ - * /``, a sign before an operand and parentheses; nothing else, no matter what
    Python would make of it (``//``, ``**``, ``1_0``, ``2(3)``). Nothing is ever executed.

    Args:
        text: of at most ``LONGEST`` characters.

    Raises:
        ValueError: for what is no such expression, and for a division by zero.

    >>> found = Expression("(1 + 2) / 6")
    >>> found.value, found.numbers
    (Fraction(1, 2), [1, 2, 6])
    >>> Expression("2 ** 3")
    Traceback (most recent call last):
        ...
    ValueError: no number at '*'
    """

    def __init__(self, text: str) -> None:
        if len(text) > LONGEST:
            raise ValueError(f"longer than {LONGEST} characters")
        self._left = _tokens(text)
        self.numbers: list[int] = []
        self.value = self._sum()
        if self._left:
            raise ValueError(f"no operator at {self._left[-1]!r}")

    def _next(self, wanted: str) -> str:
        """The next token, if it is one of those wanted, else nothing."""
        return self._left.pop() if self._left and self._left[-1] in wanted else ""

    def _sum(self) -> Fraction:
        value = self._product()
        while sign := self._next("+-"):
            term = self._product()
            value = value + term if sign == "+" else value - term
        return value

    def _product(self) -> Fraction:
        value = self._operand()
        while sign := self._next("*/"):
            factor = self._operand()
            if sign == "/" and factor == 0:
                raise ValueError("a division by zero")
            value = value * factor if sign == "*" else value / factor
        return value

    def _operand(self) -> Fraction:
        if sign := self._next("+-"):
            return self._operand() if sign == "+" else -self._operand()
        if self._next("("):
            value = self._sum()
            if not self._next(")"):
                raise ValueError("a parenthesis is not closed")
            return value
        if not self._left or not self._left[-1].isdigit():
            raise ValueError(f"no number at {self._left[-1] if self._left else 'the end'!r}")
        self.numbers.append(int(self._left.pop()))
        return Fraction(self.numbers[-1])


def _tokens(text: str) -> list[str]:
    """Tokens, the first one last."""
    found, place, text = [], 0, text.rstrip()
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise ValueError(f"{text[place:].strip()[:1]!r} is not part of an expression")
        found.append(match[1] or match[2])
        place = match.end()
    return found[::-1]

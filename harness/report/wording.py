"""Names and numbers in sentences."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable


def plain(text: str, most: int = 80) -> str:
    """Text on one line, without marks that turn the direction of what follows, and not endless.

    >>> plain("a\\n b"), plain("x" * 300, most=3)
    ('a b', 'xx…')
    """
    shown = "".join(letter for letter in " ".join(text.split()) if unicodedata.category(letter) != "Cf")
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"


def listed(names: Iterable[str], most: int = 12) -> str:
    """Names with commas; of many, how many more there are.

    >>> listed(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    shown = [plain(name) for name in names]
    more = f" and {len(shown) - most} more" if len(shown) > most else ""
    return ", ".join(shown[:most]) + more


def many(count: int, thing: str, things: str = "") -> str:
    """A number of things.

    >>> many(1, "task"), many(2000, "entry", "entries")
    ('1 task', '2,000 entries')
    """
    return f"{count:,} {thing if count == 1 else things or f'{thing}s'}"

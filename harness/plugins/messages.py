"""One-line answers to bad input, shared by everything that reads names and options."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any

LISTED = 40  # names; a longer list is cut


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """The nearest right names as a question, or the list of all where none is near.

    >>> did_you_mean("opnai-es", ["openai-es", "spsa"])
    "did you mean 'openai-es'?"
    >>> did_you_mean("x", ["openai-es", "spsa"])
    'there are openai-es, spsa'
    """
    known = sorted(set(names))
    near = nearest(name, known)
    if near:
        return f"did you mean {' or '.join(repr(each) for each in near)}?"
    if not known:
        return "there are none"
    return f"there are {', '.join(known[:LISTED])}{', ...' if len(known) > LISTED else ''}"


def nearest(name: str, names: Iterable[str], likeness: float = 0.6) -> list[str]:
    """At most three names that are like this one, the most alike first; capitals do not count.

    >>> nearest("Spsa", ["spsa", "openai-es"])
    ['spsa']
    """
    by_lower = {each.lower(): each for each in sorted(names)}
    return [by_lower[each] for each in difflib.get_close_matches(name.lower(), by_lower, 3, likeness)]


def shown(value: object) -> str:
    """A value as it is quoted in a message: its repr, on one line and not long.

    >>> shown("a" * 100)[-5:]
    "aaa…'"
    """
    if isinstance(value, str) and len(value) > 80:
        value = value[:79] + "…"
    text = repr(value)
    return text if len(text) <= 400 else text[:399] + "…"


def short(text: object) -> str:
    """A name or a path as it is, where it fits on a line; quoted and cut where it does not.

    >>> short("results/mine"), short("a" + chr(10) + "b")
    ('results/mine', "'a\\\\nb'")
    """
    plain = str(text)
    return plain if plain.isprintable() and len(plain) <= 200 else shown(plain)


def visible(text: str) -> str:
    """A text without what a terminal obeys: control characters, and marks that turn the direction of writing.

    Line breaks stay; other spaces are plain ones.

    >>> visible("a" + chr(27) + "[31mb" + chr(10) + chr(0x202E) + "c")
    'a[31mb\\nc'
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        each if each.isprintable() or each == "\n" else " " if each.isspace() else "" for each in text
    )


def one_line(error: BaseException) -> str:
    """An exception as one line: its type and the first line of what it says.

    >>> one_line(ValueError("no such row" + chr(10) + "details"))
    'ValueError: no such row'
    """
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0].strip()}" if lines else type(error).__name__


def complaint(error: Mapping[str, Any]) -> str:
    """What one error of pydantic's ``errors()`` says, in the words of this project.

    >>> complaint({"type": "", "msg": "Input should be greater than or equal to 1", "input": -5})
    'must be at least 1, got -5'
    """
    if error["type"] == "missing":
        return "is missing"
    message = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "value_error":  # a validator's own words
        return message
    for pattern, words in _WORDS:
        message = re.sub(pattern, words, message)
    return f"{message}, got {shown(error['input'])}"


_WORDS = (
    (r"^Input should be ", "must be "),
    (r"^.* should have at least 1 item.*$", "must name at least one"),
    (r"^.* should have at least 1 character$", "must not be empty"),
    (r", unable to (parse|interpret).*$", ""),
    (r"greater than or equal to", "at least"),
    (r"less than or equal to", "at most"),
    (r"a valid integer", "a whole number"),
    (r"a valid (tuple|list)", "a list"),
    (r"a valid dictionary( or instance of \w+)?", "a mapping of keys to values"),
    (r"a valid ", "a "),
    (r"a string", "a text"),
    (r"a boolean", "true or false"),
)

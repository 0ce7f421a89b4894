"""Texts that come with results, as JSON and as CSV that do nothing to whoever opens them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from harness.plugins.messages import visible

if TYPE_CHECKING:
    import pandas as pd

_FORMULA = ("=", "+", "-", "@")
"""What spreadsheets take the beginning of a formula for; numbers are written as numbers."""


def as_json(content: Any) -> str:
    r"""JSON in which what a terminal would obey stands as an escape; the same content when it is read.

    >>> as_json({"é": chr(27) + chr(0x202E)})
    '{\n "é": "\\u001b\\u202e"\n}'
    """
    text = json.dumps(content, indent=1, ensure_ascii=False)
    return re.sub(r"[^\x20-\x7e\n]", _escaped, text)


def _escaped(found: re.Match[str]) -> str:
    letter = found[0]
    return letter if letter.isprintable() or ord(letter) > 0xFFFF else f"\\u{ord(letter):04x}"


def as_csv(frame: pd.DataFrame) -> str:
    """A frame as CSV, without its index; no text in it is a formula, and each stands on one line.

    A text that begins as a formula does gets a ``'`` before it, which spreadsheets do not show. No name of an
    algorithm, task or metric that gradfree takes begins so.

    >>> import pandas as pd
    >>> as_csv(pd.DataFrame({"algorithm": ["=1+1", "spsa"], "gain": [-0.5, 1.0]}))
    "algorithm,gain\\n'=1+1,-0.5\\nspsa,1.0\\n"
    """
    shown = frame.apply(lambda column: column.map(_plain) if column.dtype.kind not in "biufc" else column)
    return str(shown.to_csv(index=False))


def _plain(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    text = visible(" ".join(value.split()))
    return f"'{text}" if text.startswith(_FORMULA) else text

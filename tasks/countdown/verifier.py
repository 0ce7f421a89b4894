"""Whether a text solves a Countdown problem, and whether it is laid out as asked."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

from tasks.countdown.expression import Expression

_ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
_THOUGHT = re.compile(r"<think>.*?</think>", re.DOTALL)
_WHOLE = re.compile(r"<think>.*?</think>\n<answer>.*?</answer>\n?", re.DOTALL)
_RUN = re.compile(r"[-+*/()0-9 \t]+")
FORMAT_SHARE = 0.1
"""What a perfect layout is worth beside a right answer's 1."""


def solves(
    text: str, numbers: Sequence[int], target: int | str, every: bool = True, tagged: bool = False
) -> bool:
    """Whether the last answer of a text reaches the target with the given numbers.

    The answer is what stands between the last ``<answer>`` and ``</answer>``, all of it; in a text without
    these, the last expression with an operator on the last line that has one, unless ``tagged``.

    Args:
        text: as generated.
        numbers: each may be used as often as it is given.
        target: to be reached exactly; rational arithmetic, so ``8 / 3 * 3`` is 8.
        every: whether each number has to be used.
        tagged: whether only an answer between tags counts, as in the published code of Qiu et al., 2025.

    >>> solves("Let me see.</think>\\n<answer>(7 - 5) * 12</answer>", [5, 7, 12], 24)
    True
    >>> solves("12 + 12 = 24", [5, 7, 12], 24), solves("So 12 * (7 - 5) = 24 .", [5, 7, 12], 24)
    (False, True)
    >>> solves("So 12 * (7 - 5) = 24 .", [5, 7, 12], 24, tagged=True)
    False
    """
    found = _answer(text, tagged)
    if found is None or found.value != Fraction(target):
        return False
    used, given = Counter(found.numbers), Counter(numbers)
    return used == given if every else used <= given


def _answer(text: str, tagged: bool) -> Expression | None:
    between = _ANSWER.findall(text)
    if between:
        return _expression(between[-1])
    for line in [] if tagged else reversed(text.splitlines()):
        for run in reversed(_RUN.findall(line)):
            found = _expression(run) if re.search(r"[-+*/]", run.strip().lstrip("-+")) else None
            if found is not None:
                return found
    return None


def _expression(text: str) -> Expression | None:
    try:
        return Expression(text.strip())
    except ValueError:
        return None


def layout(text: str) -> float:
    """How well a text keeps to ``<think>...</think>``, a new line, ``<answer>...</answer>``, in [0, 1].

    1 for exactly that and at most a last line break; otherwise .1 for a thought and .5 for an answer
    anywhere.

    Args:
        text: as generated after a prompt that ends with ``<think>``.

    Source: the format reward of Qiu et al., Evolution Strategies at Scale, 2025 (published code).

    >>> layout(" 3 + 4</think>\\n<answer>3 + 4</answer>"), layout("<answer>"), layout("<answer></answer>")
    (1.0, 0.0, 0.5)
    """
    text = f"<think>{text}"
    if _WHOLE.fullmatch(text):
        return 1.0
    return 0.1 * bool(_THOUGHT.search(text)) + 0.5 * bool(_ANSWER.search(text))

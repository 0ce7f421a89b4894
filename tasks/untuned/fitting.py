"""How many examples a prompt has room for, and how many prompts a forward."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tasks.batching import SCORED_ROWS
from tasks.encoding import Encoded

TOKENS = 2**14
"""At most about so many of one forward: prompts with examples are long."""


def fitting(lengths: Sequence[int], room: int, prompt: Callable[[int], int]) -> int:
    """How many examples, from the first on, fit before a question.

    Args:
        lengths: tokens of each example.
        room: tokens that a prompt may have.
        prompt: tokens of the prompt with so many examples.

    >>> fitting([5, 5, 5], 16, lambda count: 3 + 6 * count)  # one more between two
    2
    """
    left, count = room - prompt(0), 0
    while count < len(lengths) and left >= lengths[count]:
        left -= lengths[count]
        count += 1
    while count and prompt(count) > room:
        count -= 1
    return count


def rows_at_once(rows: Encoded) -> int:
    """How many rows go through the model together.

    >>> import torch
    >>> rows = Encoded(torch.zeros(99, 2048, dtype=torch.long), torch.full((99,), 2048), torch.zeros(99))
    >>> rows_at_once(rows)
    8
    """
    return max(4, min(SCORED_ROWS, TOKENS // rows.ids.shape[1]))

"""What the grammars of the three data sets produce: text with the verdicts of two readers.

A careful reader sees negation and contrast and is right by definition. A hasty reader follows a shallow
rule that each grammar states, and is right only where the rule happens to agree.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

Keep = Callable[[str], bool]
"""Says whether a sentence may be used; grammars draw again until it does."""


class Judged(NamedTuple):
    """One sentence, or a premise and a hypothesis, with both readers' labels.

    >>> Judged(("the plot was not dull",), careful=1, hasty=0).careful
    1
    """

    sentences: tuple[str, ...]
    careful: int
    hasty: int

"""The most frequent class, whatever the text."""

from __future__ import annotations

from algorithms.references.reference import Reference
from harness.core import Budget, Majority, Space


class MajorityClass(Reference):
    """Answers the class that most training rows of the repetition have, the lowest of several.

    A marked reference: of balanced classes it is chance, and a row at its level has learned nothing. Its
    loss is that of the classes' frequencies among the training rows, one added to each count.

    >>> from harness.core import Block
    >>> constant = MajorityClass(Space([Block("x", (2,), "vector")]), Budget(20), seed=0)
    >>> constant.ask(remaining=20) is None, constant.best()
    (True, Majority())
    """

    untuned = Majority()

    def __init__(self, space: Space, budget: Budget, seed: int) -> None:
        super().__init__(space, budget, seed)

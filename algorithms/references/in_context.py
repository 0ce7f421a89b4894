"""Examples in the prompt instead of tuning."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from algorithms.references.reference import Reference
from harness.core import Algorithm, Budget, Demonstrations, Space


class InContext(Reference):
    """The untouched model, shown training rows of the repetition with their answers before each question.

    A marked reference. The rows come class after class in turn, in an order that is drawn from the seed of
    the data split; a question is shown as many of them as there is room for, from the first on. Questions of
    the training split are shown the same rows, themselves among them.

    Args:
        shots: rows that are shown at most, over all classes. What a question costs grows with them.

    Source: Brown et al., Language Models are Few-Shot Learners, 2020.

    >>> from harness.core import Block
    >>> shown = InContext(Space([Block("x", (2,), "vector")]), Budget(20), seed=0, shots=4)
    >>> shown.ask(remaining=20) is None, shown.best()
    (True, Demonstrations(shots=4))
    """

    source = "Brown et al. 2020"
    untuned = Demonstrations()

    def __init__(
        self, space: Space, budget: Budget, seed: int, *, shots: Annotated[int, Field(ge=1)] = 32
    ) -> None:
        super().__init__(space, budget, seed)
        self.untuned = Demonstrations(shots)

    @classmethod
    def configured(cls, **options: Any) -> type[Algorithm]:
        own = {"__doc__": cls.__doc__, "__module__": cls.__module__, "untuned": Demonstrations(**options)}
        return type(cls.__name__, (cls,), own)

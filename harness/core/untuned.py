"""Ways of answering a task in which nothing is tuned: what reference rows report in place of a point."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from harness.core.population import Population


@dataclass(frozen=True)
class Untuned:
    """A way of answering without tuning, as a value: equal ones give equal answers.

    An algorithm names its own as class data (``Algorithm.untuned``), a task says which it knows
    (``Task.misfit``) and scores them among candidates.

    >>> Demonstrations(shots=4) == Demonstrations(shots=4)
    True
    """


@dataclass(frozen=True)
class Majority(Untuned):
    """The class that most training rows have; the lowest of several.

    >>> Majority()
    Majority()
    """


@dataclass(frozen=True)
class Demonstrations(Untuned):
    """The untouched model, shown training rows with their answers before each question.

    Args:
        shots: rows that are shown, over all classes; fewer where no more are trained on, or fit.

    Source: Brown et al., Language Models are Few-Shot Learners, 2020.

    >>> Demonstrations().shots
    32
    """

    shots: int = 32


@dataclass(frozen=True)
class Probe(Untuned):
    """Logistic regression, fitted to training rows, on what the untouched model sees at the answer.

    Source: Alain & Bengio, Understanding intermediate layers using linear classifier probes, 2016.

    >>> Probe()
    Probe()
    """


Candidate: TypeAlias = Population | Untuned | None
"""What a task scores: a population of one, a way of answering without tuning, or None, the model as it is."""


def point(candidate: Candidate) -> Population | None:
    """A candidate as a task takes it that knows no way of answering without tuning.

    Raises:
        TypeError: for such a way.

    >>> point(None) is None
    True
    >>> point(Majority())
    Traceback (most recent call last):
        ...
    TypeError: this task has points only, and cannot score Majority()
    """
    if isinstance(candidate, Untuned):
        raise TypeError(f"this task has points only, and cannot score {candidate}")
    return candidate

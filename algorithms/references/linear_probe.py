"""A linear classifier beside the model instead of tuning it."""

from __future__ import annotations

from algorithms.references.reference import Reference
from harness.core import Budget, Probe, Space


class LinearProbe(Reference):
    """Logistic regression on the untouched model's features of the training rows.

    A marked reference. Features are the hidden state before the output embedding where the answer stands, or
    a sentence encoder's vector of the text, standardised over the training rows. How strongly weights are
    held back is chosen on the dev rows, among a few.

    Source: Alain & Bengio, Understanding intermediate layers using linear classifier probes, 2016.

    >>> from harness.core import Block
    >>> probe = LinearProbe(Space([Block("x", (2,), "vector")]), Budget(20), seed=0)
    >>> probe.ask(remaining=20) is None, probe.best()
    (True, Probe())
    """

    source = "Alain & Bengio 2016"
    untuned = Probe()

    def __init__(self, space: Space, budget: Budget, seed: int) -> None:
        super().__init__(space, budget, seed)

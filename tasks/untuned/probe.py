"""A linear classifier on what the untouched model sees where the answer stands."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from harness.core import Cost, Split
from tasks.batching import Batches, joined
from tasks.encoding import Encoded
from tasks.forward import answer_features
from tasks.objectives import metrics
from tasks.tuning.base import View
from tasks.untuned.logistic import Logistic, fitted
from tasks.untuned.way import Way

if TYPE_CHECKING:
    from tasks.text_task import TextTask

STRENGTHS = (100.0, 10.0, 1.0, 0.1, 0.01)
"""Of the penalty on weights, from which one is chosen on dev: by the task's metric, then by cross-entropy."""
RECENT = 16
"""Repetitions whose classifiers are kept."""


class Features(Batches):
    """Features ``[R, width]`` of rows, in place of logits."""

    def _logits(self, see: Callable[[], View], rows: Sequence[Encoded]) -> Tensor:
        begin = time.perf_counter()
        here = answer_features(self.model, self.words, joined(rows)).cpu()
        self.forward_seconds += time.perf_counter() - begin
        return here[None]


class ProbeWay(Way):
    """Logistic regression on features that are standardised over the training rows.

    Args:
        task: whose rows are answered.

    >>> from harness.core import Protocol
    >>> from tasks.objectives import cross_entropy
    >>> from tasks.reference.registered import reference, sentiment
    >>> from tasks.text_task import TextTask
    >>> from tasks.tuning.prompt import PromptTuning
    >>> protocol = Protocol(per_class=4, test_rows=8)
    >>> task = TextTask(sentiment(), reference(), PromptTuning(), cross_entropy, protocol, "toy")
    >>> ProbeWay(task).logits("train", 0).argmax(1).tolist() == ProbeWay(task).labels("train", 0).tolist()
    True
    """

    def __init__(self, task: TextTask) -> None:
        super().__init__(task)
        self._of_repetition = lru_cache(RECENT)(self._fit)

    def logits(self, split: Split, repetition: int) -> Tensor:
        return self._of_repetition(repetition).logits(self.features(split, repetition))

    def cost(self, split: Split, repetition: int) -> Cost:
        """Train and dev are read to fit, before dev is scored, and not again."""
        read: dict[Split, tuple[Split, ...]] = {"dev": ("train", "dev"), "train": (), "test": ("test",)}
        costs = (self.task.plain_cost(self.task.rows_of(each, repetition)) for each in read[split])
        return sum(costs, Cost())

    def estimate(self) -> dict[Split, Cost]:
        rows, tokens = self.task.estimated_rows(), self.task.mean_tokens
        return {
            "dev": self.estimated(rows["train"] + rows["dev"], tokens),
            "test": self.estimated(rows["test"], tokens),
        }

    def features(self, split: Split, repetition: int) -> Tensor:
        """``[R, width]`` of a split's rows, in their order."""
        rows = self.task.rows_of(split, repetition)
        before = self._features.forward_seconds
        (found,) = self.task.run_scored(self._features, [(None, rows)])
        self.task.searched.forward_seconds += self._features.forward_seconds - before
        return found

    @cached_property
    def _features(self) -> Features:
        task = self.task
        return Features(task.model, task.tuning, task.space, task.words)

    def _fit(self, repetition: int) -> Logistic:
        train, dev = (self.features(split, repetition).double() for split in ("train", "dev"))
        mean, spread = train.mean(0), train.std(0, correction=0)
        inverse = torch.where(spread > 1e-6 * spread.max(), 1 / spread, 0.0)  # of what never varies, nothing
        best: tuple[tuple[float, float], Logistic] | None = None
        for strength in STRENGTHS:
            one = fitted(
                (train - mean) * inverse, self.labels("train", repetition), self.task.data.classes, strength
            )
            whole = Logistic(one.weights * inverse, one.offsets - one.weights @ (mean * inverse))
            found = metrics(whole.logits(dev), self.labels("dev", repetition), self.task.metric)
            order = found[self.task.metric], -found["loss"]
            if best is None or order > best[0]:
                best = order, whole
        assert best is not None
        return best[1]

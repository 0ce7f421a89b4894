"""The most frequent class of the training rows, for every row."""

from __future__ import annotations

import torch
from torch import Tensor

from harness.core import Split
from tasks.untuned.way import Way


class MajorityWay(Way):
    """Logits are logarithms of the training rows' class counts, each one up: a class without rows is finite.

    >>> from harness.core import Protocol
    >>> from tasks.objectives import cross_entropy
    >>> from tasks.reference.registered import reference, sentiment
    >>> from tasks.text_task import TextTask
    >>> from tasks.tuning.prompt import PromptTuning
    >>> protocol = Protocol(per_class=3, test_rows=5)
    >>> task = TextTask(sentiment(), reference(), PromptTuning(), cross_entropy, protocol, "toy")
    >>> MajorityWay(task).logits("test", 0).exp().round().tolist()[:2]
    [[4.0, 4.0], [4.0, 4.0]]
    """

    def logits(self, split: Split, repetition: int) -> Tensor:
        counts = torch.bincount(self.labels("train", repetition), minlength=self.task.data.classes)
        return (counts + 1.0).double().log().repeat(len(self.labels(split, repetition)), 1)

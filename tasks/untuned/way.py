"""What a way of answering without tuning has to give."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from harness.core import Cost, Split

if TYPE_CHECKING:
    from tasks.text_task import TextTask


class Way(ABC):
    """A way of answering one text task; nothing is loaded before its answers are asked for.

    Args:
        task: whose rows are answered.
    """

    def __init__(self, task: TextTask) -> None:
        self.task = task

    def misfit(self) -> str | None:
        """Why the task cannot be answered so, in one sentence; None if it can."""
        return None

    @abstractmethod
    def logits(self, split: Split, repetition: int) -> Tensor:
        """Logits ``[R, C]`` of a split's rows, in their order."""

    def cost(self, split: Split, repetition: int) -> Cost:
        """What these take; nothing, where the model is not asked."""
        return Cost()

    def estimate(self) -> dict[Split, Cost]:
        """What each split is going to take, on average; for plans, before weights are loaded."""
        return {}

    def estimated(self, rows: int, tokens: float) -> Cost:
        """Rows of so many tokens each through the untouched model."""
        per_row = tokens * self.task.model.flops_per_token(round(tokens))
        return Cost(rows, round(rows * tokens), rows * per_row)

    def labels(self, split: Split, repetition: int) -> Tensor:
        """Classes int64 ``[R]`` of a split's rows."""
        source, numbers = self.task.chosen(split, repetition)
        return torch.tensor([self.task.data.splits[source][number].label for number in numbers])

"""Tasks on tiny models, whose untouched answers transformers gives a row at a time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.core import Protocol
from tasks.datasets import TextData
from tasks.language_model import LanguageModel
from tasks.objectives import cross_entropy
from tasks.reference.registered import reference, sentiment
from tasks.text_task import TextTask
from tasks.tuning.prompt import PromptTuning

Make = Callable[..., TextTask]


@pytest.fixture(scope="session")
def make(folders: Callable[[str], Path]) -> Make:
    """(architecture or None for the reference model, data, protocol) -> a task; models are loaded once."""
    loaded: dict[str | None, LanguageModel] = {None: reference(dtype="float64")}

    def task(architecture: str | None = None, data: TextData | None = None, **sizes: int) -> TextTask:
        if architecture not in loaded:
            loaded[architecture] = LanguageModel(path=str(folders(str(architecture))), dtype="float64")
        protocol = Protocol(**{"per_class": 4, "minibatch": 4, "test_rows": 12, **sizes})
        tuning = PromptTuning(tokens=3)
        return TextTask(data or sentiment(), loaded[architecture], tuning, cross_entropy, protocol, "toy")

    return task

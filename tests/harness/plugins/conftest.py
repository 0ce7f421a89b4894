"""A text task out of toys."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import torch

from harness.core import Block, Cost, Evaluation, Signature, Space, Task
from harness.plugins.registry import DATASETS, MODELS, TASKS, TUNINGS


class ToyTask(Task):
    """Remembers what it was made of."""

    def __init__(self, **parts):
        self.parts = parts
        self.space = Space([Block("x", (parts.get("dimension", 2),), "vector")])

    def evaluate(self, requests):
        return [Evaluation(torch.zeros(len(r.population)), None, Cost()) for r in requests]

    def score(self, candidates, split):
        return [{"accuracy": 0.0} for _ in candidates]

    def signature(self):
        return Signature("toy", ())


class ToyFunction(ToyTask):
    """A registered task."""

    def __init__(self, *, dimension: int = 2):
        if dimension < 1:
            raise ValueError("dimension must be positive")
        super().__init__(dimension=dimension)


class ToyTuning:
    """A tuning with an option."""

    def __init__(self, *, rank: int = 1):
        self.rank = rank

    def task(self, data, model, objective, protocol, name):
        return ToyTask(
            data=data, model=model, objective=objective, protocol=protocol, name=name, rank=self.rank
        )


@pytest.fixture
def toys() -> Iterator[dict[str, list]]:
    """Registers toy-data, toy-model, toy-tuning, toy-function; lists what the factories were called with."""
    calls: dict[str, list] = {"data": [], "model": []}

    def data(*, rows: int = 4):
        calls["data"].append({"rows": rows})
        return ("data", rows)

    def model(*, device: str = "cpu", dtype: str = "float32", width: int = 8):
        calls["model"].append({"device": device, "dtype": dtype, "width": width})
        return ("model", width)

    with ExitStack() as stack:
        stack.enter_context(DATASETS.register("toy-data", data))
        stack.enter_context(MODELS.register("toy-model", model))
        stack.enter_context(TUNINGS.register("toy-tuning", ToyTuning))
        stack.enter_context(TASKS.register("toy-function", ToyFunction))
        yield calls

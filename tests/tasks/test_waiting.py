"""A device is not waited for candidate by candidate: what makes the host wait is counted, on the CPU too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.overrides import TorchFunctionMode, resolve_name
from torch.utils._python_dispatch import TorchDispatchMode

from harness.core import Gaussian, LowRank, Perturbations, Points, Population, Request, Space, counter
from tasks import batching
from tasks.language_model import LanguageModel
from tests.tasks.test_forward import TUNINGS, make_task

METHODS = ("item", "tolist", "cpu", "numpy", "__bool__", "__int__", "__float__", "__index__")
OPERATIONS = ("_local_scalar_dense", "nonzero", "_unique2", "unique_consecutive", "masked_select", "equal")
"""Their results have values, or sizes, that only the device knows."""


class Waiting(TorchFunctionMode):
    """Counts methods that bring values to Python."""

    def __init__(self, found: Counter[str]) -> None:
        super().__init__()
        self.found = found

    def __torch_function__(
        self, function: Any, types: Any, given: tuple[Any, ...] = (), named: Any = None
    ) -> Any:
        name = (resolve_name(function) or "").rpartition(".")[2]
        self.found[name] += name in METHODS
        return function(*given, **(named or {}))


class Operating(TorchDispatchMode):
    """Counts operations that wait for values."""

    def __init__(self, found: Counter[str]) -> None:
        super().__init__()
        self.found = found

    def __torch_dispatch__(
        self, function: Any, types: Any, given: tuple[Any, ...] = (), named: Any = None
    ) -> Any:
        name = function.name().partition("::")[2].partition(".")[0]
        self.found[name] += name in OPERATIONS
        return function(*given, **(named or {}))


def waits(task: Any, candidates: Population) -> Counter[str]:
    """How often an evaluation waits, by what for."""
    task.evaluate([Request(candidates, 0, 0)])  # what is read, tried and drawn only once
    found: Counter[str] = Counter()
    with Waiting(found), Operating(found):
        task.evaluate([Request(candidates, 0, 0)])
    return +found


def asked(space: Space, kind: str, members: int) -> Population:
    """So many candidates; perturbations in mirrored pairs."""
    if kind == "points":
        return Points(torch.randn(members, space.size, generator=torch.Generator().manual_seed(0)))
    law, numbers = {"gaussian": Gaussian, "low-rank": LowRank}[kind], torch.arange(members)
    signs = (1 - 2 * (numbers % 2)).to(torch.int8)
    return Perturbations(space.start(), law(space, 0, 0), 0.1, numbers // 2, signs)


@pytest.mark.parametrize("kind", ["points", "gaussian", "low-rank"])
@pytest.mark.parametrize("tuning", ["prompt", "lora", "full"])
@pytest.mark.parametrize("accelerator", [False, True])
def test_four_times_as_many_candidates_wait_no_more_often(
    load: Callable[..., LanguageModel],
    monkeypatch: pytest.MonkeyPatch,
    tuning: str,
    kind: str,
    accelerator: bool,
) -> None:
    monkeypatch.setattr(counter, "serves", lambda device: accelerator)
    monkeypatch.setattr(batching, "first_guess", lambda device, tokens: 64)  # one chunk in both
    task = make_task(load("llama"), TUNINGS[tuning]())
    few, many = (waits(task, asked(task.space, kind, members)) for members in (4, 16))
    assert few["cpu"] > 0  # of the logits of a chunk
    assert few == many


def test_waiting_is_seen() -> None:
    found: Counter[str] = Counter()
    with Waiting(found), Operating(found):
        numbers = torch.arange(3)
        assert numbers.sum().item() == 3
        assert bool(numbers.any())
        assert numbers.tolist() == [0, 1, 2]
        numbers[numbers > 1] = 0
        torch.unique(numbers)
    assert {"item", "__bool__", "tolist", "_unique2"} <= set(+found)

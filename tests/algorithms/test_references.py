"""References that tune nothing ask nothing, and say in which way they answer."""

from __future__ import annotations

import pytest
import torch

from harness.core import AlgorithmSpec, Budget, Demonstrations, Majority, Points, Probe, Untuned
from harness.plugins.build import algorithm_class, build_algorithm
from tests.algorithms.drive import space_of

WAYS: dict[str, Untuned] = {
    "majority-class": Majority(),
    "in-context": Demonstrations(32),
    "in-context[shots=4]": Demonstrations(4),
    "linear-probe": Probe(),
}


@pytest.mark.parametrize("name", WAYS)
def test_the_way_is_known_from_the_class_and_is_what_is_reported(name: str) -> None:
    kind, _ = algorithm_class(name)
    algorithm = build_algorithm(name, space_of(), Budget(20), 0)
    assert kind.untuned == algorithm.best() == WAYS[name]
    assert algorithm.ask(20) is None
    assert (kind.reference, kind.smallest_budget, kind.family) == (True, 0, "references")


@pytest.mark.parametrize("name", ["zero-shot", *WAYS])
def test_there_is_nothing_to_tell_it(name: str) -> None:
    algorithm = build_algorithm(name, space_of(), Budget(20), 0)
    with pytest.raises(ValueError, match="asks for nothing, so there is nothing to tell it"):
        algorithm.tell(Points(torch.zeros(1, 10)), torch.zeros(1, dtype=torch.float64))


@pytest.mark.parametrize("name", WAYS)
def test_it_is_no_stage_of_another_algorithm(name: str) -> None:
    stage = AlgorithmSpec(name, *algorithm_class(name))
    assert stage.misfit(10, 20) == f"{name}: it reports no point of the space that another could go on from"
    assert AlgorithmSpec("zero-shot", *algorithm_class("zero-shot")).misfit(10, 20) is None

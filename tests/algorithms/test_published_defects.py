"""Defects of published code that any algorithm could have; tests named ``test_defect_N`` stand elsewhere too.

The numbers are: 1 same-shaped tensors share their noise, 2 another direction is stepped along than was
evaluated, 3 low-precision weights drift, 4 missing factors and inverted signs, 5 a budget counted in
generations, 6 a sampler that starts again or depends on the process, 8 the least loss reported in place of
the search's point, 9 a crash or a refused generation hidden, 10 unsorted samples, elementwise functions of
matrices, another preconditioner in the step than in the perturbation.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

from harness.core import Points
from tests.algorithms.drive import CONTESTANTS, REGISTERED, coordinates, drive, make, space_of

SEARCHES = sorted(
    name
    for name in CONTESTANTS
    if REGISTERED[name].load().family in ("evolution strategies", "gradient estimators")
)


@pytest.mark.parametrize("name", ["mu-lambda", "openai-es", "eggroll", "snes", "cma-es", "pycma"])
@pytest.mark.parametrize("population", [4, 20])
def test_defect_5_the_budget_counts_evaluations_however_large_a_generation_is(
    name: str, population: int
) -> None:
    budget = 47
    spent = sum(map(len, drive(make(name, space_of(), budget, population=population), budget)))
    assert budget - population < spent <= budget


_DIGEST = """
import hashlib
from tests.algorithms.drive import CONTESTANTS, coordinates, make, space_of
for name in CONTESTANTS:
    asked = coordinates(make(name, space_of(), 60, seed=5).ask(60)).numpy()
    print(name, hashlib.sha256(asked.tobytes()).hexdigest())
"""


def test_defect_6_draws_do_not_depend_on_the_salt_that_python_gives_a_process() -> None:
    def digests(salt: str) -> list[str]:
        run = subprocess.run(
            [sys.executable, "-c", _DIGEST],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": salt, "PYTHONPATH": os.getcwd()},
        )
        assert run.returncode == 0, run.stderr
        return run.stdout.splitlines()

    assert digests("1") == digests("2")


def lucky(points: torch.Tensor) -> torch.Tensor:
    """A sphere, and a stroke of luck for one member: as a noisy loss gives."""
    losses = 0.5 * (points - 1.0).square().mean(1).double()
    losses[len(losses) // 2] = -100.0
    return losses


@pytest.mark.parametrize("name", sorted(set(SEARCHES) - {"one-plus-one"}))
def test_defect_8_the_member_of_least_loss_is_not_what_a_search_reports(name: str) -> None:
    algorithm = make(name, space_of(), 200)
    asked = []
    for _ in range(4):
        population = algorithm.ask(200)
        assert population is not None
        points = coordinates(population)
        asked.append(points if isinstance(population, Points) or population.signs.all() else points[:0])
        algorithm.tell(population, lucky(points))
    reported = coordinates(algorithm.best())
    assert not any(bool((points == reported).all(1).any()) for points in asked)

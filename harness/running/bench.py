"""How fast populations of a task are evaluated beside plain inference, and which size to use."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch

from harness.core.errors import UserError
from harness.core.low_rank import LowRank
from harness.core.noise import Gaussian, Noise
from harness.core.population import Perturbations
from harness.core.task import Request, Task

POPULATIONS = tuple(2**k for k in range(1, 9))
ENOUGH = 0.95
"""The recommended population reaches this share of the best throughput."""
WARM = 6
"""Runs before the clock starts, in which a task finds its chunk size."""


@dataclass(frozen=True)
class Pace:
    """What was measured of one population.

    Args:
        noise: ``dense`` or ``low-rank``; the same for a task that writes candidates out anyway.
        population: members.
        tokens: per second, without padding.
        ratio: of that to plain inference of the unchanged model, median over pairs.
    """

    noise: str
    population: int
    tokens: float
    ratio: float


def bench(task: Task, populations: Sequence[int] = POPULATIONS, rounds: int = 5) -> Iterator[Pace]:
    """Evaluate mirrored populations and the unchanged model in turns.

    Full tuning is measured with dense perturbations and with those of rank one. Ends early at a population
    that does not fit into memory.

    Args:
        task: one that counts its tokens, as those with a language model do.
        populations: even numbers of members, ascending.
        rounds: pairs for each.

    Raises:
        UserError: for a task without a model.

    >>> from harness.plugins.build import Builder
    >>> [pace.population for pace in bench(Builder().task("topic/reference/prompt"), [2, 4], rounds=1)]
    [2, 4]
    """
    split = task.score_cost("train", 0).tokens
    if not split:
        raise UserError(
            "bench: this task has no model whose plain inference could be compared; name dataset/model/tuning"
        )

    def plain() -> None:
        task.score([(None, 0)], "train")

    laws: dict[str, type[Noise]] = {"dense": Gaussian}
    if not task.shares_forward:
        laws["low-rank"] = LowRank
    for name, law in laws.items():
        for population in populations:
            try:
                yield _pace(task, name, law, population, split, plain, rounds)
            except MemoryError:
                break


def recommended(paces: Sequence[Pace]) -> Pace:
    """The smallest population that is nearly as fast as the fastest.

    >>> recommended([Pace("dense", 2, 50.0, 0.5), Pace("dense", 4, 98.0, 0.9), Pace("dense", 8, 100.0, 1.0)])
    Pace(noise='dense', population=4, tokens=98.0, ratio=0.9)
    """
    best = max(pace.tokens for pace in paces)
    return min((p for p in paces if p.tokens >= ENOUGH * best), key=lambda pace: pace.population)


def _pace(
    task: Task,
    name: str,
    law: type[Noise],
    population: int,
    split: int,
    plain: Callable[[], None],
    rounds: int,
) -> Pace:
    numbers = torch.arange(population)
    signs = (1 - 2 * (numbers % 2)).to(torch.int8)
    start, evaluated = task.space.start(), 0

    def ours(generation: int) -> None:
        nonlocal evaluated
        asked = Perturbations(start, law(task.space, 0, generation), 0.1, numbers // 2, signs)
        evaluated = task.evaluate([Request(asked, 0, generation)])[0].cost.tokens

    for generation in range(WARM):
        ours(generation)
    plain()
    rates, ratios = [], []
    for generation in range(rounds):
        rate = split / _seconds(plain)
        taken = _seconds(partial(ours, generation))
        rates.append(evaluated / taken)
        ratios.append(rates[-1] / rate if math.isfinite(rate) else math.nan)
    return Pace(name, population, statistics.median(rates), statistics.median(ratios))


def _seconds(call: Callable[[], None]) -> float:
    """Of one call; a task hands over losses on the CPU, so the device has finished by then."""
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin

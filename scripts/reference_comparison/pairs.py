"""Who is compared with whom, and for how long."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from algorithms.options import default_population
from reference_comparison.contestants import (
    Contestant,
    cmaes,
    crfmnes,
    evotorch,
    one_plus_one,
    ours,
    pycma,
    pypop7_lmmaes,
)


class Schedule(NamedTuple):
    """How many instances of each function, and how many evaluations of each, times d."""

    instances: int
    evaluations: int


SCHEDULES = {5: Schedule(12, 300), 20: Schedule(8, 300), 40: Schedule(7, 150), 500: Schedule(5, 60)}
QUADRATIC = {500: Schedule(5, 20)}
"""For those whose generation costs d^2 or more."""


class Pair(NamedTuple):
    """One of ours and one peer.

    Args:
        ours: the algorithm.
        peer: what it is set beside.
        schedules: by dimension.
        mirrored: whether the population has to be even.
    """

    ours: Contestant
    peer: Contestant
    schedules: dict[int, Schedule]
    mirrored: bool = False

    def population(self, dimension: int) -> int:
        """Of both: 4 + floor(3 ln d), one more if it has to be even."""
        size = default_population(dimension)
        return size + size % 2 if self.mirrored else size

    def budget(self, dimension: int, share: float) -> int:
        """Evaluations of a run, the share of them that is wanted; two generations at least."""
        wanted = round(share * self.schedules[dimension].evaluations * dimension)
        return max(2 * self.population(dimension), wanted)


def _plain(population: int, dimension: int) -> dict[str, Any]:
    return {"population": population, "sigma": 1.0}


def _rate(dimension: int) -> float:
    """Of PGPE's center: ClipUp's largest step, twice that, is 1/15 of the radius, as its authors advise."""
    return math.sqrt(dimension) / 30


def _up_to(limit: int) -> dict[int, Schedule]:
    return {d: schedule for d, schedule in SCHEDULES.items() if d <= limit}


CMA_ES = ours("cma-es", _plain)
SEP_CMA_ES = ours("sep-cma-es", _plain)

PAIRS = [
    Pair(CMA_ES, Contestant("pycma full", "cma", pycma(False)), SCHEDULES | QUADRATIC),
    Pair(CMA_ES, Contestant("cmaes CMA", "cmaes", cmaes("CMA")), _up_to(40)),
    Pair(SEP_CMA_ES, Contestant("pycma separable", "cma", pycma(True)), SCHEDULES),
    Pair(SEP_CMA_ES, Contestant("cmaes SepCMA", "cmaes", cmaes("SepCMA")), SCHEDULES),
    Pair(
        ours("snes", _plain),
        Contestant("EvoTorch SNES", "evotorch", evotorch("SNES", lambda n, d: {})),
        SCHEDULES,
    ),
    Pair(
        ours("xnes", _plain),
        Contestant("EvoTorch XNES", "evotorch", evotorch("XNES", lambda n, d: {})),
        _up_to(40),
    ),
    Pair(
        ours("pgpe", lambda n, d: {"population": n, "sigma": 1.0, "lr": _rate(d)}),
        Contestant(
            "EvoTorch PGPE",
            "evotorch",
            evotorch("PGPE", lambda n, d: {"center_learning_rate": _rate(d), "stdev_learning_rate": 0.1}),
        ),
        SCHEDULES,
        mirrored=True,
    ),
    Pair(ours("cr-fm-nes", _plain), Contestant("crfmnes", "crfmnes", crfmnes), SCHEDULES, mirrored=True),
    Pair(ours("lm-ma-es", _plain), Contestant("PyPop7 LMMAES", "pypop7", pypop7_lmmaes), SCHEDULES),
    Pair(
        ours("one-plus-one", lambda n, d: {"sigma": 1.0, "reevaluate": False}),
        Contestant("(1+1)-ES equations", None, one_plus_one),
        SCHEDULES,
    ),
]

"""What the tree of restarts of CEMCTS is worth: itself against the flat method, and with pieces changed.

    OMP_NUM_THREADS=1 python scripts/ablate_cemcts_restarts.py results/cemcts

Runs of analytic functions that are long enough for a first run to end (and short ones, in which it does not).
Every run is a row of ``restart-runs.csv``; a row that stands there is not run again, so that a stopped
ablation goes on. ``restarts.csv`` is the summary, paired with the run of ``cemcts`` of the same function,
dimension, budget and repetition. ``--quick`` is a smoke test.
"""

from __future__ import annotations

import argparse
import csv
import math
import sys
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy import stats
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parent))

from ablate_cemcts import FUNCTIONS, ackley, distance, ellipsoid, griewank, rastrigin

from harness.core import Block, Budget, Points, Space
from harness.plugins.build import build_algorithm

WHOLE, FLAT = "cemcts", "no tree (flat cross-entropy)"
VARIANTS = {
    WHOLE: "cemcts",
    FLAT: "cross-entropy",
    "flat, without patience": "cross-entropy[patience=1000000]",
    "random choice": "cemcts[choice=random]",
    "no parts": "cemcts[restart_parts=false]",
    "no merging": "cemcts[merge=false]",
    "neither": "cemcts[restart_parts=false,merge=false]",
    "pycma separable": "pycma[covariance=separable]",
}
LONG = {10: 5_000, 20: 10_000, 100: 40_000}
SHORT = {20: 2_000, 500: 3_000}
ALL_VARIANTS = 20  # the dimension at which every variant is run in long runs
COLUMNS = ["function", "group", "dimension", "budget", "variant", "repetition", "result"]


def lunacek(z: Tensor) -> Tensor:
    """Two funnels under a grid of local minima, the wider one with the worse floor (bi-Rastrigin)."""
    dimension = z.shape[1]
    slope = 1 - 1 / (2 * math.sqrt(dimension + 20) - 8.2)
    other = -math.sqrt((2.5**2 - 1) / slope)
    funnels = torch.minimum(z.square().sum(1), dimension + slope * (z + 2.5 - other).square().sum(1))
    return funnels + 10 * (1 - torch.cos(2 * math.pi * z)).sum(1)


def coupled(z: Tensor) -> Tensor:
    """Neighbouring pairs: a minimum of 0 at (0, 0) and a wider one of 1 at (4, 4), none between."""
    pairs = z.unflatten(1, (-1, 2))
    return torch.minimum(pairs.square().sum(2), 1 + (pairs - 4).square().sum(2) / 2).sum(1)


@lru_cache(maxsize=4)
def rotation(dimension: int, repetition: int) -> Tensor:
    """A random orthogonal matrix, ``[d, d]``."""
    generator = torch.Generator().manual_seed(70_000 + repetition)
    q, r = torch.linalg.qr(torch.randn(dimension, dimension, generator=generator, dtype=torch.float64))
    return q * r.diagonal().sign()


def rotated(function: Callable[[Tensor], Tensor], z: Tensor, repetition: int) -> Tensor:
    """A function in other axes."""
    return function(z @ rotation(z.shape[1], repetition))


def plain(function: Callable[[Tensor], Tensor], z: Tensor, repetition: int) -> Tensor:
    """A function as it is, whatever the repetition."""
    return function(z)


# name: the group, the function of offsets and repetition, and whose starting distances it has
PROBLEMS: dict[str, tuple[str, Callable[[Tensor, int], Tensor], str]] = {
    **{name: (group, partial(plain, function), name) for name, (group, function) in FUNCTIONS.items()},
    "lunacek": ("multimodal", partial(plain, lunacek), "lunacek"),
    "coupled": ("multimodal", partial(plain, coupled), "rastrigin"),
    "rotated rastrigin": ("multimodal", partial(rotated, rastrigin), "rastrigin"),
    "rotated ackley": ("multimodal", partial(rotated, ackley), "ackley"),
    "rotated griewank": ("multimodal", partial(rotated, griewank), "griewank"),
    "rotated ellipsoid": ("unimodal", partial(rotated, ellipsoid), "ellipsoid"),
}


def start(name: str, dimension: int, repetition: int) -> Tensor:
    """Where the optimum lies as seen from the start: float64 ``[d]``; for two funnels, from between them."""
    if name == "lunacek":
        return 2.5 + distance("sphere", dimension, repetition)
    return distance(name, dimension, repetition)


def final_value(name: str, spec: str, dimension: int, budget: int, repetition: int) -> float:
    """The function at ``best()`` when the budget is spent; of pycma, the least value that it evaluated.

    pycma is begun anew from its best point when it stops, and its ``best()`` is that of its last run.
    """
    _, function, distances = PROBLEMS[name]
    optimum = start(distances, dimension, repetition)
    allowance = Budget(budget)
    search = build_algorithm(spec, Space([Block("x", (dimension,), "vector")]), allowance, repetition)
    least = math.inf
    while allowance.remaining:
        asked = search.ask(allowance.remaining)
        if asked is None or not len(asked):
            break
        assert isinstance(asked, Points)
        allowance.spend(len(asked))
        losses = function(asked.values.double() - optimum, repetition)
        least = min(least, float(losses.min()))
        search.tell(asked, losses)
    if search.family == "baselines":
        return least
    best = search.best()
    assert isinstance(best, Points)
    return float(function(best.values.double() - optimum, repetition))


def planned(repetitions: int, long: dict[int, int], short: dict[int, int]) -> Iterator[dict[str, object]]:
    """Rows to be run, whole repetitions after one another; the result is missing."""
    for repetition in range(repetitions):
        for dimension, budget in [*long.items(), *short.items()]:
            everything = budget == LONG.get(ALL_VARIANTS) and dimension == ALL_VARIANTS
            for name, (group, *_) in PROBLEMS.items():
                for variant in VARIANTS if everything else (WHOLE, FLAT):
                    row = (name, group, dimension, budget, variant, repetition)
                    yield dict(zip(COLUMNS, row, strict=False))


def run(path: Path, rows: Iterator[dict[str, object]]) -> None:
    """Append the rows that are not there yet."""
    there = {tuple(row) for row in pd.read_csv(path)[COLUMNS[:-1]].itertuples(index=False)}
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        for row in rows:
            if tuple(row.values()) in there:
                continue
            name, _, dimension, budget, variant, repetition = row.values()
            result = final_value(name, VARIANTS[variant], dimension, budget, repetition)  # type: ignore[arg-type, index]
            writer.writerow(row | {"result": f"{result:.6g}"})
            file.flush()


def holm(values: list[float]) -> list[float]:
    """p-values corrected for their number.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    corrected, least = [0.0] * len(values), 0.0
    for rank, i in enumerate(np.argsort(values)):
        least = max(least, min(1.0, (len(values) - rank) * values[i]))
        corrected[i] = least
    return corrected


def summarise(runs: pd.DataFrame) -> pd.DataFrame:
    """Every variant against the whole, by function: the ratio's median, and how often which is better.

    p is Wilcoxon's signed ranks of the logarithms (zero differences left out), and Holm's for the functions
    of one dimension, budget and variant.
    """
    key = ["function", "group", "dimension", "budget", "repetition"]
    whole = runs[runs.variant == WHOLE].set_index(key).result
    tables = []
    for (dimension, budget, variant), cell in runs.groupby(["dimension", "budget", "variant"], sort=False):
        if variant == WHOLE:
            continue
        lines = []
        for (name, group), part in cell.groupby(["function", "group"], sort=False):
            paired = part.set_index(key).result.to_frame().join(whole.rename("whole"), how="inner")
            change = np.log(paired.result.clip(lower=1e-300) / paired.whole.clip(lower=1e-300))
            lines.append(
                {
                    "dimension": dimension,
                    "budget": budget,
                    "variant": variant,
                    "group": group,
                    "function": name,
                    "pairs": len(paired),
                    "cemcts": float(f"{paired.whole.median():.3g}"),
                    "theirs": float(f"{paired.result.median():.3g}"),
                    "ratio": float(f"{math.exp(change.median()):.3g}"),
                    "cemcts_better": int((change > 0).sum()),
                    "theirs_better": int((change < 0).sum()),
                    "p": float(stats.wilcoxon(change).pvalue) if change.any() else 1.0,
                }
            )
        table = pd.DataFrame(lines)
        tables.append(table.assign(p_holm=[float(f"{p:.2g}") for p in holm(table.p.tolist())]))
    result = pd.concat(tables)
    return result.assign(p=[float(f"{p:.2g}") for p in result.p])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--repetitions", type=int, default=10)
    parser.add_argument("--dimensions", help="only these, separated by commas")
    parser.add_argument("--quick", action="store_true", help="a smoke test of a few seconds")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / "restart-runs.csv"
    if not path.exists():
        pd.DataFrame(columns=COLUMNS).to_csv(path, index=False)
    long, short = ({4: 300}, {}) if arguments.quick else (LONG, SHORT)
    rows = planned(2 if arguments.quick else arguments.repetitions, long, short)
    if arguments.dimensions:
        wanted = {int(dimension) for dimension in arguments.dimensions.split(",")}
        rows = (row for row in rows if row["dimension"] in wanted)
    run(path, rows)
    summary = summarise(pd.read_csv(path))
    summary.to_csv(arguments.out / "restarts.csv", index=False)
    print(summary.to_string(index=False))


if __name__ == "__main__":
    main()

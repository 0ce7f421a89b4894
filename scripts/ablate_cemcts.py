"""What each piece of CEMCTS's trees of paths is worth: the whole, with a piece changed, and others.

Here ``cemcts`` is ``cemcts[blocks=2,restarts=incumbent]``, all at equal budget. The tree of restarts has
``scripts/ablate_cemcts_restarts.py``.

    OMP_NUM_THREADS=1 python scripts/ablate_cemcts.py results/cemcts
    OMP_NUM_THREADS=1 python scripts/ablate_cemcts.py results/cemcts --sweep my-data.yaml

The first command minimises analytic functions and runs the language-model tasks of the quick suite;
``--sweep`` runs the tasks of a sweep file too, with its budget and protocol. Every run is a row of
``runs.csv``; a function's row that stands there is not run again, so that a stopped ablation goes on.
``ablation.csv`` is the summary: paired with the run of ``cemcts`` of the same problem and repetition.
``--quick`` is a smoke test.
"""

from __future__ import annotations

import argparse
import csv
import math
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy import stats
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from algorithms.options import default_population
from harness import Sweep, load_results, sweep
from harness.core import Block, Budget, Points, Space
from harness.plugins.build import build_algorithm
from harness.plugins.spec import Spec

WHOLE = "cemcts"
MANY = "population={twice},rho=0.25"  # as many leaves as there were, filled in for each d and budget
PATHS = "blocks=2,restarts=incumbent"  # what the default was
VARIANTS = {
    WHOLE: f"cemcts[{PATHS}]",
    "no tree (flat cross-entropy)": "cross-entropy",
    "no cross-entropy (rates 0)": f"cemcts[{PATHS},eta_mean=0,eta_std=0]",
    "cross-entropy of the mean only": f"cemcts[{PATHS},eta_std=0]",
    "no virtual visits": f"cemcts[{PATHS},virtual_visits=false]",
    "random parts": f"cemcts[{PATHS},split=random]",
    "learned parts": f"cemcts[{PATHS},split=learned]",
    "four parts": "cemcts[blocks=4,restarts=incumbent]",
    "no path": f"cemcts[{PATHS},eta_path=0]",
    "no recheck": f"cemcts[{PATHS},recheck=false]",
    "values, not advantages": f"cemcts[{PATHS},credit=value]",
    "mirrored pairs first": f"cemcts[{PATHS},pairs=true,widening=0.5,alpha=1]",
    "twice the leaves, a quarter elite": f"cemcts[{PATHS},{MANY}]",
    "as at first": f"cemcts[{PATHS},credit=value,exploration=0.5,eta_path=0,recheck=false,{MANY}]",
    "flat, as at first": f"cross-entropy[eta_path=0,recheck=false,{MANY}]",
    "pycma separable": "pycma[covariance=separable]",
    "pycma full": "pycma",
}
ON_LANGUAGE_MODELS = [  # forward passes cost more: what can differ on a space of blocks
    WHOLE,
    "no tree (flat cross-entropy)",
    "random parts",
    "learned parts",
    "as at first",
    "pycma separable",
    "pycma full",
]
BUDGETS = {20: 2000, 100: 3000, 500: 3000}
FULL_COVARIANCE = 100  # largest d at which pycma's full covariance is run
COLUMNS = ["problem", "group", "dimension", "budget", "variant", "repetition", "result"]


def sphere(z: Tensor) -> Tensor:
    """Sum of squares; all functions take offsets ``[n, d]`` from the optimum, where they are 0."""
    return z.square().sum(1)


def ellipsoid(z: Tensor) -> Tensor:
    """Condition number 1e4."""
    return (10 ** (4 * torch.linspace(0, 1, z.shape[1]).double()) * z.square()).sum(1)


def rosenbrock(z: Tensor) -> Tensor:
    """The banana valley."""
    y = 1 + z
    return (100 * (y[:, 1:] - y[:, :-1].square()).square() + (1 - y[:, :-1]).square()).sum(1)


def rastrigin(z: Tensor) -> Tensor:
    """A sphere under a grid of local minima, one unit apart."""
    return (10 + z.square() - 10 * torch.cos(2 * math.pi * z)).sum(1)


def ackley(z: Tensor) -> Tensor:
    """A funnel under a grid of local minima, one unit apart."""
    waves = torch.cos(2 * math.pi * z).mean(1).exp()
    return 20 - 20 * torch.exp(-0.2 * z.square().mean(1).sqrt()) + math.e - waves


def griewank(z: Tensor) -> Tensor:
    """Ten of its units in one of ours."""
    z = 10 * z
    index = torch.arange(1, z.shape[1] + 1).double()
    return z.square().sum(1) / 4000 - torch.cos(z / index.sqrt()).prod(1) + 1


def schwefel(z: Tensor) -> Tensor:
    """The best minimum is far from the next best; 100 of its units in one of ours, walls outside."""
    x = 420.9687 + 100 * z
    inside = x.clamp(-500, 500)
    return (418.9829 - inside * inside.abs().sqrt().sin() + 0.01 * (x - inside).square()).sum(1)


FUNCTIONS: dict[str, tuple[str, Callable[[Tensor], Tensor]]] = {
    "rastrigin": ("multimodal", rastrigin),
    "ackley": ("multimodal", ackley),
    "griewank": ("multimodal", griewank),
    "schwefel": ("multimodal", schwefel),
    "sphere": ("unimodal", sphere),
    "ellipsoid": ("unimodal", ellipsoid),
    "rosenbrock": ("unimodal", rosenbrock),
}


def distance(name: str, dimension: int, repetition: int) -> Tensor:
    """Where the optimum lies as seen from the start: float64 ``[d]``."""
    generator = torch.Generator().manual_seed(90_000 + repetition)
    if name == "schwefel":  # the start must lie inside of the walls
        return 1 + 5 * torch.rand(dimension, generator=generator, dtype=torch.float64)
    spread = 2.0 if name in ("rastrigin", "ackley") else 1.0
    return spread * torch.randn(dimension, generator=generator, dtype=torch.float64)


def final_value(name: str, spec: str, dimension: int, budget: int, repetition: int) -> float:
    """The function at ``best()`` when the budget is spent."""
    function = FUNCTIONS[name][1]
    optimum = distance(name, dimension, repetition)
    allowance = Budget(budget)
    spec = spec.format(twice=min(4 * default_population(dimension), max(8, budget // 10)))
    search = build_algorithm(spec, Space([Block("x", (dimension,), "vector")]), allowance, repetition)
    while allowance.remaining:
        asked = search.ask(allowance.remaining)
        if asked is None or not len(asked):
            break
        assert isinstance(asked, Points)
        allowance.spend(len(asked))
        search.tell(asked, function(asked.values.double() - optimum))
    best = search.best()
    assert isinstance(best, Points)
    return float(function(best.values.double() - optimum))


def function_runs(repetitions: int, budgets: dict[int, int]) -> Iterator[dict[str, object]]:
    """Rows to be run, whole repetitions after one another; the result is missing."""
    for repetition in range(repetitions):
        for dimension, budget in budgets.items():
            for name, (group, _) in FUNCTIONS.items():
                for variant in VARIANTS:
                    # A space of one block has none to make parts of: they are random anyway.
                    if variant == "random parts" or (variant == "pycma full" and dimension > FULL_COVARIANCE):
                        continue
                    row = (name, group, dimension, budget, variant, repetition)
                    yield dict(zip(COLUMNS, row, strict=False))


def run_functions(path: Path, repetitions: int, budgets: dict[int, int]) -> None:
    """Append the rows of the functions that are not there yet."""
    rows = pd.read_csv(path)
    there = set(zip(rows.problem, rows.dimension, rows.budget, rows.variant, rows.repetition, strict=True))
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        for row in function_runs(repetitions, budgets):
            name, _, dimension, budget, variant, repetition = row.values()
            if (name, dimension, budget, variant, repetition) in there:
                continue
            result = final_value(name, VARIANTS[variant], dimension, budget, repetition)  # type: ignore[arg-type, index]
            writer.writerow(row | {"result": f"{result:.6g}"})
            file.flush()


def run_language_models(path: Path, source: str, group: str, out: Path, **limits: Any) -> None:
    """Run a sweep of the variants, and append the test metric of each cell, in percent."""
    words = Sweep.load(source).override(**limits)
    # Their spaces are so large that a tenth of the budget is the size of a tree.
    twice = max(8, words.budget // 10)
    specs = {str(Spec.parse(VARIANTS[name].format(twice=twice))): name for name in ON_LANGUAGE_MODELS}
    sweep(words.override(algorithms=list(specs)), out=out)
    runs = load_results(out).runs
    rows = pd.read_csv(path)
    rows = rows[rows.group != group]
    done = runs[(runs.status == "finished") & runs.algorithm.isin(specs)]
    fresh = pd.DataFrame(
        {
            "problem": done.task,
            "group": group,
            "dimension": done.dimension,
            "budget": done.budget,
            "variant": done.algorithm.map(specs),
            "repetition": done.repetition,
            "result": (100 * done.test_metric).round(3),
        }
    )
    pd.concat([rows, fresh]).to_csv(path, index=False)


def summarise(runs: pd.DataFrame) -> pd.DataFrame:
    """Every variant against the whole, paired by problem and repetition.

    Functions: the median of the ratios of final values (above 1: the whole is better) and the p of Wilcoxon's
    signed ranks of their logarithms. Language models: the mean difference of the test metric in points
    (below 0: the whole is better), half of its 95 % interval, and the p of the t-test.
    """
    lines = []
    key = ["problem", "group", "dimension", "budget", "repetition"]
    whole = runs[runs.variant == WHOLE].set_index(key).result
    functions = runs.group.isin(["multimodal", "unimodal"])
    runs = runs.assign(set=np.where(functions, runs.group + " d=" + runs.dimension.astype(str), runs.group))
    each = runs[functions].assign(set=runs.problem + " d=" + runs.dimension.astype(str))
    for (name, variant), part in pd.concat([runs, each]).groupby(["set", "variant"], sort=False):
        paired = part.set_index(key).result.to_frame().join(whole.rename("whole"), how="inner")
        if variant == WHOLE or len(paired) < 2:
            continue
        analytic = part.group.iloc[0] in ("multimodal", "unimodal")
        if analytic:
            change = np.log(paired.result.clip(lower=1e-300) / paired.whole.clip(lower=1e-300))
            effect, half = math.exp(change.median()), math.nan
            p = stats.wilcoxon(change).pvalue if change.any() else 1.0
        else:
            change = paired.result - paired.whole
            effect, half = change.mean(), stats.t.ppf(0.975, len(change) - 1) * change.sem()
            p = stats.ttest_1samp(change, 0).pvalue if change.any() else 1.0
        kind = "median ratio" if analytic else "mean points"
        lines.append(
            [name, variant, len(paired), kind, float(f"{effect:.3g}"), round(half, 2), float(f"{p:.2g}")]
        )
    columns = ["set", "variant", "pairs", "kind", "effect", "interval", "p"]
    return pd.DataFrame(lines, columns=columns)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--sweep", help="a sweep file of your own, beside the quick suite")
    parser.add_argument("--repetitions", type=int, default=3, help="of each function")
    parser.add_argument("--largest", type=int, default=500, help="dimension of the functions")
    parser.add_argument("--tasks", help="only these of the quick suite, separated by commas")
    parser.add_argument("--cells", type=Path, help="folder of the stored sweeps; a temporary one by default")
    parser.add_argument("--skip", choices=["functions", "quick"], action="append", default=[])
    parser.add_argument("--quick", action="store_true", help="a smoke test of a few seconds")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / "runs.csv"
    if not path.exists():
        pd.DataFrame(columns=COLUMNS).to_csv(path, index=False)
    limits: dict[str, Any] = {"repetitions": 1, "budget": 20} if arguments.quick else {}
    with tempfile.TemporaryDirectory() as temporary:
        cells = arguments.cells or Path(temporary)
        if "quick" not in arguments.skip:
            tasks = {"tasks": arguments.tasks.split(",")} if arguments.tasks else {}
            run_language_models(path, "quick", "quick suite", cells / "quick", **limits, **tasks)
        if arguments.sweep:
            run_language_models(path, arguments.sweep, "own data", cells / "own", **limits)
    if "functions" not in arguments.skip:
        budgets = (
            {20: 60} if arguments.quick else {d: b for d, b in BUDGETS.items() if d <= arguments.largest}
        )
        run_functions(path, 2 if arguments.quick else arguments.repetitions, budgets)
    summary = summarise(pd.read_csv(path))
    summary.to_csv(arguments.out / "ablation.csv", index=False)
    print(summary.to_string(index=False))


if __name__ == "__main__":
    main()

"""Who minimises: our algorithms through ask and tell, and the peers behind the same few arguments."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, entry_points, version
from typing import Any

import numpy as np
import torch

from harness.core import Block, Budget, Points, Space
from reference_comparison.trial import FinishedError, Trial

Minimise = Callable[[Trial, int, int], None]
"""Of a trial, a population and a seed: minimises until the trial raises FinishedError."""


Options = Callable[[int, int], dict[str, Any]]
"""From a population and a dimension to the options of an algorithm."""


@dataclass(frozen=True)
class Contestant:
    """Somebody with a name, and the package whose version is noted.

    Args:
        name: in the tables.
        package: as installed; None where nothing is needed but numpy.
        minimise: the run.
    """

    name: str
    package: str | None
    minimise: Minimise = field(repr=False)

    @property
    def version(self) -> str | None:
        """Of the package; None if it is not installed."""
        if self.package is None:
            return "-"
        try:
            return version(self.package)
        except PackageNotFoundError:
            return None


def ours(name: str, options: Options) -> Contestant:
    """One of the registered algorithms, with options of a population and the dimension."""

    def minimise(trial: Trial, population: int, seed: int) -> None:
        (entry,) = entry_points(group="gradfree.algorithms", name=name)
        space = Space([Block("z", (trial.problem.dimension,), "vector")])
        algorithm = entry.load()(space, Budget(trial.budget), seed, **options(population, space.size))
        while (asked := algorithm.ask(trial.remaining)) is not None and len(asked):
            points = asked.values if isinstance(asked, Points) else asked.materialise("z")
            algorithm.tell(asked, torch.from_numpy(trial(points.double().numpy())))

    return Contestant(name, "gradfree", minimise)


def pycma(separable: bool) -> Minimise:
    """pycma with cumulative step-size adaptation in every dimension, and without its own stopping rules."""

    def minimise(trial: Trial, population: int, seed: int) -> None:
        import cma

        settings = {
            "popsize": population,
            "AdaptSigma": cma.sigma_adaptation.CMAAdaptSigmaCSA,
            "CMA_diagonal": separable,
            "randn": np.random.RandomState(seed).randn,
            "seed": np.nan,
            "verbose": -9,
        }
        search = cma.CMAEvolutionStrategy(np.zeros(trial.problem.dimension), 1.0, settings)
        while True:
            points = search.ask()
            search.tell(points, trial(np.stack(points)).tolist())

    return minimise


def cmaes(kind: str) -> Minimise:
    """A class of the package cmaes: ``CMA`` as in the tutorial, ``SepCMA`` with the rates of its paper."""

    def minimise(trial: Trial, population: int, seed: int) -> None:
        import cmaes

        search = getattr(cmaes, kind)(
            mean=np.zeros(trial.problem.dimension), sigma=1.0, seed=seed, population_size=population
        )
        while True:
            points = np.stack([search.ask() for _ in range(population)])
            search.tell(list(zip(points, trial(points).tolist(), strict=True)))

    return minimise


def evotorch(kind: str, options: Options) -> Minimise:
    """A class of EvoTorch's ``algorithms``, in float64."""

    def minimise(trial: Trial, population: int, seed: int) -> None:
        from evotorch import Problem as Search
        from evotorch import algorithms

        logging.getLogger("evotorch").setLevel(logging.WARNING)

        def losses(points: torch.Tensor) -> torch.Tensor:
            return torch.from_numpy(trial(points.numpy()))

        d = trial.problem.dimension
        bounds = (-1.0, 1.0)  # of its own starting points, which are not used
        search = Search(
            "min", losses, solution_length=d, initial_bounds=bounds, vectorized=True, seed=seed,
            dtype=torch.float64,
        )  # fmt: skip
        algorithm = getattr(algorithms, kind)(
            search, popsize=population, stdev_init=1.0, center_init=torch.zeros(d, dtype=torch.float64),
            **options(population, d),
        )  # fmt: skip
        while True:
            algorithm.step()

    return minimise


def crfmnes(trial: Trial, population: int, seed: int) -> None:
    """The package of CR-FM-NES's first author; it draws from numpy's global state."""
    from crfmnes import CRFMNES

    d = trial.problem.dimension
    search = CRFMNES(
        d, lambda z: float(trial(z.T)[0]), np.zeros((d, 1)), 1.0, population, seed=seed,
        use_constraint_violation=False,
    )  # fmt: skip
    while True:
        search.one_iteration()


def pypop7_lmmaes(trial: Trial, population: int, seed: int) -> None:
    """LM-MA-ES of the library PyPop7, without its restarts."""
    from pypop7.optimizers.es.lmmaes import LMMAES

    d = trial.problem.dimension
    problem = {
        "fitness_function": lambda z: float(trial(z[None])[0]),
        "ndim_problem": d,
        "lower_boundary": np.full(d, -np.inf),
        "upper_boundary": np.full(d, np.inf),
    }
    options = {
        "n_individuals": population,
        "mean": np.zeros(d),
        "sigma": 1.0,
        "seed_rng": seed,
        "is_restart": False,
        "max_function_evaluations": math.inf,
        "verbose": 0,
    }
    LMMAES(problem, options).optimize()


def one_plus_one(trial: Trial, population: int, seed: int) -> None:
    """The (1+1)-ES's three equations, in float64: no library has this rule of step size alone."""
    random = np.random.default_rng(seed)
    d = trial.problem.dimension
    damping = math.sqrt(d + 1)
    parent, sigma = np.zeros(d), 1.0
    least = trial(parent[None])[0]
    while True:
        child = parent + sigma * random.standard_normal(d)
        loss = trial(child[None])[0]
        if loss <= least:
            parent, least = child, loss
            sigma *= math.exp(0.8 / damping)
        else:
            sigma *= math.exp(-0.2 / damping)


def run(contestant: Contestant, trial: Trial, population: int, seed: int) -> str:
    """Minimises to the end of the trial: ``ok``, or what went wrong."""
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            contestant.minimise(trial, population, seed)
    except FinishedError:
        return "ok"
    except Exception as problem:
        return f"{type(problem).__name__}: {problem}".splitlines()[0][:200]
    return "ok" if trial.remaining < 2 * population else f"stopped after {trial.evaluations}"

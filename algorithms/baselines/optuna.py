"""Any single-objective sampler of Optuna, by name."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import optuna
import torch
from torch import Tensor

from algorithms.baselines.randomness import PrivateRandomness
from algorithms.options import Count, Positive, chosen, default_population, unknown
from algorithms.shaping import WorstSoFar
from harness.core import Algorithm, Budget, Points, Population, Space, UserError, ranges


class Optuna(Algorithm):
    """Ask and tell of one named sampler of Optuna, over the box ``[-bound, bound]^d``.

    The first trial is the start. Members of one population are asked for before any is told; TPE then
    takes running trials for bad ones (its constant liar). A failed evaluation counts as worse than any
    finite loss so far, and as a failed trial while there is none.

    Args:
        sampler: ``TPE``, ``Random``, ``QMC``, ``GP``, ``NSGAII``, ... (the class name, with or without
            ``Sampler``).
        population: trials asked for at once; None for 10, or for CmaEs exactly its own population, as it
            drops what is more.
        bound: half the width of the box, in units of scale.

    ``best()`` is the best trial; as each is evaluated once, its loss is biased under noise.

    Source: Akiba, Sano, Yanase, Ohta & Koyama, Optuna: A Next-Generation Hyperparameter Optimization
    Framework, 2019; TPE: Bergstra, Bardenet, Bengio & Kegl, Algorithms for Hyper-Parameter
    Optimization, 2011.

    Raises:
        UserError: if there is no such sampler, or it cannot be set up here.

    >>> from harness.core import Block
    >>> search = Optuna(Space([Block("x", (2,), "vector")]), Budget(50), seed=0, population=5)
    >>> asked = search.ask(remaining=50)
    >>> search.tell(asked, (asked.values.double() ** 2).sum(1))
    >>> search.best().values
    tensor([[0., 0.]])
    """

    family = "baselines"
    source = "Akiba et al. 2019 (Optuna)"
    search = ranges(bound=(0.1, 10.0))
    libraries = ("optuna", "cmaes")
    largest_dimension = 2000

    def __init__(
        self,
        space: Space,
        budget: Budget,
        seed: int,
        *,
        sampler: str = "TPE",
        population: Count | None = None,
        bound: Positive = 1.0,
    ) -> None:
        super().__init__(space, budget, seed)
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._randomness = PrivateRandomness(seed)
        self._axes: dict[str, Any] = {
            f"z{i}": optuna.distributions.FloatDistribution(-bound, bound) for i in range(space.size)
        }
        with self._apart():
            made = _sampler(sampler, seed)
            self._study = optuna.create_study(sampler=made)
        covariance = isinstance(made, optuna.samplers.CmaEsSampler)
        self.population = population or (default_population(space.size) if covariance else 10)
        self._study.enqueue_trial(dict.fromkeys(self._axes, 0.0))
        self._trials: list[Any] = []
        self._worst = WorstSoFar()
        self._best = torch.zeros(1, space.size, device=space.device)
        self._least = np.inf

    @classmethod
    def configured(cls, **options: Any) -> type[Algorithm]:
        _kind(chosen(cls, options, "sampler"))
        return cls

    def ask(self, remaining: int) -> Points | None:
        with self._apart():
            self._trials = [self._study.ask(self._axes) for _ in range(min(self.population, remaining))]
        if not self._trials:
            return None
        values = [list(trial.params.values()) for trial in self._trials]
        return Points(torch.tensor(values, dtype=torch.float32, device=self.space.device))

    def tell(self, population: Population, losses: Tensor, gradients: Tensor | None = None) -> None:
        assert isinstance(population, Points)
        known = self._worst.replace(losses, unknown=np.nan).tolist()
        with self._apart():
            for row, (trial, loss) in enumerate(zip(self._trials, known, strict=True)):
                if np.isnan(loss):
                    self._study.tell(trial, state=optuna.trial.TrialState.FAIL)
                    continue
                self._study.tell(trial, loss)
                if loss < self._least:
                    self._least, self._best = loss, population.values[row : row + 1].clone()

    def best(self) -> Points:
        return Points(self._best)

    @contextmanager
    def _apart(self) -> Iterator[None]:
        """Some samplers draw from the global random state, and warn that they are experimental."""
        with self._randomness.active(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield


def _kind(name: str) -> Any:
    kinds = samplers()
    kind = kinds.get(name.removesuffix("Sampler"))
    if kind is None:
        raise unknown("sampler", name, kinds)
    return kind


def _sampler(name: str, seed: int) -> Any:
    kind = _kind(name)
    settings = {"seed": np.random.SeedSequence(seed).generate_state(1)[0].item(), "constant_liar": True}
    known = inspect.signature(kind).parameters
    try:
        return kind(**{key: value for key, value in settings.items() if key in known})
    except ImportError as problem:
        raise UserError(f"sampler: {name!r} needs a package that is not installed: {problem}") from problem


def samplers() -> dict[str, Any]:
    """Samplers that need nothing but a seed, by name without ``Sampler``."""
    exhaustive = optuna.samplers.BruteForceSampler  # of finite spaces only
    found = {}
    for name in optuna.samplers.__all__:
        kind = getattr(optuna.samplers, name)
        if not inspect.isclass(kind) or inspect.isabstract(kind) or kind is exhaustive:
            continue
        parameters = inspect.signature(kind).parameters.values()
        required = [p for p in parameters if p.default is p.empty and p.kind is not p.VAR_KEYWORD]
        if not required:
            found[name.removesuffix("Sampler")] = kind
    return found

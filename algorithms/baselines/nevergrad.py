"""Any optimizer of the Nevergrad registry, by name."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import nevergrad
import numpy as np
import torch
from nevergrad.optimization import base, optimizerlib
from torch import Tensor

from algorithms.baselines.randomness import PrivateRandomness
from algorithms.options import Count, Positive, chosen, default_population, unknown
from algorithms.shaping import WorstSoFar
from harness.core import Algorithm, Budget, Points, Population, Space, UserError

_FULL_LIMIT = 2000


class Nevergrad(Algorithm):
    """Ask and tell of one named optimizer of Nevergrad, over unbounded coordinates.

    The optimizer is told that ``workers`` candidates are evaluated at once (1 where it cannot be parallel).
    So many are asked for; where it has a CMA-ES inside, exactly that one's population. Nevergrad drops a
    generation silently when CMA-ES refuses it: here that is an error. A failed evaluation counts as
    worse than any finite loss so far.

    Args:
        optimizer: a name of ``nevergrad.optimizers.registry``. The default is O(d) in time and memory and
            is at work from its first generation; of the wizards, NGOpt is some times slower per ask, and the
            population of TBPSA, made for noise, is 4d. Wizards, ``CMA`` (not ``OldCMA``) among them,
            choose by dimension, budget and workers what runs.
        workers: candidates asked for at once; None for 4 + floor(3 ln d).
        sigma: initial standard deviation of a mutation, in units of scale (many optimizers multiply it by a
            constant of their own).

    ``best()`` is the optimizer's own recommendation; of many, CMA-ES among them, it is the best candidate
    evaluated, which is biased under noise.

    Source: Rapin & Teytaud, Nevergrad: A Gradient-Free Optimization Platform, 2018.

    Raises:
        UserError: if there is no such optimizer, or it cannot be set up in this space.

    >>> from harness.core import Block
    >>> search = Nevergrad(Space([Block("x", (4,), "vector")]), Budget(50), seed=0, optimizer="DE")
    >>> asked = search.ask(remaining=50)
    >>> search.tell(asked, (asked.values.double() ** 2).sum(1))
    >>> len(asked)
    8
    """

    family = "baselines"
    source = "Rapin & Teytaud 2018 (Nevergrad)"
    largest_dimension = 1_000_000

    def __init__(
        self,
        space: Space,
        budget: Budget,
        seed: int,
        *,
        optimizer: str = "DiagonalCMA",
        workers: Count | None = None,
        sigma: Positive = 1.0,
    ) -> None:
        super().__init__(space, budget, seed)
        if optimizer not in nevergrad.optimizers.registry:
            raise unknown("optimizer", optimizer, nevergrad.optimizers.registry)
        self._randomness = PrivateRandomness(seed)
        try:
            with self._apart():
                self._search = _build(optimizer, space.size, budget.total, seed, workers, sigma)
        except (ImportError, ValueError) as problem:
            raise UserError(f"optimizer: {optimizer!r} cannot be set up: {problem}") from problem
        self._asked: list[Any] = []
        self._worst = WorstSoFar()
        self._refused: list[Exception] = []

    @classmethod
    def misfit(cls, dimension: int, budget: int, **options: Any) -> str | None:
        reason = super().misfit(dimension, budget)
        name = chosen(cls, options, "optimizer")
        if reason or dimension <= _FULL_LIMIT or name not in nevergrad.optimizers.registry:
            return reason
        workers, sigma = chosen(cls, options, "workers"), chosen(cls, options, "sigma")
        with PrivateRandomness(0).active(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            search = _build(name, dimension, budget, 0, workers, sigma)
            full = any(not adapter._config.diagonal for adapter in _covariance_adapters(search))
        if not full:
            return None
        return f"{name}: a full covariance of {dimension:,} coordinates is over the limit of {_FULL_LIMIT:,}"

    def ask(self, remaining: int) -> Points | None:
        with self._apart():
            inner = [adapter._popsize for adapter in _covariance_adapters(self._search)]
            count = min(max(inner, default=self._search.num_workers), remaining)
            self._asked = [self._search.ask() for _ in range(count)]
        if not self._asked:
            return None
        values = torch.from_numpy(np.stack([candidate.value for candidate in self._asked]))
        return Points(values.float().to(self.space.device))

    def tell(self, population: Population, losses: Tensor, gradients: Tensor | None = None) -> None:
        with self._apart():
            for adapter in _covariance_adapters(self._search):
                self._watch(adapter)
            for candidate, loss in zip(self._asked, self._worst.replace(losses).tolist(), strict=True):
                self._search.tell(candidate, loss)
        if self._refused:
            raise RuntimeError("CMA-ES inside Nevergrad refused a generation") from self._refused[0]

    def best(self) -> Points:
        values = np.zeros(self.space.size)
        if self._worst.known:
            with self._apart():
                values = self._search.provide_recommendation().value
        return Points(torch.from_numpy(np.array(values)).float()[None].to(self.space.device))

    @contextmanager
    def _apart(self) -> Iterator[None]:
        """Some optimizers draw from the global random state, and warn about the settings they were given."""
        with self._randomness.active(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield

    def _watch(self, adapter: Any) -> None:
        """Note down an exception in an inner CMA-ES's tell, which Nevergrad would swallow."""
        search = adapter._es
        if search is None or "tell" in vars(search):
            return
        tell = search.tell

        def noting(*arguments: Any) -> Any:
            try:
                return tell(*arguments)
            except Exception as problem:
                self._refused.append(problem)
                raise

        search.tell = noting


def _build(name: str, dimension: int, budget: int, seed: int, workers: int | None, sigma: float) -> Any:
    kind = nevergrad.optimizers.registry[name]
    parameter = nevergrad.p.Array(init=np.zeros(dimension)).set_mutation(sigma=sigma)
    parameter.random_state = np.random.RandomState(np.random.SeedSequence(seed).generate_state(8))
    at_once = 1 if kind.no_parallelization else workers or default_population(dimension)
    return kind(parameter, budget=budget, num_workers=at_once)


def _covariance_adapters(optimizer: Any, seen: set[int] | None = None) -> Iterator[Any]:
    """Every CMA-ES that an optimizer holds, itself or in its parts."""
    seen = set() if seen is None else seen
    if not isinstance(optimizer, base.Optimizer) or id(optimizer) in seen:
        return
    seen.add(id(optimizer))
    if isinstance(optimizer, optimizerlib._CMA):
        yield optimizer
    if isinstance(optimizer, (optimizerlib.ChoiceBase, optimizerlib.NGOptBase)):  # chosen when looked at
        yield from _covariance_adapters(optimizer.optim, seen)
    for part in list(vars(optimizer).values()):
        for item in part if isinstance(part, (list, tuple)) else [part]:
            yield from _covariance_adapters(item, seen)

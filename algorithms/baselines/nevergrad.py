"""Any optimizer of the Nevergrad registry, by name."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import nevergrad
import numpy as np
import torch
from nevergrad.common.errors import FinishedUnderlyingOptimizerWarning
from nevergrad.optimization import base, optimizerlib, recaster, utils
from torch import Tensor

from algorithms.baselines.randomness import PrivateRandomness
from algorithms.options import Count, Positive, chosen, default_population, unknown
from algorithms.shaping import WorstSoFar
from harness.core import Algorithm, Budget, Points, Population, Space, UserError, ranges

_FULL_LIMIT = 2000
_LONG_ARCHIVE_LIMIT = 20_000
_WIZARDS = (optimizerlib.ChoiceBase, optimizerlib.NGOptBase)


class Nevergrad(Algorithm):
    """Ask and tell of one named optimizer of Nevergrad, over unbounded coordinates.

    The optimizer is told that ``workers`` candidates are evaluated at once (1 where it cannot be parallel).
    So many are asked for; where it has a CMA-ES inside, exactly that one's population (unless a sequential
    method of another library is inside too). Nevergrad drops a generation silently when CMA-ES refuses it:
    here that is an error. Where a method of another library ends before the budget does, Nevergrad goes on
    with random points: here the rest remains unspent. A failed evaluation counts as worse than any finite
    loss so far. Nevergrad archives hundreds of candidates, which only the variants of OnePlusOne for noise or
    with crossover look up where there are many coordinates: above 20,000 it is told to keep the 10 best.

    Args:
        optimizer: a name of ``nevergrad.optimizers.registry``. The default is O(d) in time and memory and
            is at work from its first generation; of the wizards, NGOpt is some times slower per ask, and the
            population of TBPSA, made for noise, is 4d. Wizards, ``CMA`` (not ``OldCMA``) among them,
            choose by dimension, budget and workers what runs.
        workers: candidates asked for at once; None for 4 + floor(3 ln d), or 1 where that is refused.
        sigma: initial standard deviation of a mutation, in units of scale (many optimizers multiply it by a
            constant of their own).

    ``best()`` is the optimizer's own recommendation; of many, CMA-ES among them, it is the best candidate
    evaluated, which is biased under noise. ``inside`` says what a wizard chose, and how many generations
    CMA-ES refused since a portfolio or chain had told it the points of others too.

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
    search = ranges(sigma=(0.1, 10.0))
    libraries = ("nevergrad", "cma")
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
        self.configured(optimizer=optimizer)
        self._randomness = PrivateRandomness(seed)
        try:
            with self._apart():
                self._search = _build(optimizer, space.size, budget.total, seed, workers, sigma)
        except (ImportError, ValueError) as problem:
            raise UserError(f"optimizer: {optimizer!r} cannot be set up: {problem}") from problem
        self._asked: list[Any] = []
        self._worst = WorstSoFar()
        self._refused: list[Exception] = []
        self._foreign = 0

    @classmethod
    def configured(cls, **options: Any) -> type[Algorithm]:
        name = chosen(cls, options, "optimizer")
        if name not in optimizers():
            raise unknown("optimizer", name, optimizers())
        return cls

    @classmethod
    def misfit(cls, dimension: int, budget: int, **options: Any) -> str | None:
        reason = super().misfit(dimension, budget)
        name = chosen(cls, options, "optimizer")
        if reason or dimension <= _FULL_LIMIT or name not in optimizers():
            return reason
        workers, sigma = chosen(cls, options, "workers"), chosen(cls, options, "sigma")
        with PrivateRandomness(0).active(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                search = _build(name, dimension, budget, 0, workers, sigma)
            except (ImportError, ValueError) as problem:
                return f"{name} cannot be set up: {problem}"
            full = any(not adapter._config.diagonal for adapter in _covariance_adapters(search))
        if not full:
            return None
        return f"{name}: a full covariance of {dimension:,} coordinates is over the limit of {_FULL_LIMIT:,}"

    def ask(self, remaining: int) -> Points | None:
        with self._apart():
            self._asked = []
            count = min(self._at_once(), remaining)
            ran = self._ran()[-1]
            if isinstance(ran, recaster.RecastOptimizer):
                warnings.simplefilter("error", FinishedUnderlyingOptimizerWarning)
            with _naming_what_is_missing():
                try:
                    for _ in range(count):
                        self._asked.append(self._search.ask())
                except FinishedUnderlyingOptimizerWarning:
                    ran._check_error()  # it looks for one only after the warning
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
            for part in _parts(self._search):
                _settle(part)
        if self._refused:
            reason = f"{type(self._refused[0]).__name__}: {self._refused[0]}"
            raise RuntimeError(f"CMA-ES in Nevergrad refused a generation: {reason}") from self._refused[0]

    def best(self) -> Points:
        values = np.zeros(self.space.size)
        if self._worst.known:
            with self._apart():
                values = self._search.provide_recommendation().value
        return Points(torch.from_numpy(np.array(values)).float()[None].to(self.space.device))

    def _at_once(self) -> int:
        parts = list(_parts(self._search))
        if any(isinstance(part, recaster.RecastOptimizer) for part in parts):
            return int(self._search.num_workers)  # one asked again before it is told waits for ever
        inner = [part._popsize for part in parts if isinstance(part, optimizerlib._CMA)]
        return max(inner, default=int(self._search.num_workers))

    @property
    def inside(self) -> str | None:
        with self._apart():
            said = " > ".join(optimizer.name for optimizer in self._ran()[1:])
        if self._foreign:
            more = f"CMA-ES refused {self._foreign} generations with points of others among them"
            said = f"{said}; {more}" if said else more
        return said or None

    def _ran(self) -> list[Any]:
        """The optimizer and, behind a wizard, what it chose, and so on."""
        ran = [self._search]
        while isinstance(ran[-1], _WIZARDS):
            ran.append(ran[-1].optim)
        return ran

    @contextmanager
    def _apart(self) -> Iterator[None]:
        """Some optimizers draw from the global random state, and warn about the settings they were given."""
        with self._randomness.active(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield

    def _watch(self, adapter: Any) -> None:
        """Note down an exception in an inner CMA-ES's tell, which Nevergrad would swallow.

        In portfolios and chains Nevergrad tells CMA-ES everybody's points, more of them than it can take:
        that belongs to these methods, and is only counted.
        """
        search = adapter._es
        if search is None or "tell" in vars(search):
            return
        tell = search.tell

        def noting(*arguments: Any) -> Any:
            try:
                return tell(*arguments)
            except Exception as problem:
                if adapter.num_tell_not_asked:
                    self._foreign += 1
                else:
                    self._refused.append(problem)
                raise

        search.tell = noting


@contextmanager
def _naming_what_is_missing() -> Iterator[None]:
    """A library is imported when it is first used, some in a thread that wraps what is raised."""
    try:
        yield
    except (ImportError, RuntimeError) as problem:
        missing = problem if isinstance(problem, ImportError) else problem.__cause__
        if isinstance(missing, ImportError):
            raise UserError(f"optimizer: it needs a package that is not installed: {missing}") from problem
        raise


def optimizers() -> dict[str, Any]:
    """Nevergrad's optimizers by name; the name of one ends in a blank, which nobody would write."""
    return {name.strip(): kind for name, kind in nevergrad.optimizers.registry.items()}


def _build(name: str, dimension: int, budget: int, seed: int, workers: int | None, sigma: float) -> Any:
    kind = optimizers()[name]
    parameter = nevergrad.p.Array(init=np.zeros(dimension)).set_mutation(sigma=sigma)
    parameter.random_state = np.random.RandomState(np.random.SeedSequence(seed).generate_state(8))
    at_once = 1 if kind.no_parallelization else workers or default_population(dimension)
    try:
        search = kind(parameter, budget=budget, num_workers=at_once)
    except (ValueError, ArithmeticError):  # some learn only from their parts that they cannot be parallel
        if workers or at_once == 1:
            raise
        search = kind(parameter, budget=budget, num_workers=1)
    if dimension > _LONG_ARCHIVE_LIMIT:
        for part in _parts(search):
            part.pruning = utils.Pruning(min_len=10, max_len=30)
    return search


def _parts(optimizer: Any, seen: set[int] | None = None) -> Iterator[Any]:
    """An optimizer and all that it holds, one inside the other."""
    seen = set() if seen is None else seen
    if not isinstance(optimizer, base.Optimizer) or id(optimizer) in seen:
        return
    seen.add(id(optimizer))
    yield optimizer
    if isinstance(optimizer, _WIZARDS):  # chosen when looked at
        yield from _parts(optimizer.optim, seen)
    for part in list(vars(optimizer).values()):
        for item in part if isinstance(part, (list, tuple)) else [part]:
            yield from _parts(item, seen)


def _covariance_adapters(optimizer: Any) -> Iterator[Any]:
    """Every CMA-ES that an optimizer holds, itself or in its parts."""
    return (part for part in _parts(optimizer) if isinstance(part, optimizerlib._CMA))


def _settle(optimizer: Any) -> None:
    """Wait until a library that runs in a thread of its own stands still, at its next question or its end.

    Else it would draw from the caller's random state, and its time would count as evaluation.
    """
    messages = getattr(optimizer, "_messaging_thread", None)
    if messages is None:
        return
    thread, answers = messages._thread, messages.messages_tell
    while thread.is_alive() and answers.unfinished_tasks >= thread.call_count:  # all questions are answered
        time.sleep(1e-4)

"""What an algorithm is: ask for a population, be told its losses, report the best."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from harness.core.budget import Budget
from harness.core.population import Population
from harness.core.search import Range
from harness.core.space import Space
from harness.core.untuned import Candidate, Untuned


class Algorithm(ABC):
    """A black-box minimiser, used as ``ask -> evaluate -> tell`` until ``ask`` returns nothing.

    A subclass takes its options as keyword-only arguments with defaults and annotations; the same
    options are written in brackets on the command line, as in ``openai-es[sigma=0.02,population=32]``.
    Capabilities are class data.

    Args:
        space: what is searched; coordinates start at zero.
        budget: only its total and what remains may be read.
        seed: the only source of randomness; global random state is never touched.

    >>> import torch
    >>> from harness.core.population import Points
    >>> class Sampling(Algorithm):
    ...     '''Independent standard normal points.'''
    ...     def ask(self, remaining):
    ...         return Points(torch.randn(min(4, remaining), self.space.size, generator=self.generator))
    ...     def tell(self, population, losses, gradients=None):
    ...         self.found = population[int(losses.argmin()):][:1]
    ...     def best(self):
    ...         return self.found
    >>> from harness.core.space import Block
    >>> algorithm = Sampling(Space([Block("x", (2,), "vector")]), Budget(10), seed=0)
    >>> len(algorithm.ask(remaining=3))
    3
    """

    family: ClassVar[str] = "other"
    """Heading under which it is listed."""
    source: ClassVar[str] = ""
    """Author, year: where the method is defined."""
    libraries: ClassVar[tuple[str, ...]] = ()
    """Distributions of others that do the searching, as ``cma``; rows name their versions."""
    reference: ClassVar[bool] = False
    """A marked reference row, not a contestant: it uses gradients, or no tuning at all."""
    untuned: Untuned | None = None
    """The way of answering without tuning that ``best()`` is, which the task has to know; None for all that
    search, and for the model as it is."""
    needs_gradient: ClassVar[bool] = False
    """May ask for Gradients."""
    largest_dimension: ClassVar[int | None] = None
    """The largest d that memory and time allow; None for no limit."""
    smallest_budget: ClassVar[int] = 1
    """Fewest evaluations with which anything useful happens; 0 for one that asks nothing."""
    deterministic: ClassVar[bool] = True
    """The same seed and losses give the same run, so that a run can be resumed by replaying it."""
    search: ClassVar[Mapping[str, Range]] = {}
    """Options that ``tuning`` of a sweep may set, and between which values: in units of scale, two decades
    around the default, three for learning rates. Empty where there is nothing to tune."""
    expected_failures: ClassVar[Mapping[str, str]] = {}
    """Checks of ``gradfree check`` that this algorithm cannot pass, each with the reason."""

    def __init__(self, space: Space, budget: Budget, seed: int) -> None:

        self.space = space
        self.budget = budget
        self.seed = seed
        self.generator = torch.Generator().manual_seed(seed)

    @classmethod
    def misfit(cls, dimension: int, budget: int, **options: Any) -> str | None:
        """Why this algorithm cannot run on d coordinates with a budget, in one sentence; None if it can."""
        if cls.largest_dimension is not None and dimension > cls.largest_dimension:
            return f"{dimension:,} coordinates are more than its limit of {cls.largest_dimension:,}"
        if budget < cls.smallest_budget:
            return f"a budget of {budget} is under the {cls.smallest_budget} evaluations that it needs"
        return None

    @classmethod
    def configured(cls, **options: Any) -> type[Algorithm]:
        """The class with the capabilities that it has under these options: itself, where they change none."""
        return cls

    @classmethod
    def searched(cls, **options: Any) -> Mapping[str, Range]:
        """The ranges of ``search`` that these options leave open: what is given by hand is not tuned."""
        return {name: span for name, span in cls.search.items() if name not in options}

    @classmethod
    def points_kept(cls, **options: Any) -> int:
        """Points of the space's size that a run holds: its center, the one it reports, buffers as large."""
        return 2

    @abstractmethod
    def ask(self, remaining: int) -> Population | None:
        """A whole generation, costing at most ``remaining`` evaluations; None or empty when finished."""

    @abstractmethod
    def tell(self, population: Population, losses: Tensor, gradients: Tensor | None = None) -> None:
        """Take in the losses of what was asked.

        Args:
            population: the one that ``ask`` returned.
            losses: float64 ``[n]``, lower is better, nan = failed. On the CPU.
            gradients: ``[n, d]`` with respect to the coordinates, where Gradients were asked for.
        """

    @abstractmethod
    def best(self) -> Candidate:
        """A population of one: what would be reported now. None means the untouched model.

        A reference that tunes nothing returns its ``untuned``.
        """

    @property
    def same_minibatch(self) -> bool:
        """Whether the next ask goes on with a generation, and is evaluated on the last one's minibatch.

        An algorithm that asks for a generation piece by piece, to compare all of its losses, overrides it.
        """
        return False

    @property
    def inside(self) -> str | None:
        """What ran, where name and options leave it open: the choice of a wizard, the stages of a chain."""
        return None

    def state(self) -> dict[str, Any] | None:
        """A snapshot for resuming (tensors, numbers, strings, lists), or None where replay serves."""
        return None

    def load_state(self, state: dict[str, Any]) -> None:
        """Take up a snapshot that ``state`` gave."""
        raise ValueError(f"{type(self).__name__} keeps no state of its own: it is resumed by replay")

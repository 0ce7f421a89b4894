"""One algorithm after another: the second goes on from what the first reports."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from algorithms.evolution_strategies.openai_es import OpenAIES
from algorithms.gradient_estimators.spsa import SPSA
from algorithms.options import UnitInterval, chosen
from harness.core import (
    Algorithm,
    AlgorithmSpec,
    Budget,
    Gaussian,
    Perturbations,
    Points,
    Population,
    Space,
    UserError,
    point,
)


class Chain(Algorithm):
    """Run ``first`` on a share of the budget, then ``then`` on all that is left.

    The second starts where the first's ``best()`` is, in a space of its own with that start; what it asks
    is put back into terms of the whole space. Parameters are handed over bit for bit, except from
    perturbations to points: there the coordinates are rounded to float32. Either stage may be a chain:
    ``chain[first=openai-es[population=8],then=chain[first=spsa,then=adam[lr=0.01]],share=0.5]``. A chain
    has the capabilities that its stages have together: with a reference in it, it is a reference.

    Args:
        first: an algorithm with its options.
        then: likewise.
        share: of the whole budget that the first may spend, rounded to an evaluation; what it leaves over
            is the second's. 0 for one that asks nothing, as a checkpoint does.

    ``best()`` is that of the stage that runs; the second's, even where it lost ground. ``inside`` says what
    either spent.

    Source: Talbi, A Taxonomy of Hybrid Metaheuristics, 2002: a high-level relay hybrid.

    >>> from algorithms.random_search import RandomSearch
    >>> from harness.core import Block
    >>> first, then = AlgorithmSpec("random", RandomSearch), AlgorithmSpec("spsa", SPSA)
    >>> chain = Chain(Space([Block("x", (3,), "vector")]), Budget(20), 0, first=first, then=then, share=0.5)
    >>> spent = 0
    >>> while asked := chain.ask(remaining=20 - spent):
    ...     points = asked.values if isinstance(asked, Points) else asked.coordinates()
    ...     chain.tell(asked, points.square().sum(1).double())
    ...     spent += len(asked)
    >>> chain.inside
    'random: 10 evaluations; spsa: 10 evaluations'
    """

    family = "hybrids"
    source = "Talbi 2002"
    smallest_budget = 4

    def __init__(
        self,
        space: Space,
        budget: Budget,
        seed: int,
        *,
        first: AlgorithmSpec = AlgorithmSpec("openai-es", OpenAIES),  # noqa: B008
        then: AlgorithmSpec = AlgorithmSpec("spsa", SPSA),  # noqa: B008
        share: UnitInterval = 0.7,
    ) -> None:
        super().__init__(space, budget, seed)
        self.stages = (first, then)
        self.spent = [0, 0]
        self._first_inside: str | None = None
        self._place = 0
        self._limit = _allotted(share, budget.total)
        self._shown = Budget(max(1, self._limit))
        self._moved = space
        self._handed: Population | None = None
        self._offset: Tensor | None = None
        self._asked: Population | None = None
        self._running = first.build(space, self._shown, seed)

    @classmethod
    def configured(cls, **options: Any) -> type[Algorithm]:
        kinds = [chosen(cls, options, name).kind for name in ("first", "then")]
        limits = [kind.largest_dimension for kind in kinds if kind.largest_dimension is not None]
        capabilities = {
            "__doc__": cls.__doc__,
            "__module__": cls.__module__,
            "reference": any(kind.reference for kind in kinds),
            "needs_gradient": any(kind.needs_gradient for kind in kinds),
            "deterministic": all(kind.deterministic for kind in kinds),
            "largest_dimension": min(limits, default=None),
            "smallest_budget": sum(kind.smallest_budget for kind in kinds),
            "libraries": tuple(dict.fromkeys(name for kind in kinds for name in kind.libraries)),
        }
        return type(cls.__name__, (cls,), capabilities)

    @classmethod
    def misfit(cls, dimension: int, budget: int, **options: Any) -> str | None:
        first = _allotted(chosen(cls, options, "share"), budget)
        for name, part in (("first", first), ("then", budget - first)):
            reason = chosen(cls, options, name).misfit(dimension, part)
            if reason:
                return f"{name}: {reason}"
        return super().misfit(dimension, budget)

    def ask(self, remaining: int) -> Population | None:
        if remaining < 1:
            return None
        if self._place == 0:
            left = min(remaining, self._limit - self.spent[0])
            if left and self._ask(left):
                return self._asked
            self._hand_over(point(self._running.best()))
        return self._translated(self._ask(remaining))

    def tell(self, population: Population, losses: Tensor, gradients: Tensor | None = None) -> None:
        assert self._asked is not None
        self.spent[self._place] += Budget.price(population)
        self._shown.spent = self.spent[self._place]
        self._running.tell(self._asked, losses, gradients)

    def best(self) -> Population | None:
        best = self._translated(point(self._running.best()))
        return self._handed if best is None else best

    @property
    def same_minibatch(self) -> bool:
        ends = self._place == 0 and self.spent[0] >= self._limit
        return self._running.same_minibatch and not ends

    @property
    def inside(self) -> str:
        then = None if self._place == 0 else self._running.inside
        first = self._running.inside if self._place == 0 else self._first_inside
        return "; ".join(
            f"{stage}: {spent} evaluations" + (f" ({inside})" if inside else "")
            for stage, spent, inside in zip(self.stages, self.spent, (first, then), strict=True)
        )

    def state(self) -> dict[str, Any] | None:
        running = self._running.state()
        if running is None:
            return None
        handed = self._handed
        point = handed.values.clone() if isinstance(handed, Points) else None
        center = _copy(handed.center) if isinstance(handed, Perturbations) else None
        return {
            "place": self._place,
            "spent": list(self.spent),
            "first_inside": self._first_inside,
            "point": point,
            "center": center,
            "running": running,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        self.spent = list(state["spent"])
        if state["place"] == 1:
            handed = None if state["point"] is None else Points(state["point"].clone())
            center = state["center"]
            self._hand_over(handed if center is None else _at(_copy(center), self.space, self.seed))
        self._first_inside = state["first_inside"]
        self._shown.spent = self.spent[self._place]
        self._running.load_state(state["running"])

    def _ask(self, remaining: int) -> Population | None:
        self._asked = self._running.ask(remaining)
        return self._asked

    def _hand_over(self, best: Population | None) -> None:
        """Start the second stage at what the first reports."""
        if isinstance(best, Perturbations):
            if bool(best.signs.any()):
                center = {block.name: best.materialise(block.name)[0] for block in self.space.blocks}
            else:
                center = dict(best.center)
            best = _at(center, self.space, self.seed)
        if best is not None:
            self._moved = Space(self.space.blocks, self._start(best), in_place=self.space.in_place)
        self._handed, self._place = best, 1
        self._first_inside = self._running.inside
        self._shown = Budget(max(1, self.budget.total - self.spent[0]))
        seed = int(np.random.SeedSequence([self.seed, 1]).generate_state(1)[0]) % (2**31 - 1) + 1
        self._running = self.stages[1].build(self._moved, self._shown, seed)

    def _start(self, best: Population) -> dict[str, Tensor]:
        if isinstance(best, Perturbations):
            return dict(best.center)
        # The base class's: a projected space's own would lift the coordinates to the model's parameters.
        return {name: value[0] for name, value in Space.parameters(self.space, best.values).items()}

    def _translated(self, population: Population | None) -> Population | None:
        """What the running stage asks, in terms of the whole space."""
        if population is None or self._moved is self.space:
            return population
        if isinstance(population, Perturbations):
            # A draw does not depend on the start.
            return replace(population, noise=replace(population.noise, space=self.space))
        if self.space.in_place and not isinstance(self._handed, Points):
            raise UserError(
                f"{self.stages[1]} asks for points, and cannot follow weights that are moved in place: "
                f"take one that perturbs, or a tuning that copies"
            )
        if self._offset is None:
            handed = self._handed
            assert handed is not None
            self._offset = (
                handed.values[0] if isinstance(handed, Points) else self.space.coordinates(handed.center)
            )
        return replace(population, values=population.values + self._offset.to(population.values))


def _allotted(share: float, total: int) -> int:
    return round(share * total)


def _at(center: dict[str, Tensor], space: Space, seed: int) -> Perturbations:
    """A population of one, the center itself."""
    nothing = torch.zeros(1, dtype=torch.int64)
    return Perturbations(center, Gaussian(space, seed, 0), 0.0, nothing, nothing.to(torch.int8))


def _copy(parameters: Any) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in parameters.items()}

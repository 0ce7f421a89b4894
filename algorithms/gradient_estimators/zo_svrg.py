"""ZO-SVRG: zeroth-order descent with a snapshot's gradient as control variate."""

from __future__ import annotations

import math
from typing import Any, Literal

from torch import Tensor

from algorithms.descent import within_bounds
from algorithms.gradient_estimators.zeroth_order import ZerothOrder
from algorithms.options import Count, Positive, Units
from algorithms.steps import StepRule
from harness.core import Budget, Noise, Perturbations, Population, Space, ranges


class ZOSVRG(ZerothOrder):
    """Descend along ``g_B(x) - g_B(y) + g_full(y)``, y a snapshot of the center taken every ``period`` steps.

    ``g_B(x)`` and ``g_B(y)`` are estimates on one minibatch B along the same directions, so that what B and
    the directions add to both cancels, the more the nearer x is to y. As an algorithm sees no data,
    ``g_full(y)`` is the mean of estimates on ``batches`` minibatches, each along directions of its own. A
    step along it alone, with ``lr``, follows every snapshot; the steps between have ``lr_between``.

    With antithetic estimates a snapshot costs 2q evaluations for each of its minibatches, and a step between
    4q. Where no more than one estimate is left of the budget, a last snapshot is made of it.

    Memory: the snapshot, one more copy of the parameters. ``g_full`` is kept as the names and weights of its
    directions, which are drawn again in every step.

    The values of the published script, with ``units=raw``: sigma 1e-3, lr 1e-3, lr_between 1e-6, one query,
    period 2, snapshots on the full data.

    Args:
        estimator: ``antithetic``, ``forward``, ``one-point`` or ``leave-one-out``.
        direction: as in ``zeroth-order``, but for ``sparse``, whose mask moves with the center.
        sigma: radius of a perturbation.
        lr: learning rate of the step after a snapshot.
        lr_between: learning rate of the other steps.
        period: steps from one snapshot to the next, its own included.
        batches: minibatches of a snapshot.
        queries: q, directions per estimate.
        step: ``sgd``, ``momentum``, ``adam``, ``sign``, ``normalised`` or ``clipup``.
        units: ``scale`` or ``raw``.
        rank: of directions for matrices.
        hold: estimates for which held factors last.

    ``best()`` is the center.

    Source: Liu, Kailkhura, Chen, Ting, Chang & Amini, Zeroth-Order Stochastic Variance Reduction for
    Nonconvex Optimization, 2018; Gautam, Park, Zhou, Raman & Ha, Variance-Reduced Zeroth-Order Methods for
    Fine-Tuning Language Models (MeZO-SVRG), arXiv 2404.08080, 2024.

    >>> import torch
    >>> from harness.core import Block
    >>> search = ZOSVRG(Space([Block("x", (4,), "vector")]), Budget(100), seed=0, batches=1, queries=1)
    >>> for losses in ([1.0, 0.0], [2.0, 0.0]):  # the snapshot; then the first of a pair
    ...     search.tell(search.ask(remaining=100), torch.tensor(losses))
    >>> search.same_minibatch, float(search.ask(remaining=96).center["x"].abs().sum())  # around the snapshot
    (True, 0.0)
    """

    source = "Gautam et al. 2024"
    search = ranges(sigma=(0.05, 5.0), lr=(0.06, 60.0))

    def __init__(
        self,
        space: Space,
        budget: Budget,
        seed: int,
        *,
        estimator: Literal["antithetic", "forward", "one-point", "leave-one-out"] = "antithetic",
        direction: Literal[
            "gaussian", "rademacher", "sphere", "orthogonal", "low-rank", "held-low-rank", "subspace"
        ] = "gaussian",
        sigma: Positive = 0.5,
        lr: Positive = 2.0,
        lr_between: Positive = 1.0,
        period: Count = 2,
        batches: Count = 4,
        queries: Count = 1,
        step: StepRule = "sgd",
        units: Units = "scale",
        rank: Count = 4,
        hold: Count = 50,
    ) -> None:
        super().__init__(
            space,
            budget,
            seed,
            estimator=estimator,
            direction=direction,
            queries=queries,
            sigma=sigma,
            lr=lr,
            step=step,
            units=units,
            rank=rank,
            hold=hold,
        )
        self.lr_between, self.period, self.batches = lr_between, period, batches
        self.snapshot: dict[str, Tensor] = {}
        self._full: list[tuple[int, list[float]]] = []  # generations and weights of the directions of g_full
        self._counted = 0  # minibatches of the snapshot under way, failed ones included
        self._left = 0  # steps before the next snapshot
        self._here: Tensor | None = None  # losses around the center, while those around the snapshot are due
        self._pair = self._last = False

    @classmethod
    def points_kept(cls, **options: Any) -> int:
        return super().points_kept(**options) + 1  # the snapshot

    @property
    def same_minibatch(self) -> bool:
        """Whether the next ask is around the snapshot, on the minibatch of the one around the center."""
        return self._here is not None

    def ask(self, remaining: int) -> Perturbations | None:
        estimator = self.estimator
        if self._here is not None:
            self._keep_relative()
            queries = estimator.affordable(len(self._here))
            return self._around(self.snapshot, *estimator.members(queries))
        cheapest = estimator.price(estimator.fewest)
        self._pair = self._left > 0 and remaining >= 2 * cheapest
        asked = super().ask(remaining // 2 if self._pair else remaining)
        if asked is not None:
            self._last = self._counted + 1 >= self.batches or remaining - len(asked) < cheapest
        return asked

    def tell(self, population: Population, losses: Tensor, gradients: Tensor | None = None) -> None:
        assert isinstance(population, Perturbations)
        if not self._pair:
            self._count(losses)
        elif self._here is None:
            self._here = losses.clone()
            return
        else:
            here, self._here = self._here, None
            if all(any(map(math.isfinite, told.tolist())) for told in (here, losses)):
                change = [a - b for a, b in zip(self._weights(here), self._weights(losses), strict=True)]
                if within_bounds(change):
                    self._move(self.lr_between, [(population.noise, change), *self._kept()])
            self._left -= 1
        self.generation += 1

    def _count(self, losses: Tensor) -> None:
        """One minibatch more of the gradient at the snapshot; after the last one, the step along it."""
        if not self._counted:
            self._full = []
        self._counted += 1
        if self.estimator.informative(losses) and within_bounds(weights := self._weights(losses)):
            self._full.append((self.generation, weights))
        if self._last:
            self.snapshot = self.center.state()
            if self._full:
                self._move(self.lr, self._kept())
            self._counted, self._left = 0, self.period - 1

    def _weights(self, losses: Tensor) -> list[float]:
        return self.estimator.weights(losses, self.sigma())

    def _kept(self) -> list[tuple[Noise, list[float]]]:
        """The directions of ``g_full``, with their weights in it."""
        return [
            (self.law(self.space, self.seed, generation), [weight / len(self._full) for weight in weights])
            for generation, weights in self._full
        ]

    def state(self) -> dict[str, Any]:
        return super().state() | {
            "snapshot": {name: value.clone() for name, value in self.snapshot.items()},
            "full": [[generation, list(weights)] for generation, weights in self._full],
            "counted": self._counted,
            "left": self._left,
            "here": None if self._here is None else self._here.clone(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        super().load_state(state)
        self.snapshot = {name: value.clone() for name, value in state["snapshot"].items()}
        self._full = [(generation, list(weights)) for generation, weights in state["full"]]
        self._counted, self._left = state["counted"], state["left"]
        self._here = None if state["here"] is None else state["here"].clone()
        self._pair = self._here is not None

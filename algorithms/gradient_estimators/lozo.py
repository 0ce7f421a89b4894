"""LOZO: zeroth-order descent along low-rank directions in a held subspace."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from algorithms.gradient_estimators.zeroth_order import ZerothOrder
from algorithms.options import Count, Fraction, Positive, Units
from algorithms.steps import StepRule
from harness.core import Budget, Perturbations, Space, ranges


class LOZO(ZerothOrder):
    """MeZO whose perturbation of a matrix is ``U V^T / sqrt(r)``: U is fresh, V held for ``hold`` steps.

    U and V are normal with r columns; blocks that are no matrices get normal entries. The published
    estimate ``(L+ - L-)/(2 eps) U V^T / r`` from losses at ``x +- eps U V^T`` is this one with
    ``sigma = eps sqrt(r)``. A step costs 2q evaluations.

    With ``momentum`` beta (LOZO-M) a step goes along ``N V^T / sqrt(r)`` with
    ``N <- beta N + (1 - beta) sum_j w_j U_j``, the first N being the first sum; when V changes, N becomes
    ``N V_old^T V_new / n`` before it, n the rows of V. N is as thin as U, but a block that is no matrix keeps
    a moving average of its own size.

    The published values, with ``units=raw``: eps 1e-3 and lr 1e-7 or 1e-6, rank 1, 2 or 4, V held for 50 or
    100 steps.

    Args:
        sigma: radius of a perturbation.
        lr: learning rate.
        rank: r of the directions.
        hold: steps between two draws of V.
        momentum: beta; 0 for none.
        queries: q, directions per step, two evaluations each.
        step: ``sgd``, ``momentum``, ``adam``, ``sign``, ``normalised`` or ``clipup``.
        units: ``scale`` or ``raw``.

    ``best()`` is the center.

    Source: Chen, Zhang, Cao, Yuan & Wen, Enhancing Zeroth-Order Fine-Tuning for Language Models with Low-Rank
    Structures, arXiv 2410.07698, 2024.

    >>> from harness.core import Block
    >>> search = LOZO(Space([Block("w", (6, 5), "matrix")]), Budget(100), seed=0, rank=2)
    >>> int(torch.linalg.matrix_rank(search.ask(remaining=100).materialise("w")[0]))
    2
    """

    source = "Chen et al. 2024"
    search = ranges(sigma=(0.05, 5.0), lr=(0.03, 30.0))

    def __init__(
        self,
        space: Space,
        budget: Budget,
        seed: int,
        *,
        sigma: Positive = 0.5,
        lr: Positive = 1.0,
        rank: Count = 2,
        hold: Count = 50,
        momentum: Fraction = 0.0,
        queries: Count = 1,
        step: StepRule = "sgd",
        units: Units = "scale",
    ) -> None:
        super().__init__(
            space,
            budget,
            seed,
            estimator="antithetic",
            direction="held-low-rank",
            queries=queries,
            sigma=sigma,
            lr=lr,
            step=step,
            units=units,
            rank=rank,
            hold=hold,
        )
        self.momentum, self.hold = momentum, hold
        self._velocity: dict[str, Tensor] = {}
        self._moved = 0  # the generation of the last step

    def _descend(self, population: Perturbations, weights: list[float]) -> None:
        if not self.momentum:
            super()._descend(population, weights)
            return
        for block in self.space.blocks:
            self._velocity[block.name] = self._push(population, block.name, weights)
        self._moved = self.generation

        def gradient(block: str, rows: slice) -> Tensor:
            factors = population.noise.factors(0, block)
            here = self._velocity[block][rows]
            return here if factors is None else here @ factors[1].T

        self.center.descend(self.step, self.rate(), gradient)

    def _push(self, population: Perturbations, block: str, weights: list[float]) -> Tensor:
        """The new N of a matrix, or the new moving average of another block."""
        noise, old = population.noise, self._velocity.get(block)
        members = range(len(weights))
        now = noise.factors(0, block)
        if now is None:
            fresh = noise.weighted_sum(block, members, weights)
        else:
            lefts = (noise.factors(member, block) for member in members)
            fresh = torch.stack([w * left[0] for w, left in zip(weights, lefts, strict=True) if left]).sum(0)
        if old is None:
            return fresh
        if now is not None and self._moved // self.hold != self.generation // self.hold:
            before = self.law(self.space, self.seed, self._moved).factors(0, block)
            assert before is not None
            old = old @ (before[1].T @ now[1] / len(now[1]))
        return self.momentum * old + (1 - self.momentum) * fresh

    def state(self) -> dict[str, Any]:
        velocity = {name: value.clone() for name, value in self._velocity.items()}
        return super().state() | {"velocity": velocity, "moved": self._moved}

    def load_state(self, state: dict[str, Any]) -> None:
        super().load_state(state)
        self._velocity = {name: value.clone() for name, value in state["velocity"].items()}
        self._moved = state["moved"]

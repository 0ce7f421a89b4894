"""SubZero: zeroth-order descent in random subspaces of every matrix."""

from __future__ import annotations

from algorithms.gradient_estimators.zeroth_order import ZerothOrder
from algorithms.options import Count, Positive, Units
from algorithms.steps import StepRule
from harness.core import Budget, Space, ranges


class SubZero(ZerothOrder):
    """MeZO whose perturbation of an m x n matrix is ``U Z V^T sqrt(m n) / r``.

    Z is normal and r x r, fresh for every direction. U and V have r orthonormal columns, the Q of normal
    matrices, drawn again every ``hold`` steps: in between, the search stays in their r^2 dimensions. With the
    factor a perturbation's entries have variance 1. Blocks that are no matrices get normal entries, and r is
    cut to a matrix's extents. The estimate is MeZO's, 2q evaluations.

    The values of the published example, prompt tuning with ``units=raw``: sigma 1e-2 and lr 1e-3, rank 24,
    factors held for 1,000 of 20,000 steps.

    Args:
        sigma: radius of a perturbation.
        lr: learning rate.
        rank: r of the subspaces.
        hold: steps between two draws of U and V.
        queries: q, directions per step, two evaluations each.
        step: ``sgd``, ``momentum``, ``adam``, ``sign``, ``normalised`` or ``clipup``.
        units: ``scale`` or ``raw``.

    ``best()`` is the center.

    Source: Yu, Zhou, Wang, Li & Huang, Zeroth-Order Fine-Tuning of LLMs in Random Subspaces, arXiv
    2410.08989, 2024.

    >>> import torch
    >>> from harness.core import Block
    >>> search = SubZero(Space([Block("w", (6, 5), "matrix")]), Budget(100), seed=0, rank=2)
    >>> int(torch.linalg.matrix_rank(search.ask(remaining=100).materialise("w")[0]))
    2
    """

    source = "Yu et al. 2024"
    search = ranges(sigma=(0.05, 5.0), lr=(0.03, 30.0))

    def __init__(
        self,
        space: Space,
        budget: Budget,
        seed: int,
        *,
        sigma: Positive = 0.5,
        lr: Positive = 1.0,
        rank: Count = 24,
        hold: Count = 20,
        queries: Count = 1,
        step: StepRule = "sgd",
        units: Units = "scale",
    ) -> None:
        super().__init__(
            space,
            budget,
            seed,
            estimator="antithetic",
            direction="subspace",
            queries=queries,
            sigma=sigma,
            lr=lr,
            step=step,
            units=units,
            rank=rank,
            hold=hold,
        )

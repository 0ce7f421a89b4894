"""EGGROLL: an evolution strategy with low-rank perturbations."""

from __future__ import annotations

from functools import partial
from typing import Literal

from algorithms.descent import Descent
from algorithms.estimators import Antithetic
from algorithms.options import Count, Pairs, Positive, Units
from algorithms.shaping import Shaping
from algorithms.steps import StepRule
from harness.core import Budget, LowRank, Space, ranges


class Eggroll(Descent):
    """Evolution strategy whose perturbation of a matrix is ``E = A B^T / sqrt(rank)``.

    ``M <- M - lr/n sum_i w_i s_i E_i`` over n = ``population`` mirrored members with signs s and shaped
    losses w (a published fitness is -w). 1/sigma is absorbed in ``lr``, as published. An evaluator that
    knows the factors shares one product with M among all members.

    The defaults are for some ten generations in units of scale; for the published form give the
    publication's sigma and lr (with 1/sigma in it) with ``units=raw``.

    Args:
        sigma: radius of a perturbation.
        lr: learning rate; the z-scored estimate has entries of about 1/sqrt(n).
        population: members in a generation, in mirrored pairs (an odd one is rounded down).
        rank: r of the perturbations.
        vectors: blocks that are no matrices get ``dense`` noise, or ``none`` and stay as they are.
        shaping: ``z-score``, ``centred-rank`` or ``raw``.
        step: ``sgd``, ``momentum``, ``adam``, ``sign``, ``normalised`` or ``clipup``.
        units: ``scale`` or ``raw``.

    ``best()`` is the center.

    Source: Sarkar et al., Evolution Strategies at the Hyperscale, arXiv 2511.16652, 2025.

    >>> import torch
    >>> from harness.core import Block
    >>> es = Eggroll(Space([Block("w", (4, 3), "matrix")]), Budget(100), seed=0, population=4)
    >>> asked = es.ask(remaining=100)
    >>> moved = asked.materialise("w")[0] - es.center.parameters["w"]
    >>> int(torch.linalg.matrix_rank(moved))
    1
    """

    family = "evolution strategies"
    source = "Sarkar et al. 2025"
    search = ranges(sigma=(0.03, 3.0), lr=(0.05, 45.0))

    def __init__(
        self,
        space: Space,
        budget: Budget,
        seed: int,
        *,
        sigma: Positive = 0.3,
        lr: Positive = 1.5,
        population: Pairs = 20,
        rank: Count = 1,
        vectors: Literal["dense", "none"] = "dense",
        shaping: Shaping = "z-score",
        step: StepRule = "sgd",
        units: Units = "scale",
    ) -> None:
        super().__init__(
            space,
            budget,
            seed,
            estimator=Antithetic(shaping),
            law=partial(LowRank, rank=rank),
            queries=population // 2,
            sigma=sigma,
            lr=lr,
            units=units,
            step=step,
            absorbed=True,
        )
        self.vectors = vectors

    def relative(self, block: str) -> float:
        spec = self.space.block(block)
        return 0.0 if self.vectors == "none" and (spec.kind == "vector" or len(spec.shape) != 2) else 1.0

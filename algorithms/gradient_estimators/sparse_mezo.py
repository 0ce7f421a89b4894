"""Sparse-MeZO: zeroth-order descent on small weights only."""

from __future__ import annotations

from typing import ClassVar

from algorithms.gradient_estimators.zeroth_order import ZerothOrder
from algorithms.options import Count, Positive, Share, Units
from algorithms.steps import StepRule
from harness.core import Budget, Space, ranges


class SparseMeZO(ZerothOrder):
    """MeZO along ``m * u``: u normal, m = 1 where a parameter's magnitude is at most its block's threshold.

    Elsewhere m = 0. The threshold is the ``share`` quantile of the block's magnitudes at the start; the mask
    is taken from the parameters as they are, and costs no memory. Where the quantile is zero, as in a block
    that starts at zero (LoRA's second factor), the whole block is searched. The estimate is MeZO's, 2q
    evaluations. A weight that has grown past its threshold stays where it is, so that long steps freeze the
    search early.

    The published values, with ``units=raw``: sigma 1e-3 and an lr larger than MeZO's, at a sparsity around
    .75, which is a share of .25.

    Args:
        sigma: radius of a perturbation.
        lr: learning rate.
        share: of each block's parameters, those of least magnitude.
        queries: q, directions per step, two evaluations each.
        step: ``sgd``, ``momentum``, ``adam``, ``sign``, ``normalised`` or ``clipup``.
        units: ``scale`` or ``raw``.

    ``best()`` is the center.

    Source: Liu, Zhu, Gong, Cheng, Hsieh & You, Sparse MeZO: Less Parameters for Better Performance in
    Zeroth-Order LLM Fine-Tuning, arXiv 2402.15751, 2024.

    >>> import torch
    >>> from harness.core import Block
    >>> space = Space([Block("v", (4,), "vector")], {"v": torch.tensor([3.0, -1.0, 2.0, -4.0])})
    >>> search = SparseMeZO(space, Budget(100), seed=0, share=0.5)
    >>> (search.ask(remaining=100).coordinates()[0] != 0).tolist()
    [False, True, True, False]
    """

    source = "Liu et al. 2024"
    search = ranges(sigma=(0.05, 5.0), lr=(0.03, 30.0))
    expected_failures: ClassVar[dict[str, str]] = {
        "better-than-random-at-10": "three quarters of the coordinates, those that start large, never move"
    }

    def __init__(
        self,
        space: Space,
        budget: Budget,
        seed: int,
        *,
        sigma: Positive = 0.5,
        lr: Positive = 1.0,
        share: Share = 0.25,
        queries: Count = 1,
        step: StepRule = "sgd",
        units: Units = "scale",
    ) -> None:
        super().__init__(
            space,
            budget,
            seed,
            estimator="antithetic",
            direction="sparse",
            queries=queries,
            sigma=sigma,
            lr=lr,
            step=step,
            units=units,
            share=share,
        )

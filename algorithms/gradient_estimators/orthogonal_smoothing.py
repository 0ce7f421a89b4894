"""Two-point estimates along orthogonal directions."""

from __future__ import annotations

from algorithms.gradient_estimators.zeroth_order import ZerothOrder
from algorithms.options import Count, Positive, Units
from algorithms.steps import StepRule
from harness.core import Budget, Space, ranges


class OrthogonalSmoothing(ZerothOrder):
    """Descend along ``g = 1/q sum_j (L(x + sigma u_j) - L(x - sigma u_j)) / (2 sigma) u_j``, u orthogonal.

    The q directions of a step are orthogonal to each other and of length sqrt(d): a normal matrix's Q in its
    QR decomposition, times sqrt(d). No two of them see the same part of the gradient, so that ``E|g|^2`` is
    d/q times its square, and g is the gradient where q = d. A step costs 2q evaluations, and q normal draws
    for the last direction; directions beyond d begin another group of d.

    Args:
        sigma: radius of a perturbation.
        lr: learning rate.
        queries: q, directions per step, two evaluations each.
        step: ``sgd``, ``momentum``, ``adam``, ``sign``, ``normalised`` or ``clipup``.
        units: ``scale`` or ``raw``.

    ``best()`` is the center.

    Source: Choromanski, Rowland, Sindhwani, Turner & Weller, Structured Evolution with Compact
    Architectures for Scalable Policy Optimization, 2018; Kozak, Becker, Doostan & Tenorio, A Stochastic
    Subspace Approach to Gradient-Free Optimization in High Dimensions, 2021.

    >>> import torch
    >>> from harness.core import Block
    >>> search = OrthogonalSmoothing(Space([Block("x", (4,), "vector")]), Budget(100), seed=0, sigma=0.5)
    >>> points = search.ask(remaining=100).coordinates()[::2]
    >>> bool(torch.allclose(points @ points.T, torch.eye(len(points)), atol=1e-5))
    True
    """

    source = "Choromanski et al. 2018"
    search = ranges(sigma=(0.05, 5.0), lr=(0.06, 60.0))

    def __init__(
        self,
        space: Space,
        budget: Budget,
        seed: int,
        *,
        sigma: Positive = 0.5,
        lr: Positive = 2.0,
        queries: Count = 4,
        step: StepRule = "sgd",
        units: Units = "scale",
    ) -> None:
        super().__init__(
            space,
            budget,
            seed,
            estimator="antithetic",
            direction="orthogonal",
            queries=queries,
            sigma=sigma,
            lr=lr,
            step=step,
            units=units,
        )

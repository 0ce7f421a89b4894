"""HiZOO: zeroth-order descent preconditioned by an estimated diagonal of the Hessian."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from algorithms.descent import Descent
from algorithms.estimators import Curvature
from algorithms.options import Count, OpenShare, Positive, Units
from algorithms.steps import StepRule
from harness.core import Budget, Perturbations, Population, Space, ranges

_LEAST = 1e-12


class HiZOO(Descent):
    """Descend along ``g = (L+ - L-) / (2 sigma) u`` with ``u = H^(-1/2) z``, z normal, and H an estimate.

    ``H <- (1 - s) H + s |L+ + L- - 2 L(x)| / (2 sigma^2) H z^2`` by coordinate, with s = ``smoothing``; H
    begins at 1. The step goes along the u that was evaluated, and H changes after it (the published code
    steps with the new H). With q queries, an extension, both estimates are means over them. A step costs
    2q + 1 evaluations. A generation with a failed evaluation leaves H as it is.

    H is held between 1e-12 and 1e12. Memory: H, its root and the radii of the generation that is asked for,
    three float32 numbers per parameter.

    The published values, with ``units=raw``: sigma 1e-3, lr 1e-6, smoothing 1e-8 or 1e-6, one query.

    Args:
        sigma: radius of a perturbation where H is 1.
        lr: learning rate.
        smoothing: s, the weight of the newest curvature.
        queries: q, directions per step, two evaluations each and one for the center.
        step: ``sgd``, ``momentum``, ``adam``, ``sign``, ``normalised`` or ``clipup``.
        units: ``scale`` or ``raw``.

    ``best()`` is the center.

    Source: Zhao, Dang, Ye, Dai, Qian & Tsang, Second-Order Fine-Tuning without Pain for LLMs: A Hessian
    Informed Zeroth-Order Optimizer, arXiv 2402.15173, 2024.

    >>> from harness.core import Block
    >>> search = HiZOO(Space([Block("x", (4,), "vector")]), Budget(100), seed=0, sigma=0.5, smoothing=0.1)
    >>> asked = search.ask(remaining=100)
    >>> search.tell(asked, torch.tensor([3.0, 1.0, 1.5]))
    >>> bool(torch.allclose(search.hessian["x"], 0.9 + 0.1 * 2.0 * asked.noise.draw(0, "x") ** 2))
    True
    """

    family = "gradient estimators"
    source = "Zhao et al. 2024"
    search = ranges(sigma=(0.05, 5.0), lr=(0.03, 30.0))
    largest_dimension = 1_000_000_000
    smallest_budget = 3

    def __init__(
        self,
        space: Space,
        budget: Budget,
        seed: int,
        *,
        sigma: Positive = 0.5,
        lr: Positive = 1.0,
        smoothing: OpenShare = 1e-3,
        queries: Count = 1,
        step: StepRule = "sgd",
        units: Units = "scale",
    ) -> None:
        super().__init__(
            space,
            budget,
            seed,
            estimator=Curvature(),
            queries=queries,
            sigma=sigma,
            lr=lr,
            units=units,
            step=step,
        )
        self.smoothing = smoothing
        self.hessian: dict[str, Tensor] = {}

    @classmethod
    def points_kept(cls, **options: Any) -> int:
        return super().points_kept(**options) + 1  # the curvatures

    def relative(self, block: str) -> Tensor:
        """``H^(-1/2)`` in a block."""
        if block not in self.hessian:
            self.hessian[block] = torch.ones(self.space.block(block).shape, device=self.space.device)
        return self.hessian[block].rsqrt()

    def tell(self, population: Population, losses: Tensor, gradients: Tensor | None = None) -> None:
        super().tell(population, losses)
        assert isinstance(population, Perturbations)
        if not all(map(math.isfinite, losses.tolist())):
            return
        curvatures = [abs(curvature) / 2 for curvature in Curvature.curvatures(losses, self.sigma())]
        for block in self.space.blocks:
            for rows in block.slices(self.space.tile):
                square = sum(
                    curvature * population.noise.draw(member, block.name, rows).square()
                    for member, curvature in enumerate(curvatures)
                )
                here = self.hessian[block.name][rows]
                here.mul_(1 - self.smoothing + self.smoothing / len(curvatures) * square)
                here.clamp_(_LEAST, 1 / _LEAST)

    def state(self) -> dict[str, Any]:
        return super().state() | {"hessian": {name: value.clone() for name, value in self.hessian.items()}}

    def load_state(self, state: dict[str, Any]) -> None:
        super().load_state(state)
        self.hessian = {name: value.clone() for name, value in state["hessian"].items()}

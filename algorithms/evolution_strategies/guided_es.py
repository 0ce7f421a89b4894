"""Guided evolution strategy: half of the search in the span of surrogate gradients."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from algorithms.options import Count, Pairs, Positive, UnitInterval, generation_size
from algorithms.shaping import Shaping, informative, shape
from algorithms.steps import StepRule, step_rule
from harness.core import Algorithm, Budget, Points, Population, Space, ranges


class GuidedES(Algorithm):
    """Antithetic search, elongated along k surrogate gradients.

    With the radius ``r = sigma sqrt(d)`` (the publication's sigma), Q an orthonormal basis ``[d, k]`` of the
    surrogates, eps and eps' normal, and P pairs:
    ``u = r (sqrt(alpha/d) eps + sqrt((1 - alpha)/k) Q eps')`` and
    ``g = beta/(2 r^2 P) sum (w+ - w-) u``, where w are the losses under ``shaping``. For a small radius
    ``E g = beta (alpha/d I + (1 - alpha)/k Q Q') grad``: a scaled gradient, hence an ``lr`` of order d.

    A black box offers no surrogate gradients, so the method's own last k estimates g are taken for them, as
    in self-guided evolution strategies. Until there are k of them nothing is guided: alpha counts as 1.

    Args:
        sigma: root mean square change of a coordinate, in units of scale; r / sqrt(d).
        lr: learning rate; None for k d/beta, which steps along the surrogates as far at any k.
        population: 2P, members in a generation (an odd one is rounded down).
        alpha: share of the isotropic part in the variance of u.
        beta: scale of the estimate.
        surrogates: k, at most d of them.
        shaping: ``raw``, ``z-score`` or ``centred-rank``.
        step: ``sgd``, ``momentum``, ``adam``, ``sign``, ``normalised`` or ``clipup``.

    ``best()`` is the center.

    Source: Maheswaranathan, Metz, Tucker, Choi & Sohl-Dickstein, Guided Evolutionary Strategies:
    Augmenting Random Search with Surrogate Gradients, 2019; own estimates as surrogates: Liu et al.,
    Self-Guided Evolution Strategies with Historical Estimated Gradients, 2020.

    >>> from harness.core import Block
    >>> es = GuidedES(Space([Block("x", (4,), "vector")]), Budget(100), seed=0, surrogates=1)
    >>> asked = es.ask(remaining=100)
    >>> es.tell(asked, asked.values[:, 0].double())
    >>> es.basis.shape, bool(es.best().values[0, 0] < 0)
    (torch.Size([1, 4]), True)
    """

    family = "evolution strategies"
    source = "Maheswaranathan et al. 2019"
    search = ranges(sigma=(0.1, 10.0))
    largest_dimension = 10_000_000
    smallest_budget = 2

    def __init__(
        self,
        space: Space,
        budget: Budget,
        seed: int,
        *,
        sigma: Positive = 1.0,
        lr: Positive | None = None,
        population: Pairs = 10,
        alpha: UnitInterval = 0.5,
        beta: Positive = 1.0,
        surrogates: Count = 6,
        shaping: Shaping = "raw",
        step: StepRule = "sgd",
    ) -> None:
        super().__init__(space, budget, seed)
        d, device = space.size, space.device
        self.generator = torch.Generator(device).manual_seed(seed)
        self.radius = sigma * math.sqrt(d)
        self.pairs, self.shaping = population // 2, shaping
        self.alpha, self.beta = alpha, beta
        self.surrogates = min(surrogates, d)
        self.lr = self.surrogates * d / beta if lr is None else lr
        self.step = step_rule(step)
        self.center = torch.zeros(d, dtype=torch.float64, device=device)
        self.estimates = torch.zeros(0, d, device=device)
        self.basis = torch.zeros(0, d, device=device)
        self._offsets = torch.zeros(0, d, device=device)

    def ask(self, remaining: int) -> Points | None:
        pairs = generation_size(self.pairs, remaining // 2)
        if pairs < 1:
            return None
        center, d, k = self.center.float(), self.space.size, len(self.basis)
        alpha = self.alpha if k else 1.0
        offsets = torch.randn(pairs, d, generator=self.generator, device=center.device)
        offsets *= self.radius * math.sqrt(alpha / d)
        if k:
            along = torch.randn(pairs, k, generator=self.generator, device=center.device)
            offsets.addmm_(along, self.basis, alpha=self.radius * math.sqrt((1 - alpha) / k))
        self._offsets = offsets
        return Points(torch.stack([center + offsets, center - offsets], 1).reshape(2 * pairs, d))

    def tell(self, population: Population, losses: Tensor, gradients: Tensor | None = None) -> None:
        if not informative(losses):
            return
        weights = shape(losses, self.shaping).reshape(-1, 2)
        weights = (weights[:, 0] - weights[:, 1]) * self.beta / (2 * self.radius**2 * len(weights))
        estimate = weights.float().to(self.center.device) @ self._offsets
        # Mirrored losses that are all equal say nothing, and raw ones may lie beyond float32.
        if not (bool(estimate.isfinite().all()) and bool(estimate.any())):
            return
        self.center += self.step.whole(estimate.double(), self.lr)
        self.estimates = torch.cat([self.estimates, estimate[None]])[-self.surrogates :]
        if len(self.estimates) == self.surrogates:
            self.basis = torch.linalg.qr(self.estimates.T)[0].T.contiguous()

    def best(self) -> Points:
        return Points(self.center.float()[None])

    def state(self) -> dict[str, Any]:
        return {
            "center": self.center.clone(),
            "estimates": self.estimates.clone(),
            "basis": self.basis.clone(),
            "step": self.step.state(),
            "generator": self.generator.get_state(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        self.center, self.basis = state["center"].clone(), state["basis"].clone()
        self.estimates = state["estimates"].clone()
        self.step.load_state(state["step"])
        self.generator.set_state(state["generator"])

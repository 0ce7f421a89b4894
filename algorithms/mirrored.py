"""The one loop of OpenAI-ES, EGGROLL, MeZO and SPSA: mirrored directions, shaped losses, a step."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from algorithms.center import Center
from algorithms.options import Units, generation_size
from algorithms.shaping import Shaping, informative, shape
from algorithms.steps import StepRule, step_rule
from harness.core import Algorithm, Budget, Gaussian, Noise, Perturbations, Population, Space


class MirroredDescent(Algorithm):
    """Descend along ``g = 1/(n sigma) sum_i w_i sign_i noise_i`` over n = 2 ``pairs`` mirrored members.

    With raw losses w = L this is the antithetic estimate ``(1/q) sum (L+ - L-)/(2 sigma) u``. A subclass
    chooses the law of noise, the shaping and the step rule, and may let sigma and lr vary.

    Args:
        pairs: q, directions in a generation; half as many more or less in the last one.
        sigma: radius of a perturbation.
        lr: of the step rule.
        units: ``scale`` (of each block) or ``raw``.
        shaping: how losses become weights.
        step: the step rule.
        decay: pulls the coordinates (in raw units the parameters) to zero, added to g.
        absorbed: leave 1/sigma out of g, as in publications that take it into lr.
    """

    smallest_budget = 2

    def __init__(
        self,
        space: Space,
        budget: Budget,
        seed: int,
        *,
        pairs: int,
        sigma: float,
        lr: float,
        units: Units,
        shaping: Shaping,
        step: StepRule,
        decay: float = 0.0,
        absorbed: bool = False,
    ) -> None:
        super().__init__(space, budget, seed)
        self.pairs, self.lr, self.shaping = pairs, lr, shaping
        self.decay, self.absorbed = decay, absorbed
        self.radius = sigma
        self.center = Center(space, units, seed)
        self.step = step_rule(step)
        self.generation = 0

    def law(self) -> Noise:
        """The noise of this generation."""
        return Gaussian(self.space, self.seed, self.generation)

    def sigma(self) -> float:
        """The radius in this generation."""
        return self.radius

    def rate(self) -> float:
        """The learning rate in this generation."""
        return self.lr

    def skipped(self, block: str) -> bool:
        """Whether a block is neither perturbed nor moved."""
        return False

    def ask(self, remaining: int) -> Perturbations | None:
        pairs = generation_size(self.pairs, remaining // 2)
        if pairs < 1:
            return None
        members = torch.arange(pairs).repeat_interleave(2)
        return self._around(self.center.parameters, members, torch.tensor([1, -1] * pairs, dtype=torch.int8))

    def tell(self, population: Population, losses: Tensor, gradients: Tensor | None = None) -> None:
        assert isinstance(population, Perturbations)
        if informative(losses):
            weights = shape(losses, self.shaping) * population.signs / len(losses)
            if not self.absorbed:
                weights = weights / self.sigma()
            self._descend(population, weights)
        self.generation += 1

    def best(self) -> Perturbations:
        """The center: a copy, which later steps do not move."""
        return self._around(self.center.copy(), torch.zeros(1).long(), torch.zeros(1, dtype=torch.int8))

    def state(self) -> dict[str, Any]:
        return {
            "generation": self.generation,
            "center": self.center.state(),
            "step": self.step.state(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        self.generation = state["generation"]
        self.center.load_state(state["center"])
        self.step.load_state(state["step"])

    def _around(self, center: dict[str, Tensor], members: Tensor, signs: Tensor) -> Perturbations:
        sigma = self.center.sigma(self.sigma())
        skipped = {b.name for b in self.space.blocks if self.skipped(b.name)}
        if skipped:
            each = sigma if isinstance(sigma, dict) else {b.name: sigma for b in self.space.blocks}
            sigma = {name: 0.0 if name in skipped else value for name, value in each.items()}
        return Perturbations(center, self.law(), sigma, members, signs)

    def _descend(self, population: Perturbations, weights: Tensor) -> None:
        members = population.members[::2].tolist()
        pair_weights = weights.reshape(-1, 2).sum(1).tolist()

        def gradient(block: str, rows: slice) -> Tensor | None:
            if self.skipped(block):
                return None
            estimate = population.noise.weighted_sum(block, members, pair_weights, rows)
            return estimate + self.decay * self.center.position(block, rows) if self.decay else estimate

        self.center.descend(self.step, self.rate(), gradient)

"""Policy gradients with parameter-based exploration."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from algorithms.evolution_strategies.natural import LARGEST, SMALLEST
from algorithms.options import NonNegative, Pairs, Positive, generation_size
from algorithms.shaping import Shaping, informative, shape
from algorithms.steps import StepRule, step_rule
from harness.core import Algorithm, Budget, Points, Population, Space, ranges


class PGPE(Algorithm):
    """Likelihood-ratio gradient of the center and of every coordinate's sigma, from symmetric samples.

    Of n directions ``e = sigma s``, s normal, with the shaped losses w+ and w- of ``center +- e``:
    ``g = 1/n sum (w+ - w-)/2 e`` goes to the ``step`` rule, and with the baseline b, the mean of all w,
    ``sigma <- sigma - sigma_lr/n sum ((w+ + w-)/2 - b) (e^2 - sigma^2)/sigma``, where a coordinate's sigma
    changes by the share ``sigma_change`` of itself at most.

    A ClipUp step has the length 2 ``lr`` at most: by default 1/15 of the initial radius sigma sqrt(d), as
    published. Its population is in the hundreds; the default here is for some twenty generations.

    Args:
        sigma: initial standard deviation of every coordinate, in units of scale.
        lr: of the step rule; None for sigma sqrt(d)/30.
        population: members in a generation, in mirrored pairs (an odd one is rounded down).
        sigma_lr: learning rate of sigma.
        sigma_change: largest relative change of sigma in one step.
        shaping: ``centred-rank``, ``z-score`` or ``raw``.
        step: ``clipup``, ``sgd``, ``momentum``, ``adam``, ``sign`` or ``normalised``.

    ``best()`` is the center.

    Source: Sehnke, Osendorfer, Rueckstiess, Graves, Peters & Schmidhuber, Parameter-exploring Policy
    Gradients, 2010; Toklu, Liskowski & Srivastava, ClipUp: A Simple and Powerful Optimizer for
    Distribution-based Policy Evolution, 2020.

    >>> from harness.core import Block
    >>> es = PGPE(Space([Block("x", (4,), "vector")]), Budget(100), seed=0, population=6)
    >>> asked = es.ask(remaining=100)
    >>> bool((asked.values[::2] == -asked.values[1::2]).all())
    True
    >>> es.tell(asked, (asked.values.double() ** 2).sum(1))
    >>> es.sigma.shape
    torch.Size([4])
    """

    family = "evolution strategies"
    source = "Sehnke et al. 2010; Toklu et al. 2020"
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
        sigma_lr: NonNegative = 0.1,
        sigma_change: Positive = 0.2,
        shaping: Shaping = "centred-rank",
        step: StepRule = "clipup",
    ) -> None:
        super().__init__(space, budget, seed)
        d, device = space.size, space.device
        self.generator = torch.Generator(device).manual_seed(seed)
        self.pairs, self.shaping = population // 2, shaping
        self.lr = sigma * math.sqrt(d) / 30 if lr is None else lr
        self.sigma_lr, self.sigma_change = sigma_lr, sigma_change
        self.step = step_rule(step)
        self.center = torch.zeros(d, dtype=torch.float64, device=device)
        self.sigma = torch.full((d,), float(sigma), dtype=torch.float64, device=device)
        self._draws = torch.zeros(0, d, device=device)

    def ask(self, remaining: int) -> Points | None:
        pairs = generation_size(self.pairs, remaining // 2)
        if pairs < 1:
            return None
        center, d = self.center.float(), self.space.size
        self._draws = torch.randn(pairs, d, generator=self.generator, device=center.device)
        offsets = self.sigma.float() * self._draws
        return Points(torch.stack([center + offsets, center - offsets], 1).reshape(2 * pairs, d))

    def tell(self, population: Population, losses: Tensor, gradients: Tensor | None = None) -> None:
        if not informative(losses):
            return
        pairs = shape(losses, self.shaping).reshape(-1, 2)
        apart = (pairs[:, 0] - pairs[:, 1]) / 2
        above = pairs.mean(1) - pairs.mean()
        weights = (torch.stack([apart, above]) / len(pairs)).float().to(self.center.device)
        gradient = self.sigma * (weights[0] @ self._draws)
        # (e^2 - sigma^2)/sigma = sigma (s^2 - 1), whose 1 drops out: the weights sum to zero.
        slope = self.sigma * (weights[1] @ self._draws.square())
        if not bool((gradient.isfinite() & slope.isfinite()).all()):
            return  # raw losses beyond float32
        self.center += self.step.whole(gradient, self.lr)
        bound = self.sigma_change * self.sigma
        change = (self.sigma_lr * slope).clamp(-bound, bound)
        self.sigma = (self.sigma - change).clamp(SMALLEST, LARGEST)

    def best(self) -> Points:
        return Points(self.center.float()[None])

    def state(self) -> dict[str, Any]:
        return {
            "center": self.center.clone(),
            "sigma": self.sigma.clone(),
            "step": self.step.state(),
            "generator": self.generator.get_state(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        self.center, self.sigma = state["center"].clone(), state["sigma"].clone()
        self.step.load_state(state["step"])
        self.generator.set_state(state["generator"])

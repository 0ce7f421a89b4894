"""What the cross-entropy method and CEMCTS share: draws, the sampling distribution and its restarts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor

from algorithms.options import default_population
from algorithms.shaping import log_rank_weights
from harness.core import Block, Gaussian, Space

Update = Literal["log-rank", "textbook"]
Coordinates = Tensor | slice


class Draws:
    """Standard normal vectors of one generation, drawn again from their numbers where they are not kept.

    Args:
        sizes: number of coordinates of each part.
        seed: of the algorithm.
        generation: counted from 0.
        device: where they are drawn.

    >>> draws = Draws([3, 2], seed=0, generation=0, device=torch.device("cpu"))
    >>> draws(1, number=7).shape, torch.equal(draws(1, number=7, sign=-1), -draws(1, number=7))
    (torch.Size([2]), True)
    """

    KEPT = 2**20  # numbers, 4 MiB; beyond it only the last draw of each part is, for its mirror image

    def __init__(self, sizes: Sequence[int], seed: int, generation: int, device: torch.device) -> None:
        self._noise = Gaussian(_space_of_parts(tuple(sizes), device), seed, generation)
        self._kept: dict[int, dict[int, Tensor]] = {part: {} for part in range(len(sizes))}
        self._room = self.KEPT

    def __call__(self, part: int, number: int, sign: int = 1) -> Tensor:
        """``sign`` times a draw, ``[size of the part]``, not to be written to."""
        draw = self._draw(part, number)
        return draw if sign > 0 else -draw

    def write(self, row: Tensor, part: int, number: int, sign: int) -> None:
        """Writes ``sign`` times a draw to a row ``[size of the part]``."""
        draw = self._draw(part, number)
        if sign > 0:
            row.copy_(draw)
        else:
            torch.neg(draw, out=row)

    def _draw(self, part: int, number: int) -> Tensor:
        kept = self._kept[part]
        draw = kept.get(number)
        if draw is None:
            draw = self._noise.draw(number, str(part))
            self._room -= draw.numel()
            if self._room < 0:
                kept.clear()
            kept[number] = draw
        return draw


@lru_cache(maxsize=16)
def _space_of_parts(sizes: tuple[int, ...], device: torch.device) -> Space:
    """A vector block for each part; as good as no memory, and the same for all generations split alike."""
    blocks = [Block(str(part), (size,), "vector") for part, size in enumerate(sizes)]
    zero = torch.zeros((), device=device)
    return Space(blocks, {block.name: zero.expand(block.shape) for block in blocks})


class Distribution:
    """A normal distribution with independent coordinates, and its cross-entropy update from elite draws.

    An elite is ``x = mean + std z``. With weights v that sum to 1 (proportional to ln(mu + 1/2) - ln(rank)),
    ``mean' = sum v x`` and ``s2 = sum v (x - old mean)^2``: ``mean <- mean + eta_m (mean' - mean)``,
    ``var <- max((1 - eta_s) var + eta_s s2, floor^2)``. The ``textbook`` update has equal weights, and its
    second moment is about mean'.

    Args:
        dimension: d.
        sigma: initial standard deviation of every coordinate.
        eta_mean: rate of the mean.
        eta_std: rate of the variance.
        eta_path: how strongly the length of the path of the mean moves the standard deviations in common.
        floor: least standard deviation.
        update: ``log-rank`` or ``textbook``.

    With ``eta_path`` above 0 the standard deviations are also multiplied by
    ``exp(eta_path c/D (|p|/sqrt(d) - 1))``, where ``p <- (1 - c) p + sqrt(c (2 - c)/q) sum v z`` is as long
    as sqrt(d) under random selection; c = (m + 2)/(d + m + 5), m = 1/sum v^2 and
    D = 1 + c + 2 max(0, sqrt((m - 1)/(d + 1)) - 1). Of n nodes in mirrored pairs random elites have
    q = sum v^2 - (1 - sum v^2)/(n - 1), of independent ones q = sum v^2.

    Source: Rubinstein, The Cross-Entropy Method for Combinatorial and Continuous Optimization, 1999; the
    path is that of Hansen, The CMA Evolution Strategy: A Tutorial, 2016, the correction q is ours.

    >>> space = Space([Block("x", (1,), "vector")])
    >>> normal = Distribution(space, 1.0, eta_mean=1.0, eta_std=1.0, update="textbook")
    >>> normal.update(slice(None), [torch.tensor([1.0]), torch.tensor([3.0])], elites=2, nodes=2)
    >>> normal.end_generation(elites=2)
    >>> normal.mean.tolist(), normal.std.tolist()
    ([2.0], [1.0])
    """

    def __init__(
        self,
        space: Space,
        sigma: float,
        *,
        eta_mean: float,
        eta_std: float,
        eta_path: float = 0.0,
        floor: float = 0.0,
        update: Update = "log-rank",
    ) -> None:
        dimension, device = space.size, space.device
        self.sigma, self.eta_mean, self.eta_std = sigma, eta_mean, eta_std
        self.eta_path = eta_path if eta_std else 0.0
        self.floor, self.textbook = floor, update == "textbook"
        self.mean = torch.zeros(dimension, device=device)
        self.var = torch.full((dimension,), float(sigma) ** 2, device=device)
        self.path = torch.zeros(dimension if self.eta_path else 0, device=device)
        self._std: Tensor | None = None

    @property
    def std(self) -> Tensor:
        """Standard deviation ``[d]``, not to be written to."""
        if self._std is None:
            self._std = self.var.sqrt()
        return self._std

    def points(self, draws: Tensor) -> Tensor:
        """``mean + std z`` of draws ``[n, d]``, which are overwritten."""
        # Two roundings, as many for a lone point as for a vector of many.
        return draws.mul_(self.std).add_(self.mean)

    def update(
        self,
        coordinates: Coordinates,
        draws: Iterable[Tensor],
        elites: int,
        nodes: int,
        mirrored: bool = False,
    ) -> None:
        """Move some coordinates towards their elites.

        Args:
            coordinates: int64 indices, or a slice.
            draws: z of the elites ``[coordinates]``, the best first; one at a time is looked at.
            elites: how many there are.
            nodes: how many they were chosen from.
            mirrored: whether those were mirrored pairs.
        """
        weights = torch.full((elites,), 1.0 / elites) if self.textbook else log_rank_weights(elites)
        old = self.mean[coordinates]
        std = self.std[coordinates]
        shift, square = torch.zeros_like(old), torch.zeros_like(old)
        for weight, draw in zip(weights.tolist(), draws, strict=True):
            shift.add_(draw, alpha=weight)
            square.addcmul_(draw, draw, value=weight)
        if self.eta_path:
            self._follow(coordinates, shift, float(weights.square().sum()), elites, nodes if mirrored else 0)
        if self.textbook:
            square.addcmul_(shift, shift, value=-1.0).clamp_(min=0.0)
        self.mean[coordinates] = old.addcmul_(std, shift, value=self.eta_mean)
        if self.eta_std:
            # With a rate of 0 nothing moves, not even to the floor.
            var = self.var[coordinates]
            var = var.mul_(square.mul_(self.eta_std).add_(1 - self.eta_std)).clamp_(min=self.floor**2)
            self.var[coordinates] = var

    def end_generation(self, elites: int) -> None:
        """Move all standard deviations by the length of the path; what is sampled next has the new ones."""
        if self.eta_path:
            rate, damping = self._path_rates(elites)
            length = float(self.path.norm()) / math.sqrt(len(self.path))
            change = self.eta_path * rate / damping * (length - 1)
            self.var.mul_(math.exp(min(1.0, 2 * change))).clamp_(min=self.floor**2)
        self._std = None

    def restart(self, mean: Tensor) -> None:
        """Around a point, with the initial standard deviation."""
        self.mean.copy_(mean)
        self.var.fill_(float(self.sigma) ** 2)
        self.path.zero_()
        self._std = None

    def _follow(
        self, coordinates: Coordinates, shift: Tensor, squares: float, elites: int, pairs: int
    ) -> None:
        """Add a shift to the path, in units in which random selection gives independent normal numbers."""
        rate, _ = self._path_rates(elites)
        neutral = squares - (1 - squares) / (pairs - 1) if pairs > 2 else squares
        kept = self.path[coordinates].mul_(1 - rate)
        scale = math.sqrt(rate * (2 - rate) / max(neutral, 1e-3 * squares))
        self.path[coordinates] = kept.add_(shift, alpha=scale)

    def _path_rates(self, elites: int) -> tuple[float, float]:
        """The path's rate c and damping D."""
        effective = 1 / float(log_rank_weights(elites).square().sum())
        dimension = len(self.path)
        rate = (effective + 2) / (dimension + effective + 5)
        excess = math.sqrt(max(0.0, effective - 1) / (dimension + 1)) - 1
        return rate, 1 + rate + 2 * max(0.0, excess)


class Incumbent:
    """The best of the distribution's means, and when to restart from it.

    With ``recheck`` it is evaluated beside each new mean, on the same minibatch, and the lesser loss wins:
    the best of losses on different minibatches is that of the luckiest minibatch. When its own loss has come
    back unchanged three times in a row, losses are taken to be free of noise, and it is not evaluated again.

    Args:
        space: whose start stands for it until a mean is evaluated.
        recheck: whether it is evaluated again.
        patience: restart after so many means in a row that improve nothing; None for never.
        collapse: restart when the largest standard deviation is below this.

    >>> space = Space([Block("x", (2,), "vector")])
    >>> incumbent = Incumbent(space, recheck=True, patience=2, collapse=0.0)
    >>> normal = Distribution(space, 1.0, eta_mean=1.0, eta_std=1.0)
    >>> incumbent.meet(normal, torch.tensor([1.0])), incumbent.contenders(normal).shape
    (False, torch.Size([2, 2]))
    >>> incumbent.meet(normal, torch.tensor([3.0, 2.0])), incumbent.loss
    (False, 2.0)
    """

    CONVINCED = 3

    def __init__(self, space: Space, *, recheck: bool, patience: int | None, collapse: float) -> None:
        self.patience, self.collapse = patience, collapse
        self.mean = torch.zeros(space.size, device=space.device)
        self.loss = math.inf
        self._unchanged = 0 if recheck else self.CONVINCED
        self._stale = 0

    @property
    def price(self) -> int:
        """Evaluations at the end of a generation: of the new mean, and of the incumbent if that is needed."""
        return 2 if self._unchanged < self.CONVINCED and math.isfinite(self.loss) else 1

    def contenders(self, distribution: Distribution) -> Tensor:
        """The points to be evaluated, ``[price, d]``: the new mean first."""
        return torch.stack([distribution.mean, self.mean][: self.price])

    def meet(self, distribution: Distribution, losses: Tensor) -> bool:
        """Take in the losses of the contenders, or of the mean alone; True if it is time to restart.

        A failed mean (nan) improves nothing.
        """
        mean, *again = losses.tolist()
        if again:
            self._unchanged = self._unchanged + 1 if again[0] == self.loss else 0
            self.loss = math.inf if math.isnan(again[0]) else again[0]
        self._stale += 1
        if mean < self.loss:
            self.mean.copy_(distribution.mean)
            self.loss, self._stale = mean, 0
        if self.patience is None:
            return False
        if self._stale < self.patience and float(distribution.std.max()) >= self.collapse:
            return False
        self._stale = 0
        return True


def elite_count(share: float, count: int) -> int:
    """``ceil(share * count)``, two at least where there are two.

    >>> elite_count(0.25, 20), elite_count(0.1, 5), elite_count(0.5, 1)
    (5, 2, 1)
    """
    return min(count, max(2, math.ceil(share * count)))


def leaves_per_tree(dimension: int, budget: int) -> int:
    """``2 (4 + floor(3 ln d))``, but at most a tenth of the budget, where that is 8 or more.

    >>> leaves_per_tree(320, 200), leaves_per_tree(320, 8000)
    (20, 42)
    """
    return min(2 * default_population(dimension), max(8, budget // 10))

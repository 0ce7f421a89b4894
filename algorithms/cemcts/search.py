"""CEMCTS: generations of trees, and the distribution that their best nodes move."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from algorithms.cemcts.tree import Credit, Node, Tree
from algorithms.options import Count, NonNegative, Pairs, Positive, Share, UnitInterval, generation_size
from algorithms.sampling import Coordinates, Distribution, Draws, Incumbent, elite_count, leaves_per_tree
from algorithms.shaping import informative
from harness.core import Algorithm, Budget, Points, Population, Space, ranges

Split = Literal["blocks", "random", "learned"]
_NUMBERS = 2**26  # of one batch at most: 256 MiB in float32


class CEMCTS(Algorithm):
    """Draw candidates as paths of a tree, and move a normal distribution to its high-valued nodes.

    The coordinates are split in ``blocks`` parts. A node at depth b chooses the values of part b,
    ``mean_b + std_b z``; it stores the number and the sign of its draw z, not the values. A leaf at the last
    depth is a candidate. In each generation ``population`` leaves grow, ``batch`` evaluated at a time: a path
    widens a node with N visits while it has fewer than ``ceil(widening N^alpha)`` children (z, -z, z', -z',
    ...), and else descends to the child of largest ``Q + c sqrt(ln(N' + 1)/N)``,
    ``Q = (1 - w) W/N + w best``. N, W and best count leaves, their utilities (1 for the least loss of the
    tree, 0 for the largest, by rank) and the largest utility; leaves not yet evaluated count as visits of
    utility 0. Then each part of the distribution moves to the best ``rho`` of the nodes of its depth by the
    cross-entropy update (see ``Distribution``), and the mean is evaluated against the incumbent (see
    ``Incumbent``).

    Args:
        population: lambda, leaves of a tree; None for the lesser of 2 (4 + floor(3 ln d)) and a tenth of
            the budget (8 at least). The last tree has half as many more or less.
        batch: K, leaves evaluated together; None for a quarter of the population, but at most 2^26 numbers.
        blocks: B, depth of the tree. With 1 this is CrossEntropy.
        split: the parts are whole ``blocks`` of the space in a fresh order each generation, where it has as
            many as are wanted, or a fresh ``random`` partition of the coordinates; ``learned`` puts
            coordinates together whose variances have become alike (a random partition until they differ).
        sigma: initial standard deviation, in units of scale.
        exploration: c.
        best_share: w, how far a node is valued by its best leaf, and not by their mean.
        widening: C.
        alpha: exponent of the widening.
        pairs: complete a mirrored pair of children before anything else is done at their parent.
        virtual_visits: count leaves that are not yet evaluated where a path is chosen.
        credit: what elites are chosen by: Q, the ``value``; or the ``advantage`` of a choice, which is Q less
            ``(Q(root) + (N - 1) Q(parent))/N`` with the parent's N, as what lies below a good parent looks
            good whatever it is.
        rho: share of the nodes of a depth that are elite, two at least.
        eta_mean: rate of the mean.
        eta_std: rate of the variance; with 0 the standard deviations never move.
        eta_path: rate of the common step size.
        floor: least standard deviation.
        recheck: evaluate the incumbent again beside each new mean, where losses are noisy.
        patience: restart around the incumbent after so many means that improve nothing; None for never.
        collapse: restart when no coordinate's standard deviation is above this.

    ``best()`` is the incumbent: the best of the means. Everything that is evaluated counts.

    Memory: no node holds a vector. At d = 1e6 a search holds 15 vectors of d float32 at most with a batch of
    one (the parts' int64 indices included), and 3 more for each further leaf of the batch.

    Source: this project. Its pieces are from Rubinstein, The Cross-Entropy Method, 1999; Kocsis &
    Szepesvari, Bandit Based Monte-Carlo Planning, 2006; Couetoux et al., Continuous Upper Confidence Trees,
    2011; Hansen, The CMA Evolution Strategy: A Tutorial, 2016 (the path).

    >>> from harness.core import Block
    >>> search = CEMCTS(Space([Block("x", (6,), "vector")]), Budget(60), seed=0, population=8, batch=4)
    >>> asked = search.ask(remaining=60)
    >>> search.tell(asked, (asked.values.double() ** 2).sum(1))
    >>> search.tree.root.visits, search.same_minibatch
    (4, True)
    """

    family = "cross-entropy"
    source = "this project"
    search = ranges(sigma=(0.1, 10.0))
    largest_dimension = 10_000_000
    smallest_budget = 3

    tree: Tree
    parts: list[Coordinates]
    sizes: list[int]
    places: Tensor | None
    draws: Draws
    losses: Tensor
    _leaves_wanted: int

    def __init__(
        self,
        space: Space,
        budget: Budget,
        seed: int,
        *,
        population: Pairs | None = None,
        batch: Count | None = None,
        blocks: Count = 2,
        split: Split = "blocks",
        sigma: Positive = 1.0,
        exploration: NonNegative = 0.25,
        best_share: UnitInterval = 0.5,
        widening: Positive = 1.0,
        alpha: UnitInterval = 0.9,
        pairs: bool = False,
        virtual_visits: bool = True,
        credit: Credit = "advantage",
        rho: Share = 0.5,
        eta_mean: UnitInterval = 1.0,
        eta_std: UnitInterval = 0.5,
        eta_path: NonNegative = 1.0,
        floor: NonNegative = 1e-6,
        recheck: bool = True,
        patience: Count | None = 20,
        collapse: NonNegative = 1e-4,
    ) -> None:
        super().__init__(space, budget, seed)
        self.population = population or leaves_per_tree(space.size, budget.total)
        self.batch = batch or max(1, min(self.population // 4, _NUMBERS // space.size))
        self.depth = min(blocks, space.size)
        self.split: Split = split
        self.exploration, self.best_share, self.credit = exploration, best_share, credit
        self.widening, self.alpha, self.pairs = widening, alpha, pairs
        self.virtual_visits, self.rho = virtual_visits, rho
        self.distribution = Distribution(
            space, sigma, eta_mean=eta_mean, eta_std=eta_std, eta_path=eta_path, floor=floor
        )
        self.incumbent = Incumbent(space, recheck=recheck, patience=patience, collapse=collapse)
        # A stream of its own, so that the draws do not depend on how the coordinates are split.
        self._order = np.random.default_rng([seed, 1])
        self._generation = -1
        self._plant()

    @property
    def same_minibatch(self) -> bool:
        """Whether the next ask belongs to the last one's generation, to be evaluated on its minibatch."""
        return self._leaves_wanted > 0

    def ask(self, remaining: int) -> Points | None:
        if remaining < 1:
            return None
        price = self.incumbent.price
        if not self._leaves_wanted:
            self._leaves_wanted = max(0, generation_size(self.population + price, remaining) - price)
        wanted = min(self._leaves_wanted - len(self.tree.leaves), remaining - price)
        if wanted < 1:
            return Points(self.incumbent.contenders(self.distribution)[:remaining])
        count = min(self.batch, wanted)
        return Points(self._points([self.tree.grow() for _ in range(count)]))

    def tell(self, population: Population, losses: Tensor, gradients: Tensor | None = None) -> None:
        if len(self.losses) < len(self.tree.leaves):
            self.losses = torch.cat([self.losses, losses.double()])
            self.tree.value(self.losses)
            if len(self.losses) >= self._leaves_wanted:
                self._move_distribution()
            return
        if self.incumbent.meet(self.distribution, losses):
            self.distribution.restart(self.incumbent.mean)
        self._plant()

    def best(self) -> Points:
        return Points(self.incumbent.mean.clone()[None])

    def _plant(self) -> None:
        """An empty tree over a fresh split of the coordinates."""
        self._generation += 1
        self._leaves_wanted = 0
        self.tree = Tree(
            self.depth,
            exploration=self.exploration,
            best_share=self.best_share,
            widening=self.widening,
            alpha=self.alpha,
            pairs=self.pairs,
            virtual_visits=self.virtual_visits,
        )
        self.losses = torch.zeros(0, dtype=torch.float64)
        # The coordinates of each part, their numbers, and where each coordinate lies when they are joined.
        self.parts, self.sizes, self.places = [slice(None)], [self.space.size], None
        if self.depth > 1:
            parts = self._split()
            self.parts, self.sizes = list(parts), [len(part) for part in parts]
            self.places = torch.cat(parts).argsort()
        self.draws = Draws(self.sizes, self.seed, self._generation, self.space.device)

    def _points(self, paths: list[list[Node]]) -> Tensor:
        # The parts side by side, and then the coordinates in their places: one look-up for all paths.
        values = torch.empty(len(paths), self.space.size, device=self.space.device)
        for part, piece in enumerate(values.split(self.sizes, dim=1)):
            for row, path in zip(piece, paths, strict=True):
                self.draws.write(row, part, path[part].number, path[part].sign)
        if self.places is not None:
            values = values.index_select(1, self.places)
        return self.distribution.points(values)

    def _move_distribution(self) -> None:
        if not informative(self.losses):
            return
        for level, coordinates in enumerate(self.parts):
            nodes = self.tree.nodes(level, self.credit)
            elites = nodes[: elite_count(self.rho, len(nodes))]
            draws = (self.draws(level, node.number, node.sign) for node in elites)
            self.distribution.update(coordinates, draws, len(elites), len(nodes), mirrored=True)
        self.distribution.end_generation(elite_count(self.rho, len(self.losses)))

    def _split(self) -> list[Tensor]:
        """Which coordinates each part has."""
        if self.split == "blocks" and len(self.space.blocks) >= self.depth:
            return self._whole_blocks()
        if self.split == "learned" and self._generation:
            order = self.distribution.var.argsort(stable=True)
        else:
            shuffled = torch.from_numpy(self._order.permutation(self.space.size))
            order = shuffled.to(self.space.device)
        return list(order.tensor_split(self.depth))

    def _whole_blocks(self) -> list[Tensor]:
        """Parts of whole blocks and of about one size: each block joins the smallest part so far."""
        places = self.space.split(torch.arange(self.space.size, device=self.space.device))
        parts: list[list[Tensor]] = [[] for _ in range(self.depth)]
        for index in self._order.permutation(len(self.space.blocks)):
            smallest = min(parts, key=lambda part: sum(len(piece) for piece in part))
            smallest.append(places[self.space.blocks[index].name].reshape(-1))
        return [torch.cat(part) for part in parts]

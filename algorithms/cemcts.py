"""CEMCTS: the cross-entropy method on a Monte Carlo tree."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from algorithms.cross_entropy import leaves_per_tree
from algorithms.options import Count, NonNegative, Pairs, Positive, Share, UnitInterval, generation_size
from algorithms.sampling import Distribution, Incumbent, elite_count
from algorithms.shaping import informative, ranks
from harness.core import Algorithm, Budget, Points, Population, Space


@dataclass(eq=False)
class Node:
    """A choice of values for one part of the coordinates, below the choices of the parts before it.

    ``visits`` and ``total`` are the number of evaluated leaves below it and the sum of their utilities,
    ``top`` the largest; ``virtual`` counts leaves below it that are not evaluated yet.
    """

    draw: Tensor
    value: Tensor
    children: list[Node] = field(default_factory=list)
    visits: int = 0
    virtual: int = 0
    total: float = 0.0
    top: float = 0.0

    def quality(self, best_share: float) -> float:
        """``(1 - w) W/(N + virtual) + w best N/(N + virtual)``: leaves not yet evaluated count as 0."""
        everyone = self.visits + self.virtual
        return ((1 - best_share) * self.total + best_share * self.top * self.visits) / everyone


class CEMCTS(Algorithm):
    """Draw candidates as paths of a tree, and move a normal distribution to its high-valued nodes.

    The coordinates are split in ``blocks`` parts. A node at depth b chooses the values of part b,
    ``mean_b + std_b z``; a leaf at the last depth is a candidate. In each generation ``population`` leaves
    grow, ``batch`` evaluated at a time: a path widens a node with N visits while it has fewer than
    ``ceil(widening N^alpha)`` children (z, -z, z', -z', ...), and else descends to the child of largest
    ``(1 - w) W/N + w best + c sqrt(ln(N' + 1)/N)``; N, W and best count leaves, their utilities u (1 for the
    least loss of the tree, 0 for the largest, by rank) and the largest u. Then each part of the
    distribution moves to the best ``rho`` of the nodes of its depth by the cross-entropy update (see
    ``Distribution``), and the mean is evaluated.

    Args:
        population: lambda, leaves of a tree; None for the lesser of 4 (4 + floor(3 ln d)) and a tenth of
            the budget (8 at least). The last tree has half as many more or less.
        batch: K, leaves evaluated together; None for a quarter of the population.
        blocks: B, depth of the tree. With 1 this is CrossEntropy.
        split: the parts are whole ``blocks`` of the space in a fresh order each generation, where it has as
            many as are wanted, or a fresh ``random`` partition of the coordinates.
        sigma: initial standard deviation, in units of scale.
        exploration: c.
        best_share: w, how far a node is valued by its best leaf, and not by their mean.
        widening: C.
        alpha: exponent of the widening.
        rho: share of the nodes of a depth that are elite, two at least.
        eta_mean: rate of the mean.
        eta_std: rate of the variance.
        floor: least standard deviation.
        patience: restart around the incumbent after so many means that improve nothing; None for never.
        collapse: restart when no coordinate's standard deviation is above this.

    ``best()`` is the incumbent: the best of the means, each evaluated once (counted).

    Source: this project. Its pieces are from Rubinstein, The Cross-Entropy Method, 1999; Kocsis &
    Szepesvari, Bandit Based Monte-Carlo Planning, 2006; Couetoux et al., Continuous Upper Confidence Trees,
    2011.

    >>> from harness.core import Block
    >>> search = CEMCTS(Space([Block("x", (6,), "vector")]), Budget(60), seed=0, population=8, batch=4)
    >>> asked = search.ask(remaining=60)
    >>> search.tell(asked, (asked.values.double() ** 2).sum(1))
    >>> search.root.visits, search.same_minibatch
    (4, True)
    """

    family = "cross-entropy"
    source = "this project"
    largest_dimension = 10_000_000
    smallest_budget = 3

    root: Node
    leaves: list[list[Node]]
    losses: Tensor
    parts: list[Tensor]
    _pending: list[list[Node]]
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
        split: Literal["blocks", "random"] = "blocks",
        sigma: Positive = 1.0,
        exploration: NonNegative = 0.5,
        best_share: UnitInterval = 0.5,
        widening: Positive = 1.0,
        alpha: UnitInterval = 0.9,
        rho: Share = 0.25,
        eta_mean: UnitInterval = 1.0,
        eta_std: UnitInterval = 0.5,
        floor: NonNegative = 1e-6,
        patience: Count | None = 20,
        collapse: NonNegative = 1e-4,
    ) -> None:
        super().__init__(space, budget, seed)
        self.population = population or leaves_per_tree(space.size, budget.total)
        self.batch = batch or max(1, self.population // 4)
        self.depth = min(blocks, space.size)
        self.whole_blocks = split == "blocks" and len(space.blocks) >= self.depth
        self.exploration, self.best_share = exploration, best_share
        self.widening, self.alpha, self.rho = widening, alpha, rho
        self.distribution = Distribution(space.size, sigma, eta_mean, eta_std, floor, "log-rank")
        self.incumbent = Incumbent(space.size, patience, collapse)
        # A stream of its own, so that the draws do not depend on how the coordinates are split.
        self._order = np.random.default_rng([seed, 1])
        self._empty_tree()

    @property
    def same_minibatch(self) -> bool:
        """Whether the next ask belongs to the last one's generation, to be evaluated on its minibatch."""
        return self._leaves_wanted > 0

    def ask(self, remaining: int) -> Points | None:
        if remaining < 1:
            return None
        if not self._leaves_wanted:
            self._leaves_wanted = generation_size(self.population + 1, remaining) - 1
        if remaining == 1 or len(self.leaves) >= self._leaves_wanted:
            return Points(self.distribution.mean.to(self.space.device, copy=True)[None])
        count = min(self.batch, self._leaves_wanted - len(self.leaves), remaining - 1)
        self._pending = [self._grow() for _ in range(count)]
        values = torch.empty(count, self.space.size)
        for row, path in enumerate(self._pending):
            for coordinates, node in zip(self.parts, path[1:], strict=True):
                values[row, coordinates] = node.value
        return Points(values.to(self.space.device))

    def tell(self, population: Population, losses: Tensor, gradients: Tensor | None = None) -> None:
        if self._pending:
            self.leaves += self._pending
            self.losses = torch.cat([self.losses, losses.double()])
            self._pending = []
            self._value_nodes()
            if len(self.leaves) >= self._leaves_wanted:
                self._move_distribution()
            return
        mean, std = self.distribution.mean, self.distribution.std
        if self.incumbent.meet(mean, std, float(losses[0])):
            self.distribution.restart(self.incumbent.mean)
        self._empty_tree()

    def best(self) -> Points:
        return Points(self.incumbent.mean.to(self.space.device, copy=True)[None])

    def _empty_tree(self) -> None:
        """Nothing but a root, over a fresh split of the coordinates."""
        self.root = Node(torch.empty(0), torch.empty(0))
        self.leaves, self._pending = [], []
        self.losses = torch.zeros(0, dtype=torch.float64)
        self.parts = self._split()
        self._leaves_wanted = 0

    def _split(self) -> list[Tensor]:
        if self.depth == 1:
            return [torch.arange(self.space.size)]
        if not self.whole_blocks:
            order = torch.from_numpy(self._order.permutation(self.space.size))
            return list(torch.tensor_split(order, self.depth))
        places = self.space.split(torch.arange(self.space.size))
        parts: list[list[Tensor]] = [[] for _ in range(self.depth)]
        for index in self._order.permutation(len(self.space.blocks)):
            smallest = min(parts, key=lambda part: sum(len(piece) for piece in part))
            smallest.append(places[self.space.blocks[index].name].reshape(-1))
        return [torch.cat(part) for part in parts]

    def _grow(self) -> list[Node]:
        """One new leaf: its path from the root, with a virtual visit on every node."""
        path = [self.root]
        while len(path) <= self.depth:
            node, level = path[-1], len(path) - 1
            visits = node.visits + node.virtual
            room = len(node.children) < math.ceil(self.widening * max(1, visits) ** self.alpha)
            # A node that is new has no children, so that the rest of its path is fresh draws.
            if room or level == self.depth - 1:
                path.append(self._widen(node, self.parts[level]))
            else:
                path.append(max(node.children, key=lambda child: self._promise(child, visits)))
        for node in path:
            node.virtual += 1
        return path

    def _widen(self, node: Node, coordinates: Tensor) -> Node:
        if len(node.children) % 2:
            draw = -node.children[-1].draw
        else:
            draw = torch.randn(len(coordinates), generator=self.generator)
        mean, std = self.distribution.mean[coordinates], self.distribution.std[coordinates]
        child = Node(draw=draw, value=mean + std * draw)
        node.children.append(child)
        return child

    def _promise(self, child: Node, parent_visits: int) -> float:
        bonus = math.sqrt(math.log(parent_visits + 1) / (child.visits + child.virtual))
        return child.quality(self.best_share) + self.exploration * bonus

    def _value_nodes(self) -> None:
        """Recompute every node from all leaves: ranks change whenever leaves are added."""
        for path in self.leaves:
            for node in path:
                node.visits = node.virtual = 0
                node.total = node.top = 0.0
        utilities = 1.0 - ranks(self.losses) / max(1, len(self.losses) - 1)
        for path, utility in zip(self.leaves, utilities.tolist(), strict=True):
            for node in path:
                node.visits += 1
                node.total += utility
                node.top = max(node.top, utility)

    def _move_distribution(self) -> None:
        if not informative(self.losses):
            return
        for level, coordinates in enumerate(self.parts, start=1):
            nodes = list(dict.fromkeys(path[level] for path in self.leaves))
            nodes.sort(key=lambda node: -node.quality(self.best_share))
            elites = nodes[: elite_count(self.rho, len(nodes))]
            self.distribution.update(coordinates, torch.stack([node.value for node in elites]))

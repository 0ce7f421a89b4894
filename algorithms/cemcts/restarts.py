"""Where and how widely to search again: a tree of restarts, descended by upper confidence bounds."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from harness.core import Block, Space

Choice = Literal["ucb", "random"]


@dataclass(eq=False, slots=True)
class Restart:
    """A node of the tree: so many coordinates; below it, the same in steps of so many sigma.

    ``cost`` counts the evaluations below it in units of a population, ``gain`` the coordinates that were
    moved for the better.
    """

    size: int
    width: float = 0.0
    children: list[Restart] = field(default_factory=list)
    cost: float = 0.0
    gain: float = 0.0


@dataclass
class Part:
    """A restart under way: its leaf, int64 ``coordinates`` ``[size]`` and what it has cost.

    >>> Part(Restart(1), torch.tensor([2])).embed(torch.zeros(3), torch.tensor([[5.0], [6.0]])).tolist()
    [[0.0, 0.0, 5.0], [0.0, 0.0, 6.0]]
    """

    leaf: Restart
    coordinates: Tensor
    evaluations: int = 0

    def embed(self, point: Tensor, values: Tensor) -> Tensor:
        """A point ``[d]`` with its part replaced by each row of ``[n, size]``: ``[n, d]``."""
        points = point.repeat(len(values), 1)
        points[:, self.coordinates] = values
        return points

    def space(self) -> Space:
        """One vector block, whose starting point takes no memory."""
        zero = torch.zeros((), device=self.coordinates.device)
        size = len(self.coordinates)
        return Space([Block("part", (size,), "vector")], {"part": zero.expand(size)})


class Restarts:
    """Chooses restarts: the number of coordinates, then the width, then which coordinates.

    A child's value is its gain by cost, as a share of the largest among its siblings, and 1 before it was
    tried; the child of largest ``value + c sqrt(ln(1 + N')/(1 + N))`` is descended to, where N and N' are the
    costs of the child and its parent. So the choice does not depend on the scale of the losses.
    Coordinates are taken in random order, all of them before one is taken again.

    Args:
        dimension: d; the sizes are d, d/4, d/16, ..., 1.
        unit: evaluations in a unit of cost.
        parts: False for no size but d.
        exploration: c.
        choice: ``random`` for a random child at each node.
        random: of the order of coordinates, and among equals.

    >>> random = np.random.default_rng(0)
    >>> restarts = Restarts(20, 24, parts=True, exploration=0.25, choice="ucb", random=random)
    >>> [node.size for node in restarts.root.children]
    [20, 5, 1]
    >>> leaf, coordinates = restarts.choose()
    >>> len(coordinates) == leaf.size, leaf.width in Restarts.WIDTHS
    (True, True)
    """

    WIDTHS = (0.5, 1.0, 2.0)

    def __init__(
        self,
        dimension: int,
        unit: int,
        *,
        parts: bool,
        exploration: float,
        choice: Choice,
        random: np.random.Generator,
    ) -> None:
        sizes = [dimension]
        while parts and sizes[-1] > 1:
            sizes.append(max(1, sizes[-1] // 4))
        self.root = Restart(dimension)
        self.root.children = [Restart(n, 0.0, [Restart(n, w) for w in self.WIDTHS]) for n in sizes]
        self.unit, self.exploration, self.choice, self.random = unit, exploration, choice, random
        self._left: dict[int, np.ndarray] = {}

    def choose(self) -> tuple[Restart, np.ndarray]:
        """A leaf and its coordinates, int64 in increasing order."""
        node = self.root
        while node.children:
            node = self._descend(node)
        left = self._left.get(node.size, np.empty(0, dtype=np.int64))
        if len(left) < node.size:
            left = self.random.permutation(self.root.size)
        self._left[node.size] = left[node.size :]
        return node, np.sort(left[: node.size])

    def credit(self, leaf: Restart, evaluations: int, moved: int) -> None:
        """Book what a restart cost and how many coordinates it moved for the better."""
        branch = next(node for node in self.root.children if leaf in node.children)
        for node in (self.root, branch, leaf):
            node.cost += evaluations / self.unit
            node.gain += moved

    def _descend(self, node: Restart) -> Restart:
        children = [node.children[i] for i in self.random.permutation(len(node.children))]
        if self.choice == "random":
            return children[0]
        most = max((child.gain / child.cost for child in children if child.cost), default=0.0) or 1.0

        def promise(child: Restart) -> float:
            value = child.gain / child.cost / most if child.cost else 1.0
            return value + self.exploration * math.sqrt(math.log(1 + node.cost) / (1 + child.cost))

        return max(children, key=promise)

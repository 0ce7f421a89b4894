"""The tree of one generation: nodes choose parts of a candidate, paths to leaves are candidates."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor

from algorithms.shaping import ranks

Credit = Literal["value", "advantage"]


@dataclass(eq=False, slots=True)
class Node:
    """A choice of values for one part of the coordinates, below the choices of the parts before it.

    The choice is ``mean + std z`` with z = ``sign`` times the draw of that ``number``. ``visits`` and
    ``total`` are the number of evaluated leaves below it and the sum of their utilities, ``top`` the
    largest; ``virtual`` counts leaves below it that are not evaluated yet.
    """

    parent: Node | None = None
    number: int = 0
    sign: int = 1
    children: list[Node] = field(default_factory=list)
    visits: int = 0
    virtual: int = 0
    total: float = 0.0
    top: float = 0.0

    def quality(self, best_share: float) -> float:
        """``(1 - w) W/(N + virtual) + w best N/(N + virtual)``: leaves not yet evaluated count as 0."""
        everyone = self.visits + self.virtual
        return ((1 - best_share) * self.total + best_share * self.top * self.visits) / (everyone or 1)


class Tree:
    """Grows leaves one by one and values all nodes by them.

    Args:
        depth: B.
        exploration: c of the choice among children.
        best_share: w of the quality.
        widening: C.
        alpha: exponent of the widening.
        pairs: complete a mirrored pair of children before anything else is done at their parent.
        virtual_visits: count leaves that are not evaluated yet where paths are chosen.

    >>> tree = Tree(2, exploration=0.5, best_share=0.5, widening=0.5, alpha=1.0)
    >>> paths = [tree.grow() for _ in range(4)]
    >>> [[(node.number, node.sign) for node in path] for path in paths]
    [[(0, 1), (1, 1)], [(0, -1), (2, 1)], [(0, 1), (1, -1)], [(0, -1), (2, -1)]]
    """

    def __init__(
        self,
        depth: int,
        *,
        exploration: float,
        best_share: float,
        widening: float,
        alpha: float,
        pairs: bool = True,
        virtual_visits: bool = True,
    ) -> None:
        self.depth, self.exploration, self.best_share = depth, exploration, best_share
        self.widening, self.alpha, self.pairs = widening, alpha, pairs
        self.virtual_visits = virtual_visits
        self.root = Node()
        self.leaves: list[list[Node]] = []
        self._nodes = [self.root]
        self._draws = 0

    def grow(self) -> list[Node]:
        """One new leaf, not evaluated yet: the nodes of its path below the root."""
        path, node = [], self.root
        for level in range(self.depth):
            # A node that is new has no children, so that the rest of its path is fresh draws.
            if level == self.depth - 1 or self._has_room(node):
                node = self._widen(node)
            else:
                node = self._descend(node)
            path.append(node)
        if self.virtual_visits:
            for node in (self.root, *path):
                node.virtual += 1
        self.leaves.append(path)
        return path

    def value(self, losses: Tensor) -> None:
        """Take in the losses of all leaves, in the order in which they grew, and value every node anew.

        Ranks change whenever leaves are added: the utility of a leaf is 1 for the least loss, 0 for the
        largest.
        """
        for node in self._nodes:
            node.visits = node.virtual = 0
            node.total = node.top = 0.0
        last = max(1, len(losses) - 1)
        utilities = [1.0 - rank / last for rank in ranks(losses).tolist()]
        for path, utility in zip(self.leaves, utilities, strict=True):
            for node in (self.root, *path):
                node.visits += 1
                node.total += utility
                if utility > node.top:
                    node.top = utility

    def nodes(self, level: int, kind: Credit) -> list[Node]:
        """The nodes of a level (0 is below the root), those of most credit first."""
        nodes = dict.fromkeys(path[level] for path in self.leaves)
        return sorted(nodes, key=lambda node: -self.credit(node, kind))

    def credit(self, node: Node, kind: Credit) -> float:
        """Its quality Q; as an ``advantage``, less ``(Q(root) + (N - 1) Q(parent))/N`` with the parent's N.

        A choice below a good parent looks good whatever it is; but of a parent without other leaves nothing
        is known that is not the choice's own.
        """
        quality, parent = node.quality(self.best_share), node.parent
        if kind == "value" or parent is None:
            return quality
        others = parent.visits - 1
        above = self.root.quality(self.best_share) + others * parent.quality(self.best_share)
        return quality - above / parent.visits

    def _has_room(self, node: Node) -> bool:
        if self.pairs and len(node.children) % 2:
            return True
        return len(node.children) < math.ceil(
            self.widening * max(1, node.visits + node.virtual) ** self.alpha
        )

    def _widen(self, node: Node) -> Node:
        if len(node.children) % 2:
            child = Node(node, node.children[-1].number, -node.children[-1].sign)
        else:
            child = Node(node, self._draws)
            self._draws += 1
        node.children.append(child)
        self._nodes.append(child)
        return child

    def _descend(self, node: Node) -> Node:
        # The busiest loop of a search: the quality is written out, and not called.
        visits, share = math.log(node.visits + node.virtual + 1), self.best_share
        chosen, most = node.children[0], -1.0
        for child in node.children:
            seen = child.visits + child.virtual
            if not seen:  # without virtual visits a leaf on its way leaves no trace
                continue
            quality = ((1 - share) * child.total + share * child.top * child.visits) / seen
            promise = quality + self.exploration * math.sqrt(visits / seen)
            if promise > most:
                chosen, most = child, promise
        return chosen

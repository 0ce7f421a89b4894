"""Two points into a better one, by a binary tree over the coordinates in which they differ."""

from __future__ import annotations

import math

import torch
from torch import Tensor


class Merge:
    """Ask which parts of a rival the best point should take.

    The coordinates where the rival is elsewhere are put in a tree of halves in random order: a node is the
    best point with the rival's values at the node's coordinates, its children are the halves. The root is the
    rival itself. A level is evaluated at once; those of its nodes that are better than the best point are
    tried together, beside the best one alone, and the better of the two is adopted, if it is better than the
    best point. What it replaced is the rival of the next level, so that a part of what was adopted can be
    taken back. The last level has single coordinates: two points of an additive function become the best of
    their 2^k combinations in 2k evaluations and a few.

    Args:
        best: ``[d]``, the point to be improved.
        loss: of ``best``.
        rival: ``[d]``.
        order: int64, the coordinates of the tree in the order in which they are halved; for the root, all
            coordinates are the rival's.
        noisy: evaluate ``best`` again beside all that is compared with it.
        largest: level, in nodes.

    >>> sphere = lambda points: points.square().sum(1)
    >>> ours, theirs = torch.tensor([0.0, 3.0, 0.0, 4.0]), torch.tensor([1.0, 0.0, 2.0, 0.5])
    >>> merge, cost = Merge(ours, 25.0, theirs, torch.arange(4), noisy=False, largest=100), 0
    >>> while not merge.ended:
    ...     cost += len(merge.points)
    ...     merge.tell(sphere(merge.points))
    >>> merge.best.tolist(), merge.loss, cost
    ([0.0, 0.0, 0.0, 0.5], 0.25, 9)
    """

    def __init__(
        self, best: Tensor, loss: float, rival: Tensor, order: Tensor, *, noisy: bool, largest: int
    ) -> None:
        self.best, self.loss, self.rival = best, loss, rival
        self.order, self.noisy, self.largest = order, noisy, largest
        self.ended = False
        self._nodes = 1
        self._ask(rival[None])

    @property
    def points(self) -> Tensor:
        """To be evaluated together, ``[n, d]``."""
        return self._points

    def tell(self, losses: Tensor) -> None:
        """Take in the losses of the points, or of the first of them."""
        values = losses.tolist()
        if self.noisy:
            self.loss, *values = values
            self.loss = math.inf if math.isnan(self.loss) else self.loss
        better = sorted((value, i) for i, value in enumerate(values) if value < self.loss)
        first = 1 if self.noisy else 0
        if better and self._level and self._nodes > 1:
            alone = self._points[first + better[0][1]]
            together = torch.where(
                (self._points[[first + i for _, i in better]] != self.best).any(0), self.rival, self.best
            )
            if len(better) > 1 or self.noisy:
                self._ask(torch.stack([together, alone]), level=False)
                return
        if better:
            value, i = better[0]
            adopted = self._points[first + i].clone()
            self.rival = torch.where(adopted != self.best, self.best, self.rival)
            self.best, self.loss = adopted, value
        self._descend()

    def _descend(self) -> None:
        """The next level, until nodes are single coordinates."""
        self.ended = self._nodes >= len(self.order) or 2 * self._nodes > self.largest
        if self.ended:
            return
        self._nodes = min(2 * self._nodes, len(self.order))
        points = self.best.repeat(self._nodes, 1)
        for point, node in zip(points, self.order.tensor_split(self._nodes), strict=True):
            point[node] = self.rival[node]
        self._ask(points)

    def _ask(self, points: Tensor, level: bool = True) -> None:
        self._points = torch.cat([self.best[None], points]) if self.noisy else points
        self._level = level

"""One run of CEMCTS: generations of trees, and the distribution that their best nodes move."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from algorithms.cemcts.tree import Credit, Node, Tree
from algorithms.options import generation_size
from algorithms.sampling import Coordinates, Distribution, Draws, Incumbent, elite_count
from algorithms.shaping import informative
from harness.core import Space

Split = Literal["blocks", "random", "learned"]


class Generations:
    """Generations until the distribution collapses or nothing improves; ``ended`` says so.

    Options are those of CEMCTS, with every size given. ``generation`` is the number of the first
    generation: draws are a function of the seed and that number.

    >>> from harness.core import Block
    >>> run = Generations(
    ...     Space([Block("x", (2,), "vector")]), 0, population=4, batch=4, blocks=1, split="blocks",
    ...     sigma=1.0, exploration=0.25, best_share=0.5, widening=1.0, alpha=0.9, pairs=False,
    ...     virtual_visits=True, credit="advantage", rho=0.5, eta_mean=1.0,
    ...     eta_std=0.5, eta_path=1.0, floor=0.0, recheck=False,
    ...     patience=20, collapse=0.1,
    ... )
    >>> while not run.ended:
    ...     run.tell(run.ask(100).double().square().sum(1))
    >>> bool(run.incumbent.loss < 0.01), bool(run.distribution.std.max() < 0.1)
    (True, True)
    """

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
        seed: int,
        *,
        population: int,
        batch: int,
        blocks: int,
        split: Split,
        sigma: float,
        exploration: float,
        best_share: float,
        widening: float,
        alpha: float,
        pairs: bool,
        virtual_visits: bool,
        credit: Credit,
        rho: float,
        eta_mean: float,
        eta_std: float,
        eta_path: float,
        floor: float,
        recheck: bool,
        patience: int | None,
        collapse: float,
        generation: int = 0,
    ) -> None:
        self.space, self.seed = space, seed
        self.population, self.batch = population, batch
        self.depth = min(blocks, space.size)
        self.split: Split = split
        self.exploration, self.best_share, self.credit = exploration, best_share, credit
        self.widening, self.alpha, self.pairs = widening, alpha, pairs
        self.virtual_visits, self.rho = virtual_visits, rho
        self.distribution = Distribution(
            space, sigma, eta_mean=eta_mean, eta_std=eta_std, eta_path=eta_path, floor=floor
        )
        self.incumbent = Incumbent(space, recheck=recheck, patience=patience, collapse=collapse)
        self.ended = False
        # A stream of its own, so that the draws do not depend on how the coordinates are split.
        self._order = np.random.default_rng([seed, 1])
        self.generation = generation - 1
        self._plant()

    @property
    def same_minibatch(self) -> bool:
        """Whether the next ask belongs to the last one's generation."""
        return self._leaves_wanted > 0

    def ask(self, remaining: int) -> Tensor:
        """Coordinates to be evaluated, ``[n, d]`` with n at most ``remaining``, which is 1 or more."""
        price = self.incumbent.price
        if not self._leaves_wanted:
            self._leaves_wanted = max(0, generation_size(self.population + price, remaining) - price)
        wanted = min(self._leaves_wanted - len(self.tree.leaves), remaining - price)
        if wanted < 1:
            return self.incumbent.contenders(self.distribution)[:remaining]
        count = min(self.batch, wanted)
        return self._points([self.tree.grow() for _ in range(count)])

    def tell(self, losses: Tensor) -> None:
        """Take in the losses of what was asked for."""
        if len(self.losses) < len(self.tree.leaves):
            self.losses = torch.cat([self.losses, losses.double()])
            self.tree.value(self.losses)
            if len(self.losses) >= self._leaves_wanted:
                self._move_distribution()
            return
        self.ended = self.incumbent.meet(self.distribution, losses)
        if not self.ended:
            self._plant()

    def resume(self, restart: bool) -> None:
        """Go on after the end: as it is, or again with the initial standard deviation."""
        self.ended = False
        if restart:
            self.distribution.restart(self.incumbent.mean)
        self._plant()

    def _plant(self) -> None:
        """An empty tree over a fresh split of the coordinates."""
        self.generation += 1
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
        self.draws = Draws(self.sizes, self.seed, self.generation, self.space.device)

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
        if self.split == "learned" and self.generation:
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

"""CEMCTS: the cross-entropy method, and a tree that says where to search again."""

from __future__ import annotations

import math
from functools import partial
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from algorithms.cemcts.generations import Generations, Split
from algorithms.cemcts.merging import Merge
from algorithms.cemcts.restarts import Choice, Part, Restarts
from algorithms.cemcts.tree import Credit
from algorithms.options import (
    Count,
    NonNegative,
    Pairs,
    Positive,
    Share,
    UnitInterval,
    default_population,
)
from algorithms.sampling import Distribution, leaves_per_tree
from harness.core import Algorithm, Budget, Points, Population, Space, ranges

RestartRule = Literal["tree", "incumbent"]
_NUMBERS = 2**26  # of one batch at most: 256 MiB in float32
SETTLED = 0.03  # standard deviation at which a restart is in a basin, as a share of its width
MOVED = 0.1  # distance at which a coordinate counts as moved, as a share of the restart's width
NARROWER = 0.1  # fall of ln std for which a run goes on although no mean has improved


class CEMCTS(Algorithm):
    """The cross-entropy method, and a tree of restarts that are merged with what was found before.

    A run is generations of candidates from a normal distribution, which moves to the best ``rho`` of them by
    the cross-entropy update (see ``Distribution``); its mean is evaluated against the incumbent (see
    ``Incumbent``). The first run is over all coordinates, and the same as that of CrossEntropy. When it ends
    (collapsed, or nothing improves while the distribution does not narrow), a leaf of a tree is chosen by
    upper confidence bounds, which says how many coordinates to search anew and how widely (see
    ``Restarts``). A run from the incumbent over these ends when its standard deviations are 3 % of that
    width, later if it is better than the incumbent; and a tree of halves finds which parts of its outcome
    the incumbent should take (see ``Merge``). So modes that were found in different runs are put together.
    The restart is credited with the coordinates that it moved for the better, by evaluations.

    With ``blocks`` above 1 the candidates of a generation are paths of a tree of their own. The coordinates
    are split in ``blocks`` parts. A node at depth b chooses the values of part b, ``mean_b + std_b z``; it
    stores the number and the sign of its draw z, not the values. A leaf at the last depth is a candidate. In
    each generation ``population`` leaves grow, ``batch`` evaluated at a time: a path widens a node with N
    visits while it has fewer than ``ceil(widening N^alpha)`` children (z, -z, z', -z', ...), and else
    descends to the child of largest ``Q + c sqrt(ln(N' + 1)/N)``, ``Q = (1 - w) W/N + w best``. N, W and
    best count leaves, their utilities (1 for the least loss of the tree, 0 for the largest, by rank) and the
    largest utility; leaves not yet evaluated count as visits of utility 0. Each part of the distribution
    moves to the best ``rho`` of the nodes of its depth.

    Args:
        population: lambda, leaves of a tree; None for the lesser of 2 (4 + floor(3 ln d)) and a tenth of
            the budget (8 at least). The last tree has half as many more or less.
        batch: K, leaves evaluated together; None for a quarter of the population, or all of it where there
            are no paths to choose (one block), but at most 2^26 numbers.
        blocks: B, depth of a generation's tree. With 1 generations are those of CrossEntropy.
        split: the parts are whole ``blocks`` of the space in a fresh order each generation, where it has as
            many as are wanted, or a fresh ``random`` partition of the coordinates; ``learned`` puts
            coordinates together whose variances have become alike (a random partition until they differ).
        sigma: initial standard deviation, in units of scale.
        exploration: c, of paths and of restarts.
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
        restarts: by the ``tree``; or always around the ``incumbent`` with the initial standard deviation, as
            CrossEntropy does.
        choice: of a restart, by ``ucb`` or at ``random``.
        restart_parts: False to restart all coordinates only.
        merge: False to take the outcome of a restart as a whole, or not at all.

    ``best()`` is the incumbent: the best of the means and merged points. Everything that is evaluated counts.

    Memory: no node holds a vector. At d = 1e6 the first run holds 15 vectors of d float32 at most with a
    batch of one (the parts' int64 indices included), and 3 more for each further leaf of the batch. Restarts
    add the incumbent, its rival and an int64 order of the coordinates for each size that was tried; a merge
    asks for 2^26 numbers at a time at most.

    Source: this project. Its pieces are from Rubinstein, The Cross-Entropy Method, 1999; Kocsis &
    Szepesvari, Bandit Based Monte-Carlo Planning, 2006; Couetoux et al., Continuous Upper Confidence Trees,
    2011; Hansen, The CMA Evolution Strategy: A Tutorial, 2016 (the path). Trees over coordinates and regions:
    Song et al., MCTS-VS, 2022; Wang et al., LA-MCTS, 2020.

    >>> from harness.core import Block
    >>> search = CEMCTS(Space([Block("x", (6,), "vector")]), Budget(60), seed=0, population=8, batch=4)
    >>> asked = search.ask(remaining=60)
    >>> search.tell(asked, (asked.values.double() ** 2).sum(1))
    >>> search.run.tree.root.visits, search.same_minibatch
    (4, True)
    """

    family = "cross-entropy"
    source = "this project"
    search = ranges(sigma=(0.1, 10.0))
    largest_dimension = 10_000_000
    smallest_budget = 3

    run: Generations

    def __init__(
        self,
        space: Space,
        budget: Budget,
        seed: int,
        *,
        population: Pairs | None = None,
        batch: Count | None = None,
        blocks: Count = 1,
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
        restarts: RestartRule = "tree",
        choice: Choice = "ucb",
        restart_parts: bool = True,
        merge: bool = True,
    ) -> None:
        super().__init__(space, budget, seed)
        self.population = population or leaves_per_tree(space.size, budget.total)
        together = self.population if blocks == 1 else self.population // 4
        self.batch = batch or max(1, min(together, _NUMBERS // space.size))
        self.sigma, self.collapse, self.rule, self.merging = sigma, collapse, restarts, merge
        self._run = partial(
            Generations,
            seed=seed,
            blocks=blocks,
            split=split,
            exploration=exploration,
            best_share=best_share,
            widening=widening,
            alpha=alpha,
            pairs=pairs,
            virtual_visits=virtual_visits,
            credit=credit,
            rho=rho,
            eta_mean=eta_mean,
            eta_std=eta_std,
            eta_path=eta_path,
            floor=floor,
            patience=patience,
            collapse=collapse,
        )
        self.run = self._run(
            space, population=self.population, batch=self.batch, sigma=sigma, recheck=recheck
        )
        # A stream of its own: the first run's draws are those of CrossEntropy.
        self._random = np.random.default_rng([seed, 2])
        self._restarts = Restarts(
            space.size,
            self.population,
            parts=restart_parts,
            exploration=exploration,
            choice=choice,
            random=self._random,
        )
        self._part: Part | None = None
        self._merge: Merge | None = None
        self._mean, self._loss, self._noisy = self.run.incumbent.mean, math.inf, False
        self._spread = math.inf

    @property
    def distribution(self) -> Distribution:
        """That of the run under way."""
        return self.run.distribution

    @property
    def same_minibatch(self) -> bool:
        """Whether the next ask belongs to the last one's generation, to be evaluated on its minibatch."""
        return self._merge is None and self.run.same_minibatch

    def ask(self, remaining: int) -> Points | None:
        if remaining < 1:
            return None
        if self._merge is not None:
            return Points(self._merge.points[:remaining])
        points = self.run.ask(remaining)
        return Points(points if self._part is None else self._part.embed(self._mean, points))

    def tell(self, population: Population, losses: Tensor, gradients: Tensor | None = None) -> None:
        if self._part is not None:
            self._part.evaluations += len(losses)
        if self._merge is not None:
            self._merge.tell(losses)
            if self._merge.ended:
                self._adopt()
            return
        self.run.tell(losses)
        if self._part is not None:
            if self.run.ended or self._settled(self._part):
                self._begin_merge(self._part)
        elif self.run.ended:
            self._end_first_run()

    def best(self) -> Points:
        best, loss = self._mean, self._loss
        if self._merge is not None:
            best, loss = self._merge.best, self._merge.loss
        if self._part is not None and not self._noisy and self.run.incumbent.loss < loss:
            best = self._part.embed(self._mean, self.run.incumbent.mean[None])[0]
        return Points(best.clone()[None])

    def _end_first_run(self) -> None:
        normal = self.run.distribution
        if self.rule == "incumbent":
            self.run.resume(restart=True)
            return
        spread = float(normal.var.log().mean()) / 2
        if float(normal.std.max()) >= self.collapse and spread < self._spread - NARROWER:
            self._spread = spread
            self.run.resume(restart=False)
            return
        self._noisy = self.run.incumbent.price > 1
        self._loss = self.run.incumbent.loss
        self._restart()

    def _restart(self) -> None:
        """A run from the incumbent over some coordinates."""
        leaf, coordinates = self._restarts.choose()
        self._part = Part(leaf, torch.from_numpy(coordinates).to(self.space.device))
        population = max(6, default_population(leaf.size))
        self.run = self._run(
            self._part.space(),
            population=population,
            batch=min(self.batch, population),
            sigma=self.sigma * leaf.width,
            recheck=self._noisy,
            generation=self.run.generation + 1,
        )
        for mean in (self.run.distribution.mean, self.run.incumbent.mean):
            mean.copy_(self._mean[self._part.coordinates])

    def _settled(self, part: Part) -> bool:
        """Whether the run is in a basin that is no better than the incumbent's, and may end."""
        run = self.run
        narrow = float(run.distribution.std.max()) < SETTLED * self.sigma * part.leaf.width
        return narrow and math.isfinite(run.incumbent.loss) and not run.incumbent.loss < self._loss

    def _begin_merge(self, part: Part) -> None:
        rival = part.embed(self._mean, self.run.incumbent.mean[None])[0]
        moved = self._moved(rival, part)
        order = moved[torch.from_numpy(self._random.permutation(len(moved))).to(moved.device)]
        # A merge costs about as much as the run at most, and has no more numbers at a time than a generation.
        largest = min(part.evaluations // 2, _NUMBERS // self.space.size) if self.merging else 1
        self._merge = Merge(self._mean, self._loss, rival, order, noisy=self._noisy, largest=largest)

    def _adopt(self) -> None:
        assert self._part is not None
        assert self._merge is not None
        part, merged = self._part, self._merge
        moved = len(self._moved(merged.best, part))
        self._restarts.credit(part.leaf, part.evaluations, moved)
        self._mean, self._loss, self._merge = merged.best, merged.loss, None
        self._restart()

    def _moved(self, point: Tensor, part: Part) -> Tensor:
        """Coordinates at which a point is elsewhere than the incumbent, by a tenth of the restart's width."""
        far = (point - self._mean).abs() > MOVED * self.sigma * part.leaf.width
        return far.nonzero().flatten()

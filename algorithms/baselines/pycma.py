"""CMA-ES as pycma implements it."""

from __future__ import annotations

import warnings
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from algorithms.options import Pairs, Positive, chosen, default_population
from algorithms.shaping import finite, informative
from harness.core import Algorithm, Budget, Points, Population, Space, ranges

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # says that plots are not to be had
    import cma
    from cma.restricted_gaussian_sampler import GaussVkDSampler

_FULL_LIMIT = 2000


class PyCMA(Algorithm):
    """Covariance matrix adaptation: samples ``mean + s C^(1/2) N(0, I)`` and adapts mean, s and C.

    The library's own constants and step-size rule (from d = 300 on its two-point adaptation). Exactly its
    population is asked for, so that fewer evaluations than one population remain unspent at the end. A
    search that the library declares finished is started again from its mean with the first sigma.

    Args:
        covariance: ``full`` (d <= 2000); ``separable``, a diagonal C; or ``vkd``, ``C = D (I + V^T V) D``
            with a diagonal D and k rows of V, in O(k d), where k is adapted from 0 on.
        sigma: initial step size s, in units of scale.
        population: candidates in a generation; None for 4 + floor(3 ln d).

    ``best()`` is the mean of the distribution, pycma's ``result.xfavorite``: its least evaluated loss would
    be biased under noise.

    Source: Hansen, The CMA Evolution Strategy: A Tutorial, 2016; separable: Ros & Hansen, A Simple
    Modification in CMA-ES Achieving Linear Time and Space Complexity, 2008; vkd: Akimoto & Hansen, Online
    Model Selection for Restricted Covariance Matrix Adaptation, 2016; pycma: Hansen, Akimoto & Baudis, 2019.

    >>> from harness.core import Block
    >>> search = PyCMA(Space([Block("x", (4,), "vector")]), Budget(100), seed=0)
    >>> asked = search.ask(remaining=100)
    >>> search.tell(asked, (asked.values.double() ** 2).sum(1))
    >>> len(asked)
    8
    """

    family = "baselines"
    source = "Hansen 2016 (pycma)"
    search = ranges(sigma=(0.1, 10.0))
    libraries = ("cma",)
    largest_dimension = 1_000_000

    def __init__(
        self,
        space: Space,
        budget: Budget,
        seed: int,
        *,
        covariance: Literal["full", "separable", "vkd"] = "full",
        sigma: Positive = 1.0,
        population: Pairs | None = None,
    ) -> None:
        super().__init__(space, budget, seed)
        self.sigma = sigma
        self._random = np.random.default_rng(seed)
        self._settings: dict[str, Any] = {
            "popsize": population or default_population(space.size),
            "CMA_diagonal": covariance == "separable",
            "randn": self._normal,
            "seed": np.nan,  # leave numpy's global state alone
            "verbose": -9,
            "signals_filename": None,
        }
        if covariance == "vkd":
            GaussVkDSampler.extend_cma_options(self._settings)
            self._settings["CMA_sampler_options"] = {
                "randn": self._normal
            }  # its own default is the global state
        self._search = self._begin(np.zeros(space.size))
        self._asked: list[np.ndarray] = []

    @classmethod
    def misfit(cls, dimension: int, budget: int, **options: Any) -> str | None:
        if chosen(cls, options, "covariance") == "full" and dimension > _FULL_LIMIT:
            return (
                f"a full covariance of {dimension:,} coordinates is over the limit of {_FULL_LIMIT:,}: "
                "take covariance=separable or vkd, or a subspace"
            )
        population = chosen(cls, options, "population") or default_population(dimension)
        if population > budget:
            return f"a budget of {budget} is under one population of {population}"
        return super().misfit(dimension, budget)

    def ask(self, remaining: int) -> Points | None:
        if remaining < self._search.popsize:
            return None
        if self._search.stop():
            self._search = self._begin(self._search.result.xfavorite)
        self._asked = self._search.ask()
        return Points(torch.from_numpy(np.stack(self._asked)).float().to(self.space.device))

    def tell(self, population: Population, losses: Tensor, gradients: Tensor | None = None) -> None:
        if informative(losses):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self._search.tell(self._asked, finite(losses).tolist())

    def best(self) -> Points:
        favorite = torch.from_numpy(np.array(self._search.result.xfavorite))
        return Points(favorite.float()[None].to(self.space.device))

    def _normal(self, *shape: int) -> np.ndarray:
        return self._random.standard_normal(shape)

    def _begin(self, mean: np.ndarray) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the library finds its own default of an option unsafe
            return cma.CMAEvolutionStrategy(mean, self.sigma, self._settings)

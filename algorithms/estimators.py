"""Gradient estimators: which members a generation evaluates, and what each direction weighs after it."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, ClassVar

import torch
from torch import Tensor

from algorithms.shaping import Shaping, finite, informative, shape, worst_last


class Estimator(ABC):
    """An estimate ``g = sum_j w_j u_j`` over q directions, from losses at ``x + sigma s u_j``.

    Every direction is evaluated with each of ``signs``; where ``center`` is set, x itself comes last. A
    failed evaluation counts as the worst finite loss of its generation.
    """

    signs: ClassVar[tuple[int, ...]] = (1,)
    center: ClassVar[bool] = False
    fewest: ClassVar[int] = 1
    """The least q that gives an estimate."""

    @classmethod
    def price(cls, queries: int) -> int:
        """Evaluations that q directions cost.

        >>> Antithetic.price(3), Forward.price(3)
        (6, 4)
        """
        return queries * len(cls.signs) + cls.center

    @classmethod
    def affordable(cls, evaluations: int) -> int:
        """The largest q that costs no more."""
        return (evaluations - cls.center) // len(cls.signs)

    @classmethod
    @lru_cache(maxsize=64)
    def members(cls, queries: int) -> tuple[Tensor, Tensor]:
        """Names int64 ``[n]`` and signs int8 ``[n]`` of what is evaluated; not to be written to.

        >>> [part.tolist() for part in Antithetic.members(2)]
        [[0, 0, 1, 1], [1, -1, 1, -1]]
        >>> [part.tolist() for part in Forward.members(2)]
        [[0, 1, 0], [1, 1, 0]]
        """
        names = torch.arange(queries).repeat_interleave(len(cls.signs))
        signs = torch.tensor(cls.signs * queries)
        if cls.center:
            names, signs = (torch.cat([part, part.new_zeros(1)]) for part in (names, signs))
        return names, signs.to(torch.int8)

    def informative(self, losses: Tensor) -> bool:
        """Whether these losses say anything; where they do not, the generation is left out."""
        return informative(losses)

    @abstractmethod
    def weights(self, losses: Tensor, sigma: float) -> list[float]:
        """Losses ``[n]`` of ``members``, in their order, to the q weights w."""

    def state(self) -> dict[str, Any]:
        """A snapshot of what is carried from one generation to the next."""
        return {}

    def load_state(self, state: dict[str, Any]) -> None:  # noqa: B027 - most carry nothing
        """Take up a snapshot."""


class Antithetic(Estimator):
    """``w_j = (f_j+ - f_j-) / (2 q sigma)`` with f the losses under a shaping [2q].

    Source: Spall, 1992 (with random signs); Nesterov & Spokoiny, Random Gradient-Free Minimization of
    Convex Functions, 2017 (with normal directions).

    >>> Antithetic().weights(torch.tensor([3.0, 1.0, 0.0, 4.0]), sigma=0.5)
    [1.0, -2.0]
    """

    signs = (1, -1)

    def __init__(self, shaping: Shaping = "raw") -> None:
        self.shaping: Shaping = shaping

    def weights(self, losses: Tensor, sigma: float) -> list[float]:
        shaped = shape(losses, self.shaping).tolist()
        apart = len(shaped) * sigma
        return [(plus - minus) / apart for plus, minus in _pairs(shaped)]


class OnePoint(Estimator):
    """``w_j = f_j / (q sigma)`` with f the losses under a shaping [q].

    Source: Flaxman, Kalai & McMahan, Online Convex Optimization in the Bandit Setting, 2005.

    >>> OnePoint().weights(torch.tensor([3.0, 1.0]), sigma=0.5)
    [3.0, 1.0]
    """

    def __init__(self, shaping: Shaping = "raw") -> None:
        self.shaping: Shaping = shaping

    def weights(self, losses: Tensor, sigma: float) -> list[float]:
        shaped = shape(losses, self.shaping).tolist()
        return [loss / (len(shaped) * sigma) for loss in shaped]

    def informative(self, losses: Tensor) -> bool:
        return any(map(math.isfinite, losses.tolist()))


class Residual(Estimator):
    """``w_j = (f_j - p) / (q sigma)``, p the mean loss of the generation before; the first moves nothing [q].

    Source: Zhang, Zhou, Ji & Zavlanos, A New One-Point Residual-Feedback Oracle for Black-Box Learning and
    Control, 2022 (q = 1).

    >>> residual = Residual()
    >>> [residual.weights(torch.tensor([loss]), sigma=0.5) for loss in (3.0, 1.0)]
    [[0.0], [-4.0]]
    """

    def __init__(self) -> None:
        self.previous: float | None = None

    def informative(self, losses: Tensor) -> bool:
        return any(map(math.isfinite, losses.tolist()))

    def weights(self, losses: Tensor, sigma: float) -> list[float]:
        clean = finite(losses)
        listed = clean.tolist()
        before, self.previous = self.previous, listed[0] if len(listed) == 1 else float(clean.mean())
        if before is None:
            return [0.0] * len(listed)
        return [(loss - before) / (len(listed) * sigma) for loss in listed]

    def state(self) -> dict[str, Any]:
        return {"previous": self.previous}

    def load_state(self, state: dict[str, Any]) -> None:
        self.previous = state["previous"]


class LeaveOneOut(Estimator):
    """``w_j = (f_j - b_j) / (q sigma)``, b_j the mean loss of all the other directions [q].

    Right on average for independent directions. Mirrored members must not be each other's baseline: that
    would multiply the estimate by q/(q - 1). Leaving out the whole pair is ``Antithetic``.

    Source: Kool, van Hoof & Welling, Buy 4 REINFORCE Samples, Get a Baseline for Free!, 2019.

    >>> LeaveOneOut().weights(torch.tensor([3.0, 1.0, 2.0]), sigma=0.5)
    [1.0, -1.0, 0.0]
    """

    fewest = 2

    def weights(self, losses: Tensor, sigma: float) -> list[float]:
        clean = finite(losses)
        mean, others = float(clean.mean()), len(clean) - 1
        return [(loss - mean) / (others * sigma) for loss in clean.tolist()]


class Forward(Estimator):
    """``w_j = (f_j - f(x)) / (q sigma)`` [q + 1].

    Source: Nesterov & Spokoiny, Random Gradient-Free Minimization of Convex Functions, 2017.

    >>> Forward().weights(torch.tensor([3.0, 1.0, 2.0]), sigma=0.5)
    [1.0, -1.0]
    """

    center = True

    def weights(self, losses: Tensor, sigma: float) -> list[float]:
        *clean, center = finite(losses).tolist()
        return [(loss - center) / (len(clean) * sigma) for loss in clean]


class Standardised(Forward):
    """``w_j = (f_j - f(x)) / (q s)``, s the (population) deviation of f_1..f_q; sigma plays no part [q + 1].

    Source: Dang et al., FZOO: Fast Zeroth-Order Optimizer for Fine-Tuning Large Language Models towards
    Adam-Scale Speed, arXiv 2506.09034, 2025.

    >>> Standardised().weights(torch.tensor([3.0, 1.0, 1.5]), sigma=0.5)
    [0.75, -0.25]
    """

    fewest = 2

    def weights(self, losses: Tensor, sigma: float) -> list[float]:
        clean = finite(losses)
        deviation = float(clean[:-1].std(correction=0))
        # s in the place of sigma.
        return super().weights(clean, deviation) if deviation else [0.0] * (len(clean) - 1)


class Curvature(Antithetic):
    """The weights of ``Antithetic``, with the center evaluated too, for the curvatures [2q + 1]."""

    center = True

    def __init__(self) -> None:
        super().__init__("raw")

    def weights(self, losses: Tensor, sigma: float) -> list[float]:
        return super().weights(finite(losses)[:-1], sigma)

    @staticmethod
    def curvatures(losses: Tensor, sigma: float) -> list[float]:
        """``(f_j+ - 2 f(x) + f_j-) / sigma^2`` of all q directions.

        >>> Curvature.curvatures(torch.tensor([3.0, 1.0, 1.5]), sigma=0.5)
        [4.0]
        """
        *clean, center = finite(losses).tolist()
        return [(plus + minus - 2 * center) / sigma**2 for plus, minus in _pairs(clean)]


class Damped(Curvature):
    """``w_j = (f_j+ - f_j-) / (2 q sigma max(1, |c_j|^exponent))``, c_j the curvature [2q + 1].

    Source: Chaubard, Probe-Space Preconditioning (1.5-SPSA), 2025.

    >>> Damped(exponent=0.5).weights(torch.tensor([3.0, 1.0, 1.5]), sigma=0.5)
    [1.0]
    """

    def __init__(self, exponent: float = 0.1) -> None:
        super().__init__()
        self.exponent = exponent

    def weights(self, losses: Tensor, sigma: float) -> list[float]:
        curvatures = torch.tensor(self.curvatures(losses, sigma), dtype=torch.float64)
        damping = curvatures.abs().pow(self.exponent).clamp(min=1.0).tolist()
        return [w / damped for w, damped in zip(super().weights(losses, sigma), damping, strict=True)]


class TopDirections(Estimator):
    """Of the pairs, the share ``kept`` with the least ``min(f+, f-)``: ``w_j = (f+ - f-) / (b s)`` [2q].

    b pairs are kept, and s is the (population) standard deviation of their 2b losses; sigma plays no part.

    Source: Mania, Guy & Recht, Simple Random Search of Static Linear Policies, 2018 (ARS V1-t).

    >>> TopDirections(0.5).weights(torch.tensor([3.0, 1.0, 5.0, 9.0]), sigma=0.5)
    [2.0, 0.0]
    """

    signs = (1, -1)

    def __init__(self, kept: float) -> None:
        self.kept = kept

    def weights(self, losses: Tensor, sigma: float) -> list[float]:
        pairs = finite(losses).reshape(-1, 2)
        best = worst_last(losses).reshape(-1, 2).amin(1).argsort(stable=True)
        chosen = best[: max(1, round(self.kept * len(pairs)))]
        deviation = float(pairs[chosen].std(correction=0))
        weights = [0.0] * len(pairs)
        if deviation > 0:
            listed = pairs.tolist()
            for j in chosen.tolist():
                plus, minus = listed[j]
                weights[j] = (plus - minus) / (len(chosen) * deviation)
        return weights


def _pairs(losses: list[float]) -> Iterator[tuple[float, float]]:
    """The losses of mirrored members."""
    return zip(losses[::2], losses[1::2], strict=True)

"""Step rules: from an estimated gradient to the change of a tensor, or of some rows of it."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

StepRule = Literal["sgd", "momentum", "adam", "sign", "normalised", "clipup"]


class Step(ABC):
    """One step rule with its own buffers, a full-size tensor of each kind per block where it needs any.

    Call ``begin`` once a step; then, for a rule that ``measures``, ``measure`` for every block; then
    ``change`` for every block. Large blocks go by rows.
    """

    measures: ClassVar[bool] = False
    """Whether the step depends on the length of the whole gradient, so that it has to be seen twice."""
    buffers: ClassVar[int] = 0
    """Tensors of a block's size that it keeps for each block."""

    def __init__(self) -> None:
        self.count = 0
        self.lr = 0.0
        self._buffers: dict[str, Tensor] = {}

    def begin(self, lr: float) -> None:
        """Start the next step, with its learning rate."""
        self.count += 1
        self.lr = lr

    def measure(  # noqa: B027 - most need not see it
        self, block: str, shape: Sequence[int], gradient: Tensor, rows: slice = slice(None)
    ) -> None:
        """See the gradient in the rows of a block, before any change is asked for."""

    def whole(self, gradient: Tensor, lr: float) -> Tensor:
        """One whole step for a search whose gradient is a single tensor: what to add to the point.

        >>> SGD().whole(torch.tensor([1.0, -2.0]), lr=0.5).tolist()
        [-0.5, 1.0]
        """
        self.begin(lr)
        if self.measures:
            self.measure("", gradient.shape, gradient)
        return self.change("", gradient.shape, gradient)

    @abstractmethod
    def change(self, block: str, shape: Sequence[int], gradient: Tensor, rows: slice = slice(None)) -> Tensor:
        """What to add to the rows of a block of that shape, given the gradient there."""

    def state(self) -> dict[str, Any]:
        """A snapshot: the count of steps, and copies of the buffers."""
        return {"count": self.count, "buffers": {k: v.clone() for k, v in self._buffers.items()}}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take up a snapshot."""
        self.count = state["count"]
        self._buffers = {key: value.clone() for key, value in state["buffers"].items()}

    def _buffer(self, kind: str, block: str, shape: Sequence[int], like: Tensor) -> Tensor:
        key = f"{kind}/{block}"
        if key not in self._buffers:
            self._buffers[key] = torch.zeros(*shape, dtype=like.dtype, device=like.device)
        return self._buffers[key]


class SGD(Step):
    """``-lr g``.

    >>> step = SGD()
    >>> step.begin(0.5)
    >>> step.change("w", (2,), torch.tensor([1.0, -2.0])).tolist()
    [-0.5, 1.0]
    """

    def change(self, block: str, shape: Sequence[int], gradient: Tensor, rows: slice = slice(None)) -> Tensor:
        return -self.lr * gradient


class Sign(Step):
    """``-lr sign(g)``: the sign of each entry of the estimate (Bernstein et al., signSGD, 2018).

    >>> step = Sign()
    >>> step.begin(0.5)
    >>> step.change("w", (2,), torch.tensor([3.0, -2.0])).tolist()
    [-0.5, 0.5]
    """

    def change(self, block: str, shape: Sequence[int], gradient: Tensor, rows: slice = slice(None)) -> Tensor:
        return -self.lr * gradient.sign()


class Momentum(Step):
    """``m <- beta m + g``, ``-lr m`` (Polyak, 1964).

    >>> step = Momentum(beta=0.5)
    >>> for _ in range(2):
    ...     step.begin(1.0)
    ...     change = step.change("w", (1,), torch.ones(1))
    >>> change.tolist()
    [-1.5]
    """

    buffers = 1

    def __init__(self, beta: float = 0.9) -> None:
        super().__init__()
        self.beta = beta

    def change(self, block: str, shape: Sequence[int], gradient: Tensor, rows: slice = slice(None)) -> Tensor:
        velocity = self._buffer("velocity", block, shape, gradient)[rows]
        velocity.mul_(self.beta).add_(gradient)
        return -self.lr * velocity


class Adam(Step):
    """``-lr (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)`` (Kingma & Ba, Adam, 2015).

    >>> step = Adam()
    >>> step.begin(0.5)
    >>> [round(x, 6) for x in step.change("w", (2,), torch.tensor([4.0, -0.1])).tolist()]
    [-0.5, 0.5]
    """

    buffers = 2

    def __init__(self, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8) -> None:
        super().__init__()
        self.beta1, self.beta2, self.eps = beta1, beta2, eps

    def change(self, block: str, shape: Sequence[int], gradient: Tensor, rows: slice = slice(None)) -> Tensor:
        mean = self._buffer("mean", block, shape, gradient)[rows]
        square = self._buffer("square", block, shape, gradient)[rows]
        mean.mul_(self.beta1).add_(gradient, alpha=1 - self.beta1)
        square.mul_(self.beta2).addcmul_(gradient, gradient, value=1 - self.beta2)
        deviation = (square / (1 - self.beta2**self.count)).sqrt_().add_(self.eps)
        return -self.lr / (1 - self.beta1**self.count) * mean / deviation


class Normalised(Step):
    """``-lr g / |g|``: a step of length lr, measured over all blocks.

    >>> Normalised().whole(torch.tensor([3.0, -4.0]), lr=0.5).tolist()
    [-0.30000001192092896, 0.4000000059604645]
    """

    measures = True

    def __init__(self) -> None:
        super().__init__()
        self._square = 0.0

    def begin(self, lr: float) -> None:
        super().begin(lr)
        self._square = 0.0

    def measure(self, block: str, shape: Sequence[int], gradient: Tensor, rows: slice = slice(None)) -> None:
        self._square += _dot(gradient, gradient)

    def change(self, block: str, shape: Sequence[int], gradient: Tensor, rows: slice = slice(None)) -> Tensor:
        return -(self.lr / math.sqrt(self._square) if self._square else 0.0) * gradient


class ClipUp(Step):
    """``v <- m v + lr g/|g|``, then v cut to the length ``2 lr``; ``-v`` (Toklu et al., ClipUp, 2020).

    >>> step = ClipUp()
    >>> [round(float(step.whole(torch.tensor([7.0]), lr=0.5)), 3) for _ in range(4)]
    [-0.5, -0.95, -1.0, -1.0]
    """

    measures = True
    buffers = 1

    def __init__(self, momentum: float = 0.9, speed: float = 2.0) -> None:
        super().__init__()
        self.momentum, self.speed = momentum, speed
        self._square = self._along = self._fast = 0.0

    def begin(self, lr: float) -> None:
        super().begin(lr)
        self._square = self._along = self._fast = 0.0

    def measure(self, block: str, shape: Sequence[int], gradient: Tensor, rows: slice = slice(None)) -> None:
        velocity = self._buffer("velocity", block, shape, gradient)[rows]
        self._square += _dot(gradient, gradient)
        self._along += _dot(gradient, velocity)
        self._fast += _dot(velocity, velocity)

    def change(self, block: str, shape: Sequence[int], gradient: Tensor, rows: slice = slice(None)) -> Tensor:
        push = self.lr / math.sqrt(self._square) if self._square else 0.0
        # |m v + push g|, from the three products: the new velocity need not be seen twice.
        m = self.momentum
        square = m * m * self._fast + 2 * m * push * self._along + push * push * self._square
        limit, length = self.speed * self.lr, math.sqrt(max(0.0, square))
        cut = limit / length if length > limit else 1.0
        velocity = self._buffer("velocity", block, shape, gradient)[rows]
        velocity.mul_(m * cut).add_(gradient, alpha=push * cut)
        return -velocity


def _dot(a: Tensor, b: Tensor) -> float:
    return float(torch.dot(a.reshape(-1).double(), b.reshape(-1).double()))


_RULES: dict[str, type[Step]] = {
    "sgd": SGD,
    "momentum": Momentum,
    "adam": Adam,
    "sign": Sign,
    "normalised": Normalised,
    "clipup": ClipUp,
}


def step_rule(name: StepRule) -> Step:
    """A fresh step rule of that name, with its usual constants.

    >>> type(step_rule("adam")).__name__
    'Adam'
    """
    return _RULES[name]()

"""Step rules: from an estimated gradient to the change of a tensor, or of some rows of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

StepRule = Literal["sgd", "momentum", "adam", "sign"]


class Step(ABC):
    """One step rule with its own buffers, a full-size tensor of each kind per block where it needs any.

    Call ``begin`` once a step, then ``change`` for every block, by rows if the block is large.
    """

    def __init__(self) -> None:
        self.count = 0
        self.lr = 0.0
        self._buffers: dict[str, Tensor] = {}

    def begin(self, lr: float) -> None:
        """Start the next step, with its learning rate."""
        self.count += 1
        self.lr = lr

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


_RULES: dict[str, type[Step]] = {"sgd": SGD, "momentum": Momentum, "adam": Adam, "sign": Sign}


def step_rule(name: StepRule) -> Step:
    """A fresh step rule of that name, with its usual constants.

    >>> type(step_rule("adam")).__name__
    'Adam'
    """
    return _RULES[name]()

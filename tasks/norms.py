"""Normalisations seen by many members at once: each row by its member's own vector, in one pass."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.func import functional_call

from harness.core import UserError

_MEMBERS = 3
"""In the trial, of two rows of two tokens each."""


def by_member(vectors: Tensor, like: Tensor) -> Tensor:
    """Vectors ``[n, k]`` as the rows of ``like [n * R, ..., k]`` see them: broadcastable against it.

    >>> by_member(torch.tensor([[1.0], [2.0]]), torch.zeros(4, 3, 1)).flatten().tolist()
    [1.0, 1.0, 2.0, 2.0]
    """
    rows = like.shape[0] // vectors.shape[0]
    return vectors.repeat_interleave(rows, dim=0).reshape(-1, *[1] * (like.ndim - 2), vectors.shape[-1])


def takes_rows(module: nn.Module) -> bool:
    """Whether a layer of vectors may be given one for every row, as if it were its own.

    So it is with most models' own normalisations, which end in a product with their vector. A trial on a few
    numbers tells, once for each layer.

    >>> class Scale(nn.Module):
    ...     def __init__(self) -> None:
    ...         super().__init__()
    ...         self.weight = nn.Parameter(torch.ones(4))
    ...     def forward(self, x):
    ...         return self.weight * x
    >>> takes_rows(Scale()), takes_rows(nn.LayerNorm(4))
    (True, False)
    """
    if module not in _KNOWN:
        _KNOWN[module] = _tried(module)
    return _KNOWN[module]


_KNOWN: WeakKeyDictionary[nn.Module, bool] = WeakKeyDictionary()


def _tried(module: nn.Module) -> bool:
    own = dict(module.named_parameters(recurse=False))
    if any(True for _ in module.children()) or any(True for _ in module.buffers()):
        return False
    sizes = {value.shape for value in own.values()}
    if len(sizes) != 1 or len(next(iter(sizes))) != 1:
        return False
    (width,) = next(iter(sizes))
    like = next(iter(own.values()))
    steps = torch.linspace(-1, 1, _MEMBERS * 4 * width, dtype=torch.float64)
    x = torch.sin(50 * steps).reshape(_MEMBERS * 2, 2, width).to(like)
    factors = torch.cos(9 * steps[: _MEMBERS * width]).reshape(_MEMBERS, width).to(like)
    vectors = {key: value.detach() + (place + 1) * factors for place, (key, value) in enumerate(own.items())}
    try:
        whole = _called(module, {key: by_member(value, x) for key, value in vectors.items()}, x)
        parts = [
            _called(module, {key: value[i] for key, value in vectors.items()}, x[2 * i : 2 * i + 2])
            for i in range(_MEMBERS)
        ]
    except (RuntimeError, TypeError, ValueError, IndexError, AttributeError, UserError):
        return False
    alone = torch.cat(parts)
    return whole.shape == alone.shape and torch.allclose(whole, alone, rtol=4 * torch.finfo(like.dtype).eps)


def _called(module: nn.Module, tensors: dict[str, Tensor], x: Tensor) -> Tensor:
    """The layer's own forward, whatever stands in its place."""
    replaced = module.__dict__.pop("forward", None)
    try:
        with torch.no_grad():
            found: Any = functional_call(module, tensors, (x,))
    finally:
        if replaced is not None:
            module.forward = replaced
    if not isinstance(found, Tensor):
        raise TypeError(f"{type(module).__name__} gives no tensor")
    return found

"""Counting the memory of tensors while they live."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

_reference: Any = StorageWeakRef
_SMALL = 2**16  # bytes: smaller tensors are not counted


def peak_of_tensors(run: Callable[[], object]) -> int:
    """The most bytes that tensors made while ``run`` runs held at once; small ones do not count.

    Buffers that an operation of torch frees before it returns are not seen, nor is numpy's memory.

    >>> import torch
    >>> def two_of_three():
    ...     first, second = torch.zeros(100_000), torch.zeros(100_000)
    ...     del first
    ...     return torch.zeros(100_000) + second[:1]
    >>> peak_of_tensors(two_of_three)
    1200000
    """
    with _Counting() as counting:
        run()
    return int(counting.peak)


class _Counting(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes every new storage that an operation returns, and forgets those that are gone."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.peak = 0
        self._alive: dict[int, tuple[Any, int]] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        known = {_key(each) for each in tree_flatten((args, kwargs))[0] if isinstance(each, Tensor)}
        out = func(*args, **kwargs)
        for each in tree_flatten(out)[0]:
            # What was passed in and not made here is somebody else's: the space's start, for one.
            if isinstance(each, Tensor) and (key := _key(each)) not in known and key not in self._alive:
                size = each.untyped_storage().nbytes()
                if size > _SMALL:
                    self._alive[key] = _reference(each.untyped_storage()), size
        self._alive = {key: kept for key, kept in self._alive.items() if not kept[0].expired()}
        self.peak = max(self.peak, sum(size for _, size in self._alive.values()))
        return out


def _key(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)

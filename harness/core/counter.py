"""Random numbers as a function of a key and a place: draws of all members in one pass of an accelerator.

A generator would have to be started for each member and block, a small launch each time; a pure function of
integers fuses with whatever is done to its numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import Literal

import torch
from torch import Tensor

Entry = Literal["normal", "sign"]
"""What an entry of a draw is."""

_UNIT = 2.0**-24
_WORD = 2**64


def serves(device: torch.device) -> bool:
    """Whether draws are made here: everywhere but on the CPU, whose generators are faster.

    >>> serves(torch.device("cpu")), serves(torch.device("cuda"))
    (False, True)
    """
    return device.type != "cpu"


def keys(base: int, numbers: Tensor) -> Tensor:
    """A key for each number: a one-to-one scrambling of 64-bit words, made odd.

    Args:
        base: what all numbers are moved by, below 2^64.
        numbers: int64 of any shape.

    Source: the finaliser of SplitMix64; Steele, Lea & Flood, Fast Splittable Pseudorandom Number
    Generators, 2014.

    >>> made = keys(1, torch.arange(1000))
    >>> len(made.unique()), bool((made % 2 == 1).all())
    (1000, True)
    """
    word = numbers * _signed(0x9E3779B97F4A7C15) + _signed(base)
    word = (word ^ _shifted(word, 30)) * _signed(0xBF58476D1CE4E5B9)
    word = (word ^ _shifted(word, 27)) * _signed(0x94D049BB133111EB)
    return (word ^ _shifted(word, 31)) | 1


def words(key: Tensor, place: Tensor) -> Tensor:
    """64 random bits for each key and place, int64 of their broadcast shape.

    A key has to be irregular, as those of ``keys`` are.

    Source: Widynski, Squares: A Fast Counter-Based RNG, arXiv 2004.06278 (five rounds).

    >>> words(keys(0, torch.arange(2))[:, None], torch.arange(4)).unique().shape
    torch.Size([8])
    """
    x = place * key
    y, z = x, x + key
    for step in (y, z, y):
        x = x * x + step
        x = _shifted(x, 32) | (x << 32)
    last = x * x + z
    x = _shifted(last, 32) | (last << 32)
    return last ^ _shifted(x * x + y, 32)


def normals(key: Tensor, place: Tensor) -> Tensor:
    """A standard normal number for each key and place, float32, of magnitude below 5.8.

    Source: Box & Muller, A Note on the Generation of Random Normal Deviates, 1958.

    >>> drawn = normals(keys(0, torch.tensor([1])), torch.arange(100_000))
    >>> abs(float(drawn.mean())) < 0.01, abs(float(drawn.var()) - 1) < 0.02
    (True, True)
    """
    word = words(key, place)
    above = (_shifted(word, 40) + 1).float() * _UNIT  # in (0, 1]
    turn = ((word >> 8) & 0xFFFFFF).float() * _UNIT
    return torch.sqrt(-2.0 * torch.log(above)) * torch.cos(2.0 * torch.pi * turn)


def signs(key: Tensor, place: Tensor) -> Tensor:
    """-1 or +1 for each key and place, float32.

    >>> signs(keys(0, torch.tensor([1])), torch.arange(100)).unique().tolist()
    [-1.0, 1.0]
    """
    return ((words(key, place) >> 63) * 2 + 1).float()


_ENTRIES: dict[Entry, Callable[[Tensor, Tensor], Tensor]] = {"normal": normals, "sign": signs}


def drawn(entry: Entry, key: Tensor, place: Tensor, dtype: torch.dtype) -> Tensor:
    """Draws ``[k, m]`` of keys ``[k]`` at places ``[m]``."""

    def draw(key: Tensor, place: Tensor) -> Tensor:
        return _ENTRIES[entry](key[:, None], place).to(dtype)

    if fuses(key.device):
        return _fused("drawn", entry, dtype, draw, _several(key), place)[: len(key)]
    return torch.cat([draw(one, place) for one in torch.split(key, 1)])


def displaced(
    entry: Entry, key: Tensor, place: Tensor, center: Tensor, sign: Tensor, step: float | Tensor
) -> Tensor:
    """``center + sign * step * draw`` for each key: ``[k, m]`` in the center's dtype, cast once.

    Args:
        entry: of the draws.
        key: int64 ``[k]``.
        place: int64 ``[m]``.
        center: ``[m]``.
        sign: ``[k]``, of the dtype in which the sum is taken.
        step: a number, or a tensor of m numbers.
    """
    if isinstance(step, Tensor):
        made = drawn(entry, key, place, sign.dtype)
        return (center + sign[:, None] * step.reshape(-1) * made).to(center.dtype)

    def displace(key: Tensor, place: Tensor, center: Tensor, along: Tensor) -> Tensor:
        change = along[:, None] * _ENTRIES[entry](key[:, None], place)
        return (center.to(along.dtype) + change).to(center.dtype)

    along = sign * step
    if fuses(key.device):
        given = _several(key), place, center, _several(along)
        return _fused("displaced", entry, center.dtype, displace, *given)[: len(key)]
    parts = zip(torch.split(key, 1), torch.split(along, 1), strict=True)
    return torch.cat([displace(one, place, center, length) for one, length in parts])


def summed(entry: Entry, key: Tensor, place: Tensor, weight: Tensor) -> Tensor:
    """``sum_i weight[i] * draw_i`` for weights ``[k]`` at places ``[m]``: float32 ``[m]``."""

    def add(key: Tensor, place: Tensor, weight: Tensor) -> Tensor:
        return (weight[:, None] * _ENTRIES[entry](key[:, None], place)).sum(0)

    if fuses(key.device) and len(key) > 1:
        return _fused("summed", entry, torch.float32, add, key, place, weight)
    total = torch.zeros(len(place), device=place.device)
    for one, factor in zip(torch.split(key, 1), torch.split(weight, 1), strict=True):
        total += add(one, place, factor)
    return total


def fuses(device: torch.device) -> bool:
    """Whether such a function becomes one kernel: where a compiler for the device is at hand."""
    return device.type == "cuda" and _has_compiler()


_FUSED: dict[tuple[str, Entry, torch.dtype], Callable[..., Tensor]] = {}


def _fused(
    name: str, entry: Entry, dtype: torch.dtype, function: Callable[..., Tensor], *given: Tensor
) -> Tensor:
    """What the function makes of tensors, as one kernel that is compiled once for all their shapes."""
    if (name, entry, dtype) not in _FUSED:
        _FUSED[name, entry, dtype] = torch.compile(function, dynamic=True)
    # A view would be compiled anew for each shape of what it is a view of.
    return _FUSED[name, entry, dtype](*(tensor.detach() for tensor in given))


def _several(each: Tensor) -> Tensor:
    """Two where there is one, for an extent of one would be compiled apart."""
    return each.repeat(2) if len(each) == 1 else each


@cache
def _has_compiler() -> bool:
    return find_spec("triton") is not None


def _signed(word: int) -> int:
    """A 64-bit word as int64 holds it."""
    word %= _WORD
    return word - _WORD if word >= _WORD // 2 else word


def _shifted(word: Tensor, bits: int) -> Tensor:
    """A 64-bit word to the right, zeros after it."""
    return (word >> bits) & ((1 << (64 - bits)) - 1)

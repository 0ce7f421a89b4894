"""The layers of a model, evaluated for many members at once.

While a population is *seen*, the forward of each layer whose tensors the members see differently is
replaced: one product with the shared tensor, low-rank parts or whole tensors member by member in
batched products. Everything between the layers is the model's own code, so any architecture works whose
inputs keep members times rows as their leading extent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from transformers.pytorch_utils import Conv1D

from harness.core import UserError
from tasks.norms import by_member, takes_rows
from tasks.weights import Weights

Names = Mapping[str, str]  # a layer's own names of its tensors -> names in the model


@dataclass(frozen=True)
class Batch:
    """What goes through the layers: n members of R rows each.

    Args:
        weights: how the members see the model's tensors.
        rows: R.
        tokens: of one member's rows, padding included.
        answers: how many of one member's go through the layers that see other tokens: a head that sees the
            answer positions only, a decoder beside an encoder.
    """

    weights: Weights
    rows: int
    tokens: int
    answers: int | None = None


@contextmanager
def seen(model: nn.Module, batch: Batch, tensors: frozenset[str]) -> Iterator[None]:
    """Let the model's layers that own any of ``tensors`` compute for all members of a batch.

    Args:
        model: any torch module; restored on leaving.
        batch: the leading extent of inputs is a multiple of its members times rows.
        tensors: names of the model's tensors that its members see differently from the model's own.

    Raises:
        UserError: where a layer is of a kind that a population cannot pass through.
    """
    changed = []
    try:
        for module, names in _layers(model, tensors):
            module.forward = partial(_kernel(module), module, names, batch)
            changed.append(module)
        yield
    finally:
        for module in changed:
            module.__dict__.pop("forward", None)


def _layers(model: nn.Module, tensors: frozenset[str]) -> list[tuple[nn.Module, dict[str, str]]]:
    """The layers that own any of these tensors, with the model's names of what they own.

    A tied tensor has one name wherever it is; one that a module shares with a layer within it (the bias of
    a masked model's head) is that layer's.
    """
    known = _KNOWN.setdefault(model, {})
    if tensors not in known:
        canonical = {id(value): name for name, value in model.named_parameters()}
        known[tensors] = []
        for module in model.modules():
            inner = {id(value) for child in module.children() for value in child.parameters()}
            own = dict(module.named_parameters(recurse=False))
            names = {key: canonical[id(value)] for key, value in own.items() if id(value) not in inner}
            if not tensors.isdisjoint(names.values()):
                known[tensors].append((module, names))
    return known[tensors]


_KNOWN: WeakKeyDictionary[nn.Module, dict[frozenset[str], list[tuple[nn.Module, dict[str, str]]]]]
_KNOWN = WeakKeyDictionary()


def _kernel(module: nn.Module) -> Callable[..., Any]:
    """Subclasses that only inherit a forward get its kernel; those with one of their own the general one."""
    if isinstance(module, nn.Linear) and not module.weight.is_floating_point():
        return _quantised
    return _KERNELS.get(type(module).forward, _any_layer)


def product(batch: Batch, name: str, own: Tensor, x: Tensor, transposed: bool = False) -> Tensor:
    """``x @ W.T`` for all members: x ``[n * R, ..., in]`` to ``[n * R, ..., out]``.

    W is stored as ``[out, in]``, transposed (as in GPT-2) as ``[in, out]``.
    """
    weights, n, lead = batch.weights, batch.weights.members, x.shape[:-1]
    pieces, factors = weights.pieces(name), weights.factors(name)
    whole = lead.numel() in (n * batch.tokens, n * (batch.answers or batch.tokens))
    if (pieces is not None or factors is not None) and not whole:
        raise UserError(f"{name}: its layer sees only some of the tokens; populations cannot pass through it")
    if pieces is not None:
        by_member = x.reshape(n, -1, x.shape[-1])
        y = _summed(by_member, pieces) if transposed else _side_by_side(by_member, pieces, len(own))
        return y.reshape(*lead, -1)
    shared = weights.shared(name)
    table = own if shared is None else shared
    y = nn.functional.linear(x, table.mT if transposed else table)
    if factors is not None:
        left, right = (factor.to(x.dtype) for factor in (factors[::-1] if transposed else factors))
        _add_low_rank(y.reshape(n, -1, y.shape[-1]), x.reshape(n, -1, x.shape[-1]), left, right)
    return y.reshape(*lead, -1)


def _add_low_rank(y: Tensor, x: Tensor, left: Tensor, right: Tensor) -> None:
    """``y += (x @ right) @ left.T`` in place, for y ``[n, k, out]`` and x ``[n, k, in]``.

    A product with few columns is slow: they go in as rows. Of one column the second is an outer product.
    """
    thin = torch.bmm(right.mT, x.mT).mT
    if right.shape[-1] == 1:
        y.addcmul_(thin, left.mT)
    else:
        y.baddbmm_(thin, left.mT)


def _side_by_side(x: Tensor, pieces: Iterable[tuple[slice, Tensor]], width: int) -> Tensor:
    """``x @ W.T`` for W in pieces of rows ``[n, rows, in]``, each the whole of some of ``width`` outputs."""
    y = None
    for rows, piece in pieces:
        part = torch.bmm(x, piece.mT)
        if part.shape[-1] == width:
            return part
        y = part.new_empty(*part.shape[:-1], width) if y is None else y
        y[..., rows] = part
    assert y is not None
    return y


def _summed(x: Tensor, pieces: Iterable[tuple[slice, Tensor]]) -> Tensor:
    """``x @ W`` for W in pieces of rows ``[n, rows, out]``, whose products are summed in float32."""
    parts = (torch.bmm(x[..., rows], piece) for rows, piece in pieces)
    total = next(parts)
    wide = torch.promote_types(x.dtype, torch.float32)
    for part in parts:
        total = total.to(wide).add_(part)
    return total.to(x.dtype)


def per_member(weights: Weights, name: str, own: Tensor, like: Tensor) -> Tensor:
    """A vector as every row of ``like [n * R, ..., k]`` sees it: broadcastable against it."""
    whole = weights.stacked(name)
    if whole is None:
        shared = weights.shared(name)
        return own if shared is None else shared
    return by_member(whole, like)


def linear(module: nn.Linear, names: Names, batch: Batch, x: Tensor) -> Tensor:
    y = product(batch, names["weight"], module.weight, x)
    return y if module.bias is None else y + per_member(batch.weights, names["bias"], module.bias, y)


def _quantised(module: nn.Linear, names: Names, batch: Batch, x: Tensor) -> Tensor:
    """A frozen layer of few bits: its own product, and the members' factors beside it."""
    y: Tensor = _original(module, {}, x)
    factors = batch.weights.factors(names["weight"])
    if factors is not None:
        left, right = (factor.to(x.dtype) for factor in factors)
        y = y.clone(memory_format=torch.contiguous_format)
        _add_low_rank(y.reshape(batch.weights.members, -1, y.shape[-1]), _by_member(x, batch), left, right)
    return y


def _by_member(x: Tensor, batch: Batch) -> Tensor:
    return x.reshape(batch.weights.members, -1, x.shape[-1])


def _conv1d(module: Any, names: Names, batch: Batch, x: Tensor) -> Tensor:
    y = product(batch, names["weight"], module.weight, x, transposed=True)
    return y + per_member(batch.weights, names["bias"], module.bias, y)


def table_rows(weights: Weights, name: str, own: Tensor, index: Tensor) -> Tensor:
    """Rows of a table as each member sees them, index int64 ``[k]``: ``[n, k, width]``."""
    return lookup(weights, name, own, index.expand(weights.members, -1))


def lookup(weights: Weights, name: str, own: Tensor, index: Tensor) -> Tensor:
    """Each member's own rows of a table, index int64 ``[n, k]``: ``[n, k, width]``."""
    used, place = torch.unique(index, return_inverse=True)
    rows = weights.rows(name, used)
    member = torch.arange(weights.members, device=index.device)[:, None]
    if rows is not None:
        return rows[member, place]
    shared = weights.shared(name)
    found = (own if shared is None else shared)[index]
    factors = weights.factors(name)
    if factors is None:
        return found
    left, right = factors[0].to(found.dtype), factors[1].to(found.dtype)
    return torch.baddbmm(found, left[member, index], right.mT)


def _embedding(module: nn.Embedding, names: Names, batch: Batch, ids: Tensor) -> Tensor:
    n, rows = batch.weights.members, batch.rows
    ids = ids.expand(n * rows, *ids.shape[1:])  # positions come once for all rows
    found = lookup(batch.weights, names["weight"], module.weight, ids.reshape(n, -1))
    return found.reshape(*ids.shape, -1)


def _layer_norm(module: nn.LayerNorm, names: Names, batch: Batch, x: Tensor) -> Tensor:
    if len(module.normalized_shape) != 1:
        result: Tensor = _any_layer(module, names, batch, x)
        return result
    y = nn.functional.layer_norm(x, module.normalized_shape, None, None, module.eps)
    for key, combined in (("weight", torch.mul), ("bias", torch.add)):
        if (own := getattr(module, key)) is not None:
            y = combined(y, per_member(batch.weights, names[key], own, y))
    return y


def _any_layer(module: nn.Module, names: Names, batch: Batch, *inputs: Any, **named: Any) -> Any:
    """A layer of unknown kind: its own forward, mapped over the members unless it takes them as rows."""
    forward, weights, rows = partial(_original, module), batch.weights, batch.rows
    own = dict(module.named_parameters(recurse=False))
    whole = {key: written_out(weights, name, own[key]) for key, name in names.items()}
    shared = {key: tensor for key, name in names.items() if (tensor := weights.shared(name)) is not None}
    stacked = {key: tensor for key, tensor in whole.items() if tensor is not None}
    if not stacked:
        return forward(shared, *inputs, **named)
    n = weights.members

    def by_row(x: Any) -> bool:
        return isinstance(x, Tensor) and x.ndim > 0 and x.shape[0] % (n * rows) == 0

    if len(inputs) == 1 and not named and by_row(inputs[0]) and takes_rows(module):
        each = {key: by_member(tensor, inputs[0]) for key, tensor in stacked.items()}
        return forward({**shared, **each}, *inputs)

    def unfolded(x: Any) -> Any:
        return x.reshape(n, -1, *x.shape[1:]) if by_row(x) else x

    def one(tensors: dict[str, Tensor], named: dict[str, Any], *inputs: Any) -> Any:
        return forward({**shared, **tensors}, *inputs, **named, **kept)

    split = {key: unfolded(x) for key, x in named.items() if by_row(x)}
    kept = {key: x for key, x in named.items() if not by_row(x)}
    dims = (0, 0 if split else None, *(0 if by_row(x) else None for x in inputs))
    out = vmap(one, in_dims=dims)(stacked, split, *map(unfolded, inputs))
    if not isinstance(out, Tensor):
        raise UserError(
            f"{next(iter(names.values()))}: populations cannot pass through a {type(module).__name__}"
        )
    if not split and not any(map(by_row, inputs)):  # positions come once for all rows
        out = out.expand(n, rows, *out.shape[2:])
    return out.flatten(0, 1)


def written_out(weights: Weights, name: str, own: Tensor) -> Tensor | None:
    """``[n, *shape]`` of a tensor that members see differently, or None."""
    factors = weights.factors(name)
    if factors is None:
        return weights.stacked(name)
    shared = weights.shared(name)
    table = own if shared is None else shared
    left, right = factors[0].to(table.dtype), factors[1].to(table.dtype)
    return torch.baddbmm(table.expand(weights.members, *table.shape), left, right.mT)


def _original(module: nn.Module, tensors: dict[str, Tensor], *inputs: Any, **named: Any) -> Any:
    replaced = module.__dict__.pop("forward")
    try:
        return functional_call(module, tensors, inputs, named) if tensors else module(*inputs, **named)
    finally:
        module.forward = replaced


_KERNELS: dict[Any, Callable[..., Any]] = {
    nn.Linear.forward: linear,
    Conv1D.forward: _conv1d,
    nn.Embedding.forward: _embedding,
    nn.LayerNorm.forward: _layer_norm,
}

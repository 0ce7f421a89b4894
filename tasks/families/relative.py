"""Relative positions as each member sees them: what T5 and DeBERTa compute once for all rows.

The layers' own code gives positions no batch dimension, so a population cannot pass through it; while a
population is seen, these methods give each member's rows their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from torch import Tensor, nn
from torch.func import vmap

from tasks.kernels import Batch, linear, written_out

Names = dict[int, str]  # by identity of a tensor: its name in the model


class Place(NamedTuple):
    """A module's method that computes with positions, what replaces it, and the names of what it reads."""

    module: Any
    method: str
    ours: Callable[..., Any]
    reads: frozenset[str]


@contextmanager
def positions_seen(model: nn.Module, batch: Batch, tensors: frozenset[str]) -> Iterator[None]:
    """Let members' relative positions differ, in the modules that have any whose tensors are among these."""
    if model not in _KNOWN:
        names = {id(value): name for name, value in model.named_parameters()}
        _KNOWN[model] = names, list(_positional(model, names))
    names, places = _KNOWN[model]
    with ExitStack() as stack:
        for module, method, ours, reads in places:
            if not tensors.isdisjoint(reads):
                original = getattr(module, method)
                stack.enter_context(_method(module, method, partial(ours, module, original, names, batch)))
        yield


_KNOWN: WeakKeyDictionary[nn.Module, tuple[Names, list[Place]]]
_KNOWN = WeakKeyDictionary()


def _positional(model: nn.Module, names: Names) -> Iterator[Place]:
    def named(own: list[Tensor]) -> frozenset[str]:
        return frozenset(names[id(value)] for value in own)

    table: list[Tensor] = []
    for module in model.modules():
        found: Any = module
        if hasattr(found, "compute_bias") and hasattr(found, "relative_attention_bias"):
            yield Place(found, "compute_bias", _bias, named([found.relative_attention_bias.weight]))
        if hasattr(found, "get_rel_embedding") and hasattr(found, "rel_embeddings"):
            norm = getattr(found, "LayerNorm", None)
            table = [found.rel_embeddings.weight, *([] if norm is None else norm.parameters())]
            yield Place(found, "get_rel_embedding", _table, named(table))
        if hasattr(found, "disentangled_attention_bias") and table:
            layers = [value for layer in _projections(found) for value in layer.parameters()]
            yield Place(found, "disentangled_attention_bias", _disentangled, named([*table, *layers]))


@contextmanager
def _method(module: nn.Module, name: str, ours: Callable[..., Any]) -> Iterator[None]:
    before = module.__dict__.get(name)
    module.__dict__[name] = ours
    try:
        yield
    finally:
        del module.__dict__[name]
        if before is not None:
            module.__dict__[name] = before


def _seen_table(names: Names, batch: Batch, own: Tensor) -> Tensor:
    """A tensor as the members see it: ``[n, *shape]``, or ``[*shape]`` for all alike."""
    name = names[id(own)]
    whole = written_out(batch.weights, name, own)
    if whole is not None:
        return whole
    shared = batch.weights.shared(name)
    return own if shared is None else shared


def _bias(
    attention: Any, original: Callable[..., Tensor], names: Names, batch: Batch, *given: Any, **named: Any
) -> Tensor:
    """T5's bias of each head and pair of positions, ``[n * R, heads, q, k]``."""
    table = attention.relative_attention_bias

    def one(rows: Tensor) -> Tensor:
        with _method(table, "forward", lambda ids: nn.functional.embedding(ids, rows)):
            return original(*given, **named)

    seen = _seen_table(names, batch, table.weight)
    if seen.ndim == table.weight.ndim:
        return one(seen)
    return vmap(one)(seen).flatten(0, 1).repeat_interleave(batch.rows, dim=0)


def _table(encoder: Any, original: Callable[[], Tensor], names: Names, batch: Batch) -> Tensor:
    """DeBERTa's vectors of relative positions, ``[n, 2 span, width]``, or without n for all alike."""
    table = _seen_table(names, batch, encoder.rel_embeddings.weight)
    if "layer_norm" not in encoder.norm_rel_ebd:
        return table
    norm = encoder.LayerNorm
    normal = nn.functional.layer_norm(table, norm.normalized_shape, None, None, norm.eps)
    weight, bias = (_seen_table(names, batch, own) for own in (norm.weight, norm.bias))
    return normal * weight.unsqueeze(-2) + bias.unsqueeze(-2)


def _projections(attention: Any) -> list[nn.Linear]:
    """The layers through which a DeBERTa attention sends vectors of positions."""
    if attention.share_att_key:
        return [attention.query_proj, attention.key_proj]
    keys = ("pos_key_proj", "pos_query_proj")
    return [getattr(attention, key) for key in keys if hasattr(attention, key)]


def _disentangled(
    attention: Any,
    original: Callable[..., Tensor],
    names: Names,
    batch: Batch,
    query: Tensor,
    key: Tensor,
    relative: Tensor,
    table: Tensor,
    factor: int,
) -> Tensor:
    """DeBERTa's scores of content against positions, ``[n * R * heads, q, k]``: the original, by member."""
    n = batch.weights.members
    vectors = table[..., : 2 * attention.pos_ebd_size, :].expand(n, -1, -1)
    layers = _projections(attention)
    here = Batch(batch.weights, 1, vectors.shape[1])
    sent = [
        linear(layer, {k: names[id(value)] for k, value in layer.named_parameters()}, here, vectors)
        for layer in layers
    ]

    def one(query: Tensor, key: Tensor, *sent: Tensor) -> Tensor:
        with ExitStack() as stack:
            for layer, found in zip(layers, sent, strict=True):
                stack.enter_context(_method(layer, "forward", lambda _, found=found: found[None]))
            return original(query, key, relative, vectors[0], factor)

    by_member = (x.reshape(n, -1, *x.shape[1:]) for x in (query, key))
    out: Tensor = vmap(one)(*by_member, *sent)
    return out.flatten(0, 1)

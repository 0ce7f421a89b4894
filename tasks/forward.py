"""The batched forward: logits of the classes for all members of a chunk, in one pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

from tasks.encoding import Encoded
from tasks.families.alone import own_tensors, passes
from tasks.families.base import Answered
from tasks.families.relative import positions_seen
from tasks.kernels import Batch, seen
from tasks.language_model import LanguageModel
from tasks.weights import Weights


def answer_logits(
    model: LanguageModel,
    words: Tensor,
    rows: Encoded,
    weights: Weights,
    tensors: frozenset[str] = frozenset(),
    prefix: Tensor | None = None,
    once: int = 0,
) -> Tensor:
    """Logits of the classes at the answer position, for n members on R rows each.

    Only the hidden states at the answer position meet the output embedding, and only its rows of the
    label words, in float32 at least; what a model does to its logits afterwards is its own code. Where the
    answer stands, and what is read there, is the family's.

    Args:
        model: whose layers run.
        words: tokens of the label words, int64 ``[C]``; of sentence encoders the label texts' vectors.
        rows: ``n * R`` encoded rows, the first member's first.
        weights: how the n members see the model's tensors.
        tensors: names of the tensors that they see differently from the model's own.
        prefix: soft prompts ``[n, P, width]`` put before each of a member's rows.
        once: so many positions, prompt and text, are the same in all rows of a member: they are computed
            once for all of them.

    Returns:
        ``[n, R, C]``, float32 or wider.
    """
    ids, lengths, words = rows.ids.to(model.device), rows.lengths.to(model.device), words.to(model.device)
    prompts = None if prefix is None else prefix.to(model.dtype)

    def compute(weights: Weights, alone: bool) -> Tensor:
        run = _one_by_one if alone else _at_once
        return run(model, words, ids, lengths, weights, tensors, prompts, once)

    return compute(weights, not passes(model, weights, tensors, compute))


def answer_features(model: LanguageModel, words: Tensor, rows: Encoded) -> Tensor:
    """What the untouched model's answers to rows are read from: ``[R, width]``, float32 or wider.

    Args:
        model: whose layers run.
        words: tokens of the label words, or vectors of the label texts; they change nothing.
        rows: R encoded rows.
    """
    ids, lengths = rows.ids.to(model.device), rows.lengths.to(model.device)
    answered, inputs = _inputs(model, ids, lengths, None, len(ids))
    return model.kind.features(model, words.to(model.device), answered, partial(model.model, **inputs))


def _at_once(
    model: LanguageModel,
    words: Tensor,
    ids: Tensor,
    lengths: Tensor,
    weights: Weights,
    tensors: frozenset[str],
    prompts: Tensor | None,
    once: int,
) -> Tensor:
    """The layers see all members, each its own tensors."""
    own = len(ids) // weights.members
    kept: dict[str, Any] = {}
    if once:
        start, prompts, text = _divided(prompts, once)
        begin = model.kind.inputs(model, ids[::own, :text], lengths[::own], start)
        with _seen(model, Batch(weights, 1, once), tensors):
            past = model.model.base_model(**{**begin, "use_cache": True}).past_key_values
        past.batch_repeat_interleave(own)
        kept = {"use_cache": True, "past_key_values": past}
        ids, lengths = ids[:, text:], lengths - text
    answered, inputs = _inputs(model, ids, lengths, prompts, own)
    positions = ids.shape[1] + answered.before
    with _seen(model, Batch(weights, own, own * positions, own), tensors):
        call = partial(model.model, **{**inputs, **kept})
        return model.kind.logits(model, words, weights, answered, call)


def _one_by_one(
    model: LanguageModel,
    words: Tensor,
    ids: Tensor,
    lengths: Tensor,
    weights: Weights,
    tensors: frozenset[str],
    prompts: Tensor | None,
    once: int,
) -> Tensor:
    """Each member's own tensors take the place of the model's for a forward of its own rows."""
    n = weights.members
    own, found = len(ids) // n, []
    for i in range(n):
        changed = own_tensors(model, weights.alone(i), tensors)
        part = slice(i * own, (i + 1) * own)
        prompt = None if prompts is None else prompts[i : i + 1]
        answered, inputs = _inputs(model, ids[part], lengths[part], prompt, own)
        call = partial(functional_call, model.model, changed, (), inputs)
        found.append(model.kind.logits(model, words, Weights(1), answered, call)[0])
    return torch.stack(found)


def _inputs(
    model: LanguageModel, ids: Tensor, lengths: Tensor, prompts: Tensor | None, own: int
) -> tuple[Answered, dict[str, Any]]:
    """Where the answers of rows stand, and what the model gets: each member's prompt before its rows."""
    spread = None if prompts is None else prompts.repeat_interleave(own, dim=0)
    before = 0 if prompts is None else prompts.shape[1]
    return Answered(ids, lengths, before), model.kind.inputs(model, ids, lengths, spread)


def _divided(prompts: Tensor | None, once: int) -> tuple[Tensor | None, Tensor | None, int]:
    """The part of the prompts within the first positions, the rest, and how many of text are among them."""
    length = 0 if prompts is None else prompts.shape[1]
    if prompts is None or once >= length:
        return prompts, None, once - length
    return prompts[:, :once], prompts[:, once:], 0


@contextmanager
def _seen(model: LanguageModel, batch: Batch, tensors: frozenset[str]) -> Iterator[None]:
    if not tensors:
        yield
        return
    with seen(model.model, batch, tensors), positions_seen(model.model, batch, tensors):
        yield

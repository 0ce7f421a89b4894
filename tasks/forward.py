"""The batched forward: logits of the label words for all members of a chunk, in one pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor

from tasks.encoding import Encoded
from tasks.kernels import Batch, per_member, seen, table_rows
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
    """Logits of the label words at the answer position, for n members on R rows each.

    Only the hidden states at the answer position meet the output embedding, and only its rows of the
    label words, in float32 at least; what a model does to its logits afterwards is its own code.

    Args:
        model: whose layers run.
        words: tokens of the label words, int64 ``[C]``.
        rows: ``n * R`` encoded rows, the first member's first.
        weights: how the n members see the model's tensors.
        tensors: names of the tensors that they see differently from the model's own.
        prefix: soft prompts ``[n, P, width]`` put before each of a member's rows.
        once: so many positions, prompt and text, are the same in all rows of a member: they are computed
            once for all of them.

    Returns:
        ``[n, R, C]``, float32 or wider.
    """
    n, device = weights.members, model.device
    ids, last = rows.ids.to(device), rows.lengths.to(device) - 1
    own = len(rows) // n
    prompts = None if prefix is None else prefix.to(model.dtype)
    kept: dict[str, Any] = {"use_cache": False}
    if once:
        start, prompts, text = _divided(prompts, once)
        begin = _inputs(model, ids[::own, :text], start)
        with _seen(model, Batch(weights, 1, once), tensors):
            past = model.model.base_model(**begin, use_cache=True).past_key_values
        past.batch_repeat_interleave(own)
        kept = {"use_cache": True, "past_key_values": past}
        ids, last = ids[:, text:], last - text
    inputs = _inputs(model, ids, None if prompts is None else prompts.repeat_interleave(own, dim=0))
    length = ids.shape[1] + (0 if prompts is None else prompts.shape[1])
    last = last + length - ids.shape[1]
    with (
        _seen(model, Batch(weights, own, own * length), tensors),
        _answering(model, words.to(device), weights, last),
    ):
        logits: Tensor = model.model(**inputs, **kept).logits
    return logits.reshape(n, own, len(words))


def _divided(prompts: Tensor | None, once: int) -> tuple[Tensor | None, Tensor | None, int]:
    """The part of the prompts within the first positions, the rest, and how many of text are among them."""
    length = 0 if prompts is None else prompts.shape[1]
    if prompts is None or once >= length:
        return prompts, None, once - length
    return prompts[:, :once], prompts[:, once:], 0


def _inputs(model: LanguageModel, ids: Tensor, prompts: Tensor | None) -> dict[str, Tensor]:
    if prompts is None:
        return {"input_ids": ids}
    return {"inputs_embeds": torch.cat([prompts, model.embedding(ids)], dim=1)}


def _seen(model: LanguageModel, batch: Batch, tensors: frozenset[str]) -> AbstractContextManager[None]:
    return seen(model.model, batch, tensors) if tensors else nullcontext()


@contextmanager
def _answering(model: LanguageModel, words: Tensor, weights: Weights, last: Tensor) -> Iterator[None]:
    """Let the output embedding give the label words' logits at each row's answer position only."""
    head = model.model.get_output_embeddings()
    name, bias = model.head_names

    def forward(hidden: Tensor) -> Tensor:
        answers = hidden[torch.arange(len(last), device=last.device), last]
        wide = torch.promote_types(answers.dtype, torch.float32)
        answers = answers.to(wide).reshape(weights.members, -1, answers.shape[-1])
        table = table_rows(weights, name, head.weight, words).to(wide)
        logits = torch.bmm(answers, table.mT).flatten(0, 1)
        if bias is not None:
            logits = logits + per_member(weights, bias, head.bias, logits)[..., words]
        return logits[:, None]

    head.forward = forward
    try:
        yield
    finally:
        del head.forward

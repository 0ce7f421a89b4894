"""The batched forward: logits of the label words for all members of a chunk, in one pass."""

from __future__ import annotations

from contextlib import nullcontext

import torch
from torch import Tensor

from tasks.encoding import Encoded
from tasks.kernels import per_member, seen, table_rows
from tasks.language_model import LanguageModel
from tasks.weights import Weights


def answer_logits(
    model: LanguageModel,
    words: Tensor,
    rows: Encoded,
    weights: Weights,
    tensors: frozenset[str] = frozenset(),
    prefix: Tensor | None = None,
) -> Tensor:
    """Logits of the label words at the answer position, for n members on R rows each.

    Only the hidden states at the answer position meet the output embedding, and only its rows of the
    label words.

    Args:
        model: whose layers run.
        words: tokens of the label words, int64 ``[C]``.
        rows: ``n * R`` encoded rows, the first member's first.
        weights: how the n members see the model's tensors.
        tensors: names of the tensors that they see differently from the model's own.
        prefix: soft prompts ``[n, P, width]`` put before each of a member's rows.

    Returns:
        ``[n, R, C]`` in the model's dtype.
    """
    n, device = weights.members, model.device
    ids, last = rows.ids.to(device), rows.lengths.to(device) - 1
    body = model.model.base_model
    with seen(model.model, weights, tensors, len(rows) // n) if tensors else nullcontext():
        if prefix is None:
            hidden = body(input_ids=ids, use_cache=False).last_hidden_state
        else:
            prompts = prefix.to(model.dtype).repeat_interleave(len(rows) // n, dim=0)
            embedded = torch.cat([prompts, model.embedding(ids)], dim=1)
            hidden = body(inputs_embeds=embedded, use_cache=False).last_hidden_state
            last = last + prefix.shape[1]
    answers = hidden[torch.arange(len(rows), device=device), last].reshape(n, -1, hidden.shape[-1])
    return _word_logits(model, words.to(device), weights, answers)


def _word_logits(model: LanguageModel, words: Tensor, weights: Weights, answers: Tensor) -> Tensor:
    """``answers [n, R, width]`` times the label words' rows of the output embedding."""
    head = model.model.get_output_embeddings()
    name, bias = model.head_names
    logits = torch.bmm(answers, table_rows(weights, name, head.weight, words).mT)
    if bias is None:
        return logits
    flat = logits.flatten(0, 1)
    return (flat + per_member(weights, bias, head.bias, flat)[..., words]).reshape(logits.shape)

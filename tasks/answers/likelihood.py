"""How likely given continuations are: teacher-forced, for a whole population."""

from __future__ import annotations

import torch
from torch import Tensor

from tasks.answers.generation import read_at
from tasks.encoding import Encoded
from tasks.kernels import Batch
from tasks.language_model import LanguageModel
from tasks.tuning.base import View


def log_likelihoods(model: LanguageModel, view: View, rows: Encoded, most: int) -> Tensor:
    """Mean log-likelihood of the tokens of each row's continuation, for n members: float64 ``[n, R]``.

    Only the hidden states before these tokens meet the output embedding.

    Args:
        model: causal.
        view: how members see it.
        rows: ``n * R`` texts, padded on the right; ``labels`` says how many of a row's last tokens are the
            continuation, one at least.
        most: tokens of the longest continuation, or more: it shapes a product, so it has to depend on a
            member's own rows alone.
    """
    ids, count = rows.ids.to(model.device), rows.labels.to(model.device)[:, None]
    own = len(rows) // view.weights.members
    step = torch.arange(most, device=model.device)
    place = (rows.lengths.to(model.device)[:, None] - count + step).clamp_max(ids.shape[1] - 1)  # of tokens
    inputs = {"input_ids": ids}
    before = 0
    if view.prefix is not None:
        before = view.prefix.shape[1]
        prompts = view.prefix.to(model.dtype).repeat_interleave(own, dim=0)
        inputs = {"inputs_embeds": torch.cat([prompts, model.embedding(ids)], dim=1)}
    every = torch.arange(len(rows), device=model.device)[:, None]
    batch = Batch(view.weights, own, own * (before + ids.shape[1]), own * most)
    with read_at(model, batch, view.tensors, lambda hidden: hidden[every, place + before - 1]):
        logits = model.model(**inputs, use_cache=False).logits
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    chosen = wide.gather(-1, ids.gather(1, place)[..., None]).squeeze(-1) - wide.logsumexp(-1)
    real = step < count
    sums = torch.where(real, chosen, 0.0).double().sum(1)
    return (sums / count[:, 0]).reshape(-1, own)

"""Rows that end at one position, so that all of them go on at the next."""

from __future__ import annotations

import inspect
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from harness.core import UserError
from tasks.encoding import Encoded
from tasks.language_model import LanguageModel

_TRIED: WeakKeyDictionary[LanguageModel, bool] = WeakKeyDictionary()


def from_the_right(
    model: LanguageModel, rows: Encoded, prompts: Tensor | None
) -> tuple[dict[str, Tensor], Tensor, Tensor]:
    """Inputs of a forward with the padding moved to the left, the mask, and the positions.

    Args:
        model: causal.
        rows: ``n * R`` rows padded on the right.
        prompts: soft prompts ``[n, P, width]``, that come next to the text; or None.

    Returns:
        ``input_ids`` or ``inputs_embeds`` by that name, and int64 ``[n * R, P + T]`` twice.
    """
    ids, lengths = rows.ids.to(model.device), rows.lengths.to(model.device)
    length = ids.shape[1] + (0 if prompts is None else prompts.shape[1])
    positions = torch.arange(length, device=model.device) - (ids.shape[1] - lengths)[:, None]
    mask = (positions >= 0).long()
    origin = positions % length  # the padding comes round from the right
    positions = positions.clamp_min(0)
    if prompts is None:
        return {"input_ids": ids.gather(1, origin)}, mask, positions
    spread = prompts.to(model.dtype).repeat_interleave(len(rows) // len(prompts), dim=0)
    embedded = torch.cat([spread, model.embedding(ids)], dim=1)
    return {"inputs_embeds": embedded.gather(1, origin[:, :, None].expand_as(embedded))}, mask, positions


def check_padding(model: LanguageModel) -> None:
    """Refuse a model that does not answer a padded row as it answers the row alone; found by trying, once.

    Raises:
        UserError: naming the model.
    """
    if model not in _TRIED:
        _TRIED[model] = _same_padded(model)
    if not _TRIED[model]:
        raise UserError(
            f"model {model.path}: it takes no positions for rows padded on the left, so that it "
            "cannot answer rows of unequal length at once; generated answers need another model"
        )


def _same_padded(model: LanguageModel) -> bool:
    if "position_ids" not in inspect.signature(model.model.forward).parameters:
        return False
    ids = torch.arange(2, 10).reshape(1, 8) % model.embedding.num_embeddings
    rows = Encoded(ids.repeat(2, 1), torch.tensor([8, 5]), torch.zeros(2))
    inputs, mask, positions = from_the_right(model, rows, None)
    with torch.no_grad():
        padded = model.model(**inputs, attention_mask=mask, position_ids=positions).logits[1, -1].float()
        alone = model.model(input_ids=ids[:, :5].to(model.device)).logits[0, -1].float()
    tolerance = 1e-3 if model.dtype.itemsize >= 4 else 0.05
    return bool((padded - alone).abs().max() <= tolerance * alone.std())

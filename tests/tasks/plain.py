"""The plain evaluation that the batched forward must equal: merged weights, one candidate at a time."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from tasks.text_task import TextTask


def plain_losses(
    task: TextTask, parameters: Mapping[str, Tensor], repetition: int, generation: int
) -> Tensor:
    """Losses of candidates written out as parameters [n, *shape], through the model's own forward."""
    members = len(next(iter(parameters.values())))
    rows = task.minibatch(repetition, generation)
    losses = []
    for i in range(members):
        model, prompt = merged(task, {name: value[i] for name, value in parameters.items()})
        logits = [_logits(model, ids[:n], prompt) for ids, n in zip(rows.ids, rows.lengths, strict=True)]
        losses.append(task.objective(torch.stack(logits)[None, :, task.words], rows.labels[None]))
    return torch.cat(losses)


def merged(task: TextTask, candidate: Mapping[str, Tensor]) -> tuple[Any, Tensor | None]:
    """A copy of the model that is the candidate, and its soft prompt."""
    model = copy.deepcopy(task.model.model)
    if "prompt" in candidate:
        return model, candidate["prompt"].to(task.model.dtype)
    own = dict(model.named_parameters())
    for name, value in candidate.items():
        if name.endswith(".lora_A"):
            layer = name.removesuffix(".lora_A")
            tuning: Any = task.tuning
            change = tuning.alpha / tuning.rank * candidate[f"{layer}.lora_B"] @ value
            weight = own[f"{layer}.weight"]
            conv1d = "Conv1D" in type(model.get_submodule(layer)).__name__
            weight.data += (change.T if conv1d else change).to(weight.dtype)
        elif not name.endswith(".lora_B"):
            own[name].data.copy_(value)
    return model, None


def _logits(model: Any, ids: Tensor, prompt: Tensor | None) -> Tensor:
    embedded = model.get_input_embeddings()(ids)
    if prompt is not None:
        embedded = torch.cat([prompt, embedded])
    with torch.no_grad():
        return model(inputs_embeds=embedded[None]).logits[0, -1]

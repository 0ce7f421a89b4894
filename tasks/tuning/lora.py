"""LoRA: low-rank matrices added to some of the model's own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar
from weakref import WeakKeyDictionary

import torch
from pydantic import Field
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from harness.core import Block, Population, Space, UserError
from tasks.exports import export_lora
from tasks.language_model import LanguageModel
from tasks.text_task import TextTuning
from tasks.tuning.base import Seed, View, parameters_of
from tasks.weights import Adapters

QUERY_AND_VALUE = (
    ("q_proj", "v_proj"),
    ("c_attn",),
    ("query_key_value",),
    ("query", "value"),
    ("query_proj", "value_proj"),
    ("q", "v"),
)


class LoRATuning(TextTuning):
    """``W + (alpha / rank) B A`` with A normal of variance 1/in and B zero at the start.

    Scales: ``CHANGE`` times A's initial deviation ``1/sqrt(in)``, and ``CHANGE`` times the size of B that
    makes the change to a layer's output as large as the output of a matrix with entries of W's size.

    Args:
        rank: r.
        alpha: the factor's numerator; None is ``rank``.
        matrices: last parts of the names of the adapted layers, ``all`` for every linear layer;
            None is the query and value projections.
        subspace: dimension of a random projection, or None to tune A and B themselves.
        seed: of A's start and of the projection.

    Source: Hu et al., LoRA: Low-Rank Adaptation of Large Language Models, 2021.

    >>> from tasks.reference.registered import reference
    >>> model = reference()
    >>> LoRATuning(rank=2).dimension(model) == 2 * LoRATuning(rank=1).dimension(model)
    True
    """

    packs: ClassVar[bool] = True
    CHANGE: ClassVar[float] = 0.7

    def __init__(
        self,
        *,
        rank: Annotated[int, Field(ge=1)] = 2,
        alpha: Annotated[float, Field(gt=0)] | None = None,
        matrices: tuple[str, ...] | None = None,
        subspace: Annotated[int, Field(ge=1)] | None = None,
        seed: Seed = 0,
    ) -> None:
        super().__init__(subspace, seed)
        self.rank = rank
        self.alpha = float(rank) if alpha is None else alpha
        self.matrices = matrices
        self._known: WeakKeyDictionary[LanguageModel, dict[str, tuple[int, int, bool]]] = WeakKeyDictionary()

    def native_dimension(self, model: LanguageModel) -> int:
        shapes = self._targets(model).values()
        full = max(min(fan_in, fan_out) for fan_in, fan_out, _ in shapes)
        if self.rank > full:
            raise UserError(
                f"model {model.path}: lora: rank={self.rank} is more than any of these layers can have "
                f"({full}); lower it"
            )
        return sum(self.rank * (fan_in + fan_out) for fan_in, fan_out, _ in shapes)

    def native_space(self, model: LanguageModel) -> Space:
        generator = torch.Generator().manual_seed(self.seed)
        dtype = torch.promote_types(model.dtype, torch.float32)
        blocks, start = [], {}
        for name, (fan_in, fan_out, _) in self._targets(model).items():
            size = _root_mean_square(model.model.get_submodule(name), fan_in, model.dtype)
            deviation = 1 / math.sqrt(fan_in)
            unit = size * math.sqrt(fan_in * self.rank) / self.alpha
            down = deviation * torch.randn(self.rank, fan_in, generator=generator)
            blocks += [
                Block(f"{name}.lora_A", (self.rank, fan_in), "matrix", self.CHANGE * deviation),
                Block(f"{name}.lora_B", (fan_out, self.rank), "matrix", self.CHANGE * unit),
            ]
            start[f"{name}.lora_A"] = down.to(model.device, dtype)
            start[f"{name}.lora_B"] = torch.zeros(fan_out, self.rank, device=model.device, dtype=dtype)
        return Space(blocks, start)

    def view(self, model: LanguageModel, parameters: Mapping[str, Tensor]) -> View:
        pairs = {}
        for layer, (_, _, transposed) in self._targets(model).items():
            up = self.alpha / self.rank * parameters[f"{layer}.lora_B"]
            down = parameters[f"{layer}.lora_A"].mT
            pairs[f"{layer}.weight"] = (down, up) if transposed else (up, down)
        members = len(next(iter(parameters.values())))
        return View(Adapters(members, pairs), frozenset(pairs))

    def export(self, model: LanguageModel, candidate: Population, space: Space, folder: Path) -> str:
        found = parameters_of(candidate, space)
        factors = {
            layer: (found[f"{layer}.lora_A"][0], found[f"{layer}.lora_B"][0])
            for layer in self._targets(model)
        }
        export_lora(model, factors, self.alpha, folder)
        return "PEFT adapter (LoRA)"

    def _targets(self, model: LanguageModel) -> dict[str, tuple[int, int, bool]]:
        """(in, out, whether stored as ``[in, out]``) of each adapted layer, in the model's order."""
        if model not in self._known:
            self._known[model] = self._found(model)
        return self._known[model]

    def _found(self, model: LanguageModel) -> dict[str, tuple[int, int, bool]]:
        head = model.skeleton.get_output_embeddings()
        layers = {
            name: (module.weight.shape[0], module.weight.shape[1], True)
            if isinstance(module, Conv1D)
            else (module.weight.shape[1], module.weight.shape[0], False)
            for name, module in model.skeleton.named_modules()
            if isinstance(module, (nn.Linear, Conv1D)) and module is not head
        }
        endings = {name.rpartition(".")[2] for name in layers}
        wanted = self.matrices
        if wanted is None:
            wanted = next((names for names in QUERY_AND_VALUE if endings.issuperset(names)), tuple(endings))
        elif wanted == ("all",):
            wanted = tuple(endings)
        unknown = [name for name in wanted if name not in endings]
        if unknown:
            known = ", ".join(sorted(endings))
            raise UserError(f"model {model.path}: lora: no layer is called {unknown[0]!r}; it has {known}")
        return {name: shape for name, shape in layers.items() if name.rpartition(".")[2] in wanted}


def _root_mean_square(layer: nn.Module, fan_in: int, dtype: torch.dtype) -> float:
    """Of the weight's entries; those of a layer of few bits are read off what it makes of unit vectors."""
    weight = layer.get_parameter("weight")
    if weight.is_floating_point():
        return float(weight.float().square().mean().sqrt())
    with torch.no_grad():
        like = torch.eye(fan_in, device=weight.device, dtype=dtype)
        found = layer(like) - layer(torch.zeros_like(like[:1]))
    return float(found.float().square().mean().sqrt())

"""Soft prompt tuning: a few input embeddings put before the text."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from harness.core import Block, Population, Space
from tasks.exports import export_prompt
from tasks.language_model import LanguageModel
from tasks.text_task import TextTuning
from tasks.tuning.base import Seed, View, parameters_of
from tasks.weights import Weights


class PromptTuning(TextTuning):
    """Soft prompts, native or through a random projection as in Black-Box Tuning.

    The prompt starts at the embeddings of random tokens; its scale is ``CHANGE`` times the standard
    deviation of the model's embedding entries. With 1 (as in Black-Box Tuning) ``sigma = 1`` moves a prompt
    token about as far as another token lies, and changes losses less than the other tunings' units do.

    Args:
        tokens: length of the prompt.
        subspace: dimension of a random projection, or None to tune the embeddings themselves.
        seed: of the starting tokens and of the projection.

    Source: Lester, Al-Rfou & Constant, The Power of Scale for Parameter-Efficient Prompt Tuning, 2021;
    Sun et al., Black-Box Tuning for Language-Model-as-a-Service, 2022.

    >>> from tasks.reference.registered import reference
    >>> PromptTuning(tokens=5, subspace=50).dimension(reference())
    50
    """

    packs: ClassVar[bool] = True
    CHANGE: ClassVar[float] = 2.0

    def __init__(
        self,
        *,
        tokens: Annotated[int, Field(ge=1)] = 5,
        subspace: Annotated[int, Field(ge=1)] | None = None,
        seed: Seed = 0,
    ) -> None:
        super().__init__(subspace, seed)
        self.tokens = self.prefix_tokens = tokens

    def native_dimension(self, model: LanguageModel) -> int:
        return self.tokens * model.width

    def native_space(self, model: LanguageModel) -> Space:
        table = model.embedding.weight.detach()
        generator = torch.Generator().manual_seed(self.seed)
        first = torch.randint(0, table.shape[0], (self.tokens,), generator=generator).to(table.device)
        start = table[first].to(torch.promote_types(table.dtype, torch.float32))
        block = Block("prompt", tuple(start.shape), "embedding", self.CHANGE * float(table.float().std()))
        return Space([block], {"prompt": start})

    def view(self, model: LanguageModel, parameters: Mapping[str, Tensor]) -> View:
        prompt = parameters["prompt"]
        return View(Weights(len(prompt)), prefix=prompt)

    def export(self, model: LanguageModel, candidate: Population, space: Space, folder: Path) -> str:
        export_prompt(model, parameters_of(candidate, space)["prompt"][0], folder)
        return "PEFT adapter (prompt tuning)"

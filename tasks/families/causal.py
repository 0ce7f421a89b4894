"""Causal models: the answer is the token after the text."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from tasks.datasets import TextData
from tasks.families.base import Answered, Family, empty
from tasks.families.vocabulary import at_answers, features_at_answers, open_ids, told_apart
from tasks.weights import Weights

if TYPE_CHECKING:
    from tasks.language_model import LanguageModel


class Causal(Family):
    """GPT-2, OPT, Llama, Qwen, Mistral, GPT-NeoX and others that look back only.

    No real token sees the padding after it, so no mask is needed. A label word is the first token with which
    it goes on after the template.

    >>> Causal().auto_class
    'AutoModelForCausalLM'
    """

    name: ClassVar[str] = "causal"
    auto_class: ClassVar[str] = "AutoModelForCausalLM"
    spare: ClassVar[int] = 0
    resumes: ClassVar[bool] = True
    between: ClassVar[str | None] = "\n\n"

    def ids(self, tokenizer: Any, text: str) -> list[int]:
        return open_ids(tokenizer, text)

    def check_words(self, data: TextData, tokenizer: Any) -> None:
        label_tokens(data, tokenizer)

    def words(self, data: TextData, model: LanguageModel) -> Tensor:
        return label_tokens(data, model.tokenizer)

    def inputs(
        self, model: LanguageModel, ids: Tensor, lengths: Tensor, prompts: Tensor | None
    ) -> dict[str, Any]:
        if prompts is None:
            return {"input_ids": ids, "use_cache": False}
        embedded = torch.cat([prompts, model.embedding(ids)], dim=1)
        return {"inputs_embeds": embedded, "use_cache": False}

    def logits(
        self, model: LanguageModel, words: Tensor, weights: Weights, rows: Answered, call: Callable[[], Any]
    ) -> Tensor:
        return at_answers(model, words, weights, rows.last, call)

    def features(
        self, model: LanguageModel, words: Tensor, rows: Answered, call: Callable[[], Any]
    ) -> Tensor:
        return features_at_answers(model, words, rows.last, call)


def label_tokens(data: TextData, tokenizer: Any) -> Tensor:
    """The first token of each label word as it goes on after the template: int64 ``[C]``.

    Raises:
        UserError: where a word is unknown to the tokenizer, or two words begin with the same token.
    """
    before = data.filled(empty(data))
    start = open_ids(tokenizer, before)
    found = []
    for word in data.words:
        continued = open_ids(tokenizer, f"{before} {word}")
        if continued[: len(start)] != start or len(continued) == len(start):
            continued = start + tokenizer(f" {word}", add_special_tokens=False)["input_ids"]
        found.append(continued[len(start)])
    return told_apart(data, tokenizer, found)

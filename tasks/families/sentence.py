"""Sentence encoders: a text's class is the one whose label text lies nearest."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from inspect import signature
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor
from transformers import MODEL_MAPPING

from harness.core import UserError
from tasks.datasets import TextData
from tasks.families.base import Answered, Family, padded
from tasks.families.masked import longest_bidirectional
from tasks.families.vocabulary import closed_ids
from tasks.weights import Weights

if TYPE_CHECKING:
    from tasks.language_model import LanguageModel

SCALE = 20.0
"""Logits are so many cosines: the usual scale of the cosine losses of sentence-transformers."""


class Sentence(Family):
    """Encoders whose text vector is the mean of the tokens' (or the first token's), as in sentence-BERT.

    A class's logit is ``SCALE`` times the cosine of the text's vector and the label text's. The label texts
    are embedded once, by the untouched model, and stay where they are: fixed anchors for all candidates.
    Soft tokens are attended to and not pooled, and neither is the padding. An unused pooling layer of the
    architecture is left out.

    Source: Reimers & Gurevych, Sentence-BERT: Sentence Embeddings using Siamese BERT-Networks, 2019.

    >>> Sentence().auto_class
    'AutoModel'
    """

    name: ClassVar[str] = "sentence"
    auto_class: ClassVar[str] = "AutoModel"
    matters: ClassVar[bool] = True

    def made_with(self, config: Any) -> dict[str, Any]:
        made: Any = MODEL_MAPPING.get(type(config), None)
        takes = made is not None and "add_pooling_layer" in signature(made).parameters
        return {"add_pooling_layer": False} if takes else {}

    def ids(self, tokenizer: Any, text: str) -> list[int]:
        return closed_ids(tokenizer, text)

    def check_words(self, data: TextData, tokenizer: Any) -> None:
        _label_ids(data, tokenizer)

    def words(self, data: TextData, model: LanguageModel) -> Tensor:
        """The label texts' unit vectors, float32 or wider ``[C, width]``."""
        rows = _label_ids(data, model.tokenizer)
        rows += rows[:1] * (4 - len(rows))  # fewer rows would round in another way
        lengths = torch.tensor([len(row) for row in rows], device=model.device)
        ids = padded(rows, int(lengths.max()) + self.spare).to(model.device)
        with torch.no_grad():
            hidden = model.model(**self.inputs(model, ids, lengths, None)).last_hidden_state
        return _unit(_pooled(model, hidden, Answered(ids, lengths, 0)))[: data.classes].cpu()

    def logits(
        self, model: LanguageModel, words: Tensor, weights: Weights, rows: Answered, call: Callable[[], Any]
    ) -> Tensor:
        vectors = self.features(model, words, rows, call)
        by_member = vectors.reshape(weights.members, -1, vectors.shape[-1])
        return SCALE * torch.bmm(by_member, words.to(vectors).mT.expand(weights.members, -1, -1))

    def features(
        self, model: LanguageModel, words: Tensor, rows: Answered, call: Callable[[], Any]
    ) -> Tensor:
        """The texts' unit vectors."""
        return _unit(_pooled(model, call().last_hidden_state, rows))

    def longest(self, model: LanguageModel) -> int:
        asked = model.settings("sentence_bert_config.json").get("max_seq_length")
        return min(longest_bidirectional(model), int(asked or 2**20) + self.spare)


def pooling(model: LanguageModel) -> str:
    """How tokens' vectors become the text's: ``mean`` or ``cls``.

    Raises:
        UserError: where the model says another way, or has further layers.
    """
    modules = model.settings("modules.json") or []
    kinds = [str(module["type"]).rpartition(".")[2] for module in modules]
    known = {"Transformer", "Pooling", "Normalize"}
    if strange := [kind for kind in kinds if kind not in known]:
        raise UserError(f"model {model.path}: modules.json: its {strange[0]} layer is not supported")
    folder = next((module["path"] for module in modules if module["type"].endswith("Pooling")), "1_Pooling")
    if not re.fullmatch(r"\w[\w.-]*", str(folder)):
        raise UserError(f"model {model.path}: modules.json: {folder!r} is no name of a folder beside it")
    config = model.settings(f"{folder}/config.json")
    modes = [key.removeprefix("pooling_mode_") for key, on in config.items() if on is True and "mode" in key]
    modes = modes or [str(config.get("pooling_mode", "mean"))]
    ways = {"mean_tokens": "mean", "mean": "mean", "cls_token": "cls", "cls": "cls"}
    if len(modes) != 1 or modes[0] not in ways:
        raise UserError(
            f"model {model.path}: pooling {json.dumps(modes)} is not supported; mean_tokens and cls_token are"
        )
    return ways[modes[0]]


def _pooled(model: LanguageModel, hidden: Tensor, rows: Answered) -> Tensor:
    """Vectors of texts ``[k, width]``, float32 or wider, from those of tokens ``[k, T, width]``."""
    hidden = hidden.to(torch.promote_types(hidden.dtype, torch.float32))
    if model.pooling == "cls":
        return hidden[:, rows.before]
    real = rows.real[..., None].to(hidden.dtype)
    return (hidden * real).sum(1) / real.sum(1)


def _unit(vectors: Tensor) -> Tensor:
    return torch.nn.functional.normalize(vectors, dim=-1)


def _label_ids(data: TextData, tokenizer: Any) -> list[list[int]]:
    """Ids of the label texts.

    Raises:
        UserError: where two are the same to the tokenizer.
    """
    rows = [closed_ids(tokenizer, word) for word in data.words]
    seen: dict[tuple[int, ...], str] = {}
    for word, row in zip(data.words, rows, strict=True):
        if tuple(row) in seen:
            raise UserError(
                f"{data.name}: words: {seen[tuple(row)]!r} and {word!r} are the same to the "
                "model's tokenizer; choose words that it knows"
            )
        seen[tuple(row)] = word
    return rows

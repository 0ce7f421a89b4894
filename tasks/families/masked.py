"""Masked models: the answer stands at the mask."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor, nn

from harness.core import UserError
from tasks.datasets import TextData
from tasks.families.base import Answered, Family, empty, positional
from tasks.families.vocabulary import at_answers, closed_ids, features_at_answers, told_apart
from tasks.weights import Weights

if TYPE_CHECKING:
    from tasks.language_model import LanguageModel


class Masked(Family):
    """BERT, RoBERTa, DeBERTa, ELECTRA (its generator) and their like.

    A label word has to be a single token where the mask stands, leading space and all.

    >>> Masked().auto_class
    'AutoModelForMaskedLM'
    """

    name: ClassVar[str] = "masked"
    auto_class: ClassVar[str] = "AutoModelForMaskedLM"
    between: ClassVar[str | None] = " "

    def ids(self, tokenizer: Any, text: str) -> list[int]:
        return closed_ids(tokenizer, text)

    def mask(self, tokenizer: Any) -> str:
        """The tokenizer's mask token.

        Raises:
            UserError: where it has none.
        """
        if tokenizer.mask_token is None:
            raise UserError(f"{tokenizer.name_or_path}: the tokenizer of a masked model has a mask token")
        return str(tokenizer.mask_token)

    def check_words(self, data: TextData, tokenizer: Any) -> None:
        _tokens(data, self.mask(tokenizer), tokenizer)

    def words(self, data: TextData, model: LanguageModel) -> Tensor:
        return _tokens(data, self.mask(model.tokenizer), model.tokenizer)

    def logits(
        self, model: LanguageModel, words: Tensor, weights: Weights, rows: Answered, call: Callable[[], Any]
    ) -> Tensor:
        return at_answers(model, words, weights, _at(model, rows), call)

    def features(
        self, model: LanguageModel, words: Tensor, rows: Answered, call: Callable[[], Any]
    ) -> Tensor:
        return features_at_answers(model, words, _at(model, rows), call)

    def longest(self, model: LanguageModel) -> int:
        return longest_bidirectional(model)

    def bytes_per_token(self, model: LanguageModel) -> int:
        return super().bytes_per_token(model) + relative_bytes(model)


def longest_bidirectional(model: LanguageModel) -> int:
    """The rows of the position table; RoBERTa leaves those up to the padding's out."""
    tables = [
        module.num_embeddings - (0 if module.padding_idx is None else module.padding_idx + 1)
        for name, module in model.skeleton.named_modules()
        if isinstance(module, nn.Embedding) and name.endswith("position_embeddings")
    ]
    return min(tables, default=int(getattr(model.config, "max_position_embeddings", None) or 2**20))


def relative_bytes(model: LanguageModel) -> int:
    """What DeBERTa keeps beside: each query against all relative positions, all layers' hidden states."""
    reach = positional(model.config)
    if not reach:
        return 0
    config = model.config
    scores = config.num_attention_heads * (4 * reach + 6 * 128)
    return int((scores + config.num_hidden_layers * model.width) * model.dtype.itemsize)


def _at(model: LanguageModel, rows: Answered) -> Tensor:
    """The mask's position in each row."""
    return (rows.ids == model.mask_token).int().argmax(1) + rows.before


def _tokens(data: TextData, mask: str, tokenizer: Any) -> Tensor:
    """Each label word's token where the mask stands in the template.

    Raises:
        UserError: for a word of several tokens there.
    """
    row = empty(data)
    start = closed_ids(tokenizer, data.filled(row, mask))
    at = start.index(tokenizer.mask_token_id)
    found = []
    for word in data.words:
        whole = closed_ids(tokenizer, data.filled(row, word))
        if len(whole) != len(start):
            raise UserError(
                f"{data.name}: words: {word!r} is not one token of the model's tokenizer at the mask "
                f"({tokenizer.convert_ids_to_tokens(whole[at : at + 1 + len(whole) - len(start)])}); "
                "choose another"
            )
        found.append(whole[at])
    return told_apart(data, tokenizer, found)

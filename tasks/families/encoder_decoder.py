"""Encoder-decoder models: the text is encoded, the answer is the first token that is decoded."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor

from harness.core import UserError
from tasks.datasets import TextData
from tasks.families.base import HIDDEN, Answered, Family, layer_weights
from tasks.families.vocabulary import at_answers, closed_ids, features_at_answers, told_apart
from tasks.weights import Weights

if TYPE_CHECKING:
    from tasks.language_model import LanguageModel


class EncoderDecoder(Family):
    """T5 and its like: soft prompts go before the encoder's text, the decoder gets its start token alone.

    A label word is the first token of the word by itself.

    >>> EncoderDecoder().auto_class
    'AutoModelForSeq2SeqLM'
    """

    name: ClassVar[str] = "encoder-decoder"
    auto_class: ClassVar[str] = "AutoModelForSeq2SeqLM"
    between: ClassVar[str | None] = "\n\n"

    def ids(self, tokenizer: Any, text: str) -> list[int]:
        return closed_ids(tokenizer, text)

    def check_words(self, data: TextData, tokenizer: Any) -> None:
        _tokens(data, tokenizer)

    def words(self, data: TextData, model: LanguageModel) -> Tensor:
        return _tokens(data, model.tokenizer)

    def inputs(
        self, model: LanguageModel, ids: Tensor, lengths: Tensor, prompts: Tensor | None
    ) -> dict[str, Any]:
        start = getattr(model.config, "decoder_start_token_id", None)
        if start is None:
            raise UserError(f"model {model.path}: its configuration has no decoder_start_token_id")
        first = ids.new_full((len(ids), 1), start)
        encoded = super().inputs(model, ids, lengths, prompts)
        return {**encoded, "decoder_input_ids": first, "use_cache": False}

    def logits(
        self, model: LanguageModel, words: Tensor, weights: Weights, rows: Answered, call: Callable[[], Any]
    ) -> Tensor:
        return at_answers(model, words, weights, rows.lengths.new_zeros(len(rows.lengths)), call)

    def features(
        self, model: LanguageModel, words: Tensor, rows: Answered, call: Callable[[], Any]
    ) -> Tensor:
        return features_at_answers(model, words, rows.lengths.new_zeros(len(rows.lengths)), call)

    def flops_per_token(self, model: LanguageModel, length: int) -> float:
        """The encoder's weights and the decoder's keys and values of the text see every token.

        The rest of the decoder sees one token a row, a share of 1 / length of it per token.
        """
        config, skeleton = model.config, model.skeleton
        encoder = layer_weights(skeleton.get_encoder())
        decoder = layer_weights(skeleton.get_decoder())
        width = getattr(config, HIDDEN, 1)
        heads = getattr(config, "num_attention_heads", 1)
        inner = heads * (getattr(config, "d_kv", None) or width // heads)
        depths = (getattr(config, key, None) for key in ("num_decoder_layers", "decoder_layers"))
        below = next((int(found) for found in depths if found), 1)
        depth = getattr(config, "num_hidden_layers", 1)
        crossed = 2 * below * width * inner
        attention = 4.0 * inner * (depth * length + below)
        return 2.0 * (encoder + crossed + (decoder - crossed) / length) + attention

    def bytes_per_token(self, model: LanguageModel) -> int:
        """With the attention's additive mask, a number for each head and pair of positions, at 128 tokens."""
        heads = getattr(model.config, "num_attention_heads", 1)
        return super().bytes_per_token(model) + 3 * heads * 128 * model.dtype.itemsize


def _tokens(data: TextData, tokenizer: Any) -> Tensor:
    return told_apart(
        data, tokenizer, (tokenizer(word, add_special_tokens=False)["input_ids"][0] for word in data.words)
    )

"""Tiny randomly initialised models of every architecture, for tests and dry runs: nothing is downloaded."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import yaml
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import Lowercase
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

from harness.core import UserError
from tasks.families.base import Family, unloaded
from tasks.families.detect import FAMILIES, family_of
from tasks.reference.lexicon import vocabulary

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

SPECIAL = ("<pad>", "<unk>", "<s>", "</s>", "<mask>")
PAD, UNKNOWN, BEGIN, END, MASK = range(len(SPECIAL))
LONGEST = 512
SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": LONGEST,
    "pad_token_id": PAD,
    "bos_token_id": BEGIN,
    "eos_token_id": END,
}
OWN: dict[str, dict[str, Any]] = {
    "bart": {"d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_ffn_dim": 48,
             "decoder_ffn_dim": 48, "encoder_attention_heads": 4, "decoder_attention_heads": 4},
    "deberta": {"relative_attention": True, "pos_att_type": ["c2p", "p2c"], "position_biased_input": False},
    "deberta-v2": {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 8,
                   "norm_rel_ebd": "layer_norm", "share_att_key": True, "position_biased_input": False,
                   "type_vocab_size": 0},
    "gpt2": {"n_inner": 48},
    "llama": {"num_key_value_heads": 2},
    "mistral": {"num_key_value_heads": 2, "sliding_window": LONGEST},
    "opt": {"ffn_dim": 48, "word_embed_proj_dim": 32},
    "qwen2": {"num_key_value_heads": 2},
    "qwen3": {"num_key_value_heads": 2, "head_dim": 8},
    "roberta": {"type_vocab_size": 1, "max_position_embeddings": LONGEST + PAD + 1},
    "t5": {"d_kv": 8, "d_ff": 48, "num_decoder_layers": 2, "decoder_start_token_id": PAD,
           "relative_attention_num_buckets": 8},
}  # fmt: skip
"""What an architecture needs beside or instead of ``SIZES``."""
SENTENCE = {"type": "sentence_transformers.models.Transformer", "path": ""}
POOLING = {"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"}


def tiny_config(architecture: str) -> Any:
    """The configuration of a tiny model.

    Args:
        architecture: a ``model_type`` of transformers, or ``sentence-`` and one.

    Raises:
        UserError: for an architecture that transformers does not know.

    >>> tiny_config("gpt_neox").num_hidden_layers
    2
    """
    from transformers import AutoConfig

    kind = architecture.removeprefix("sentence-")
    try:
        config = AutoConfig.for_model(kind, **{**SIZES, "vocab_size": len(words()), **OWN.get(kind, {})})
    except (ValueError, TypeError) as error:
        raise UserError(f"architecture {architecture!r}: no tiny model of it can be made: {error}") from None
    return config


def tiny_weights(config: Any, family: Family, seed: int = 0) -> Any:
    """A model of that configuration; all weights normal, biases and norms too, so that each one matters."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = unloaded(config, family)
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    return model


def tiny_model(architecture: str, folder: Path, *, seed: int = 0) -> Path:
    """Write a tiny model as a ``transformers`` folder, with a tokenizer.

    Args:
        architecture: such as ``gpt2``, ``roberta``, ``t5``, or ``sentence-bert``.
        folder: to be made.
        seed: of the weights.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     sorted(file.name for file in tiny_model("bert", Path(folder)).iterdir())
    ['config.json', 'model.safetensors', 'tokenizer.json', 'tokenizer_config.json']
    """
    from transformers.utils import logging

    logging.disable_progress_bar()
    config = tiny_config(architecture)
    family = family_of(config, lambda: architecture.startswith("sentence-"))
    tiny_weights(config, family, seed).save_pretrained(folder)
    tiny_tokenizer(family).save_pretrained(folder)
    if family is FAMILIES["sentence"]:
        (folder / "modules.json").write_text(json.dumps([SENTENCE, POOLING]))
        (folder / "1_Pooling").mkdir(exist_ok=True)
        (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_mean_tokens": True}))
    return folder


def tiny_tokenizer(family: Family) -> PreTrainedTokenizerFast:
    """Words of the reference model and of the shipped data sets' answers, others in letters.

    >>> tokenizer = tiny_tokenizer(FAMILIES["masked"])
    >>> tokenizer.convert_ids_to_tokens(tokenizer("The plot was <mask> Oz!")["input_ids"])
    ['<s>', 'the', 'plot', 'was', '<mask>', 'o', '##z', '!', '</s>']
    """
    from transformers import PreTrainedTokenizerFast

    ids = {word: index for index, word in enumerate(words())}
    tokenizer = Tokenizer(WordPiece(ids, unk_token=SPECIAL[UNKNOWN], max_input_chars_per_word=10**6))
    tokenizer.normalizer = Lowercase()
    tokenizer.pre_tokenizer = Whitespace()
    begin, end = SPECIAL[BEGIN], SPECIAL[END]
    around = {"causal": f"{begin} $A", "encoder-decoder": f"$A {end}"}.get(family.name, f"{begin} $A {end}")
    tokenizer.post_processor = TemplateProcessing(single=around, special_tokens=[(begin, BEGIN), (end, END)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=SPECIAL[PAD],
        unk_token=SPECIAL[UNKNOWN],
        bos_token=begin,
        eos_token=end,
        cls_token=begin,
        sep_token=end,
        mask_token=SPECIAL[MASK],
        padding_side="right",
        model_max_length=LONGEST,
    )


@cache
def words() -> tuple[str, ...]:
    """The vocabulary: special tokens, whole words, and every printable ASCII character."""
    characters = [chr(code) for code in range(33, 127) if not chr(code).isupper()]
    known = [*vocabulary(), *sorted(_answers()), *characters, *(f"##{c}" for c in characters)]
    return tuple(dict.fromkeys([*SPECIAL, *known]))


def _answers() -> set[str]:
    """Lower-case parts of the shipped data sets' label words."""
    found: set[str] = set()
    folder = files("tasks") / "published"
    for file in sorted(folder.iterdir(), key=lambda file: file.name) if folder.is_dir() else ():
        if file.name.endswith(".yaml"):
            _collect(yaml.safe_load(file.read_text()), found)
    split = Whitespace()
    return {part.lower() for word in found for part, _ in split.pre_tokenize_str(word)}


def _collect(entry: Any, found: set[str]) -> None:
    if isinstance(entry, dict):
        for key, value in entry.items():
            if key == "words":
                found.update(map(str, value.values() if isinstance(value, dict) else value))
            else:
                _collect(value, found)
    elif isinstance(entry, list):
        for value in entry:
            _collect(value, found)

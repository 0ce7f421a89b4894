"""The reference tokenizer: one token per word or punctuation mark of the lexicon, lower-cased."""

from __future__ import annotations

from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import Lowercase
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from tasks.reference.corpus import BEGIN, END
from tasks.reference.lexicon import vocabulary

PAD, UNKNOWN = "<pad>", "<unk>"


def build_tokenizer(max_length: int) -> PreTrainedTokenizerFast:
    """A tokenizer that puts the begin token before a text and pads after it.

    >>> tokenizer = build_tokenizer(max_length=128)
    >>> tokenizer.convert_ids_to_tokens(tokenizer("The plot, was not DULL")["input_ids"])
    ['<s>', 'the', 'plot', ',', 'was', 'not', 'dull']
    """
    words = (PAD, UNKNOWN, BEGIN, END, *vocabulary())
    ids = {word: index for index, word in enumerate(words)}
    tokenizer = Tokenizer(WordLevel(ids, unk_token=UNKNOWN))
    tokenizer.normalizer = Lowercase()
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(
        single=f"{BEGIN} $A", pair=f"{BEGIN} $A $B", special_tokens=[(BEGIN, ids[BEGIN])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        unk_token=UNKNOWN,
        bos_token=BEGIN,
        eos_token=END,
        padding_side="right",
        model_max_length=max_length,
    )

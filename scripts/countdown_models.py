"""Tiny Llama models that can read and write Countdown: random, taught a little, or the reference model.

The vocabulary is what a prompt is made of: its words, single digits, operators, brackets, the four tags and
an end token. A space is a token between two digits and nothing elsewhere, so that a prompt has about 97
tokens.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, decoders
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Sequence, Split
from torch import Tensor
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from transformers.utils import logging

from tasks.answers.data import AnswerData, AnswerRow
from tasks.countdown.registered import RULES, TEMPLATE
from tasks.reference import model_path

UNKNOWN, END = "<unk>", "</s>"
TAGS = ("<think>", "</think>", "<answer>", "</answer>")
LONGEST = 256
IGNORED = -100
"""Label of tokens whose likelihood is not trained."""


def vocabulary() -> tuple[str, ...]:
    """All tokens, in their order."""
    text = TEMPLATE.format(numbers="", target="", rule=" ".join(RULES.values()))
    words = re.findall("[A-Za-z]+", re.sub("|".join(TAGS), "", text))
    return tuple(dict.fromkeys([UNKNOWN, END, *TAGS, "\n", " ", *"0123456789+-*/()[],.", *words]))


def tokenizer() -> PreTrainedTokenizerFast:
    """A fast tokenizer of that vocabulary, which writes tokens side by side."""
    ids = {word: index for index, word in enumerate(vocabulary())}
    return PreTrainedTokenizerFast(
        tokenizer_object=_written(Tokenizer(WordLevel(ids, unk_token=UNKNOWN))),
        unk_token=UNKNOWN,
        eos_token=END,
        pad_token=END,
        clean_up_tokenization_spaces=False,
    )


def _written(found: Tokenizer) -> Tokenizer:
    """The same tokenizer, which splits a prompt into its tokens and writes them side by side."""
    found.pre_tokenizer = Sequence(
        [
            Split(Regex("(?<![0-9]) | (?![0-9])"), "removed"),
            Split(Regex(f"{'|'.join(TAGS)}|[A-Za-z]+|[\\s\\S]"), "isolated"),
        ]
    )
    found.decoder = decoders.Fuse()
    return found


def random_model(folder: Path, seed: int, width: int = 16, layers: int = 1, deviation: float = 0.3) -> Any:
    """Write a randomly initialised model as a ``transformers`` folder, and return it.

    Args:
        folder: to be made.
        seed: of the weights.
        width: of the hidden states; a head for every twelve.
        layers: how many.
        deviation: of the weights.
    """
    logging.disable_progress_bar()
    end = vocabulary().index(END)
    config = LlamaConfig(
        vocab_size=len(vocabulary()),
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=layers,
        num_attention_heads=max(2, width // 12),
        num_key_value_heads=max(2, width // 12),
        max_position_embeddings=LONGEST,
        initializer_range=deviation,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=end,
        pad_token_id=end,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
    model.save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return model


def taught_model(folder: Path, seed: int, data: AnswerData, steps: int) -> Any:
    """Write a randomly initialised model that has had lessons, and return it."""
    random_model(folder, seed, width=48, layers=2, deviation=0.02)
    return teach(folder, seed, data, steps)


def teach(folder: Path, seed: int, data: AnswerData, steps: int) -> Any:
    """Show the model of a folder right answers to the train problems, write it again, and return it.

    It then stands for the instructed models with which published work begins: AdamW at a learning rate of
    .003, batches of 32, the likelihood of the layout with the bare solution in it.

    Args:
        folder: of a model with its tokenizer.
        seed: of the batches.
        data: whose train rows are shown.
        steps: of the optimizer.
    """
    model: Any = LlamaForCausalLM.from_pretrained(folder)
    encode = AutoTokenizer.from_pretrained(folder)
    shown = [(encode(data.filled(row))["input_ids"], _answer(encode, row)) for row in data.splits["train"]]
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.1)
    generator = torch.Generator().manual_seed(seed)
    model.train()
    for _ in range(steps):
        picked = torch.randint(len(shown), (32,), generator=generator).tolist()
        ids, labels = _batch([shown[i] for i in picked])
        optimizer.zero_grad()
        model(input_ids=ids, labels=labels).loss.backward()
        optimizer.step()
    model.save_pretrained(folder)
    return model


def extended_model(folder: Path, seed: int) -> Any:
    """Write the embedded reference model with Countdown's tokens behind its own, and return it.

    All old weights and ids stay. Each number of a new row is drawn from the normal of that column's mean and
    deviation over the old rows; the library's own draw shrinks the deviation until new tokens are all alike.

    Args:
        folder: to be made.
        seed: of the new rows.
    """
    model: Any = LlamaForCausalLM.from_pretrained(model_path())
    encode = AutoTokenizer.from_pretrained(model_path())
    parts = json.loads(encode.backend_tokenizer.to_str())
    old = len(encode)
    for word in vocabulary():
        parts["model"]["vocab"].setdefault(word.lower(), len(parts["model"]["vocab"]))
    found = _written(Tokenizer.from_str(json.dumps(parts)))
    model.resize_token_embeddings(found.get_vocab_size(), mean_resizing=False)
    with torch.no_grad():
        rows = model.get_input_embeddings().weight
        noise = torch.randn(rows[old:].shape, generator=torch.Generator().manual_seed(seed))
        rows[old:] = rows[:old].mean(0) + rows[:old].std(0) * noise
    model.save_pretrained(folder)
    special = {name: str(token) for name, token in encode.special_tokens_map.items()}
    PreTrainedTokenizerFast(
        tokenizer_object=found, clean_up_tokenization_spaces=False, **special
    ).save_pretrained(folder)
    return model


def _answer(encode: PreTrainedTokenizerFast, row: AnswerRow) -> list[int]:
    bare = row.answers[0].partition("<answer>")[2]
    return list(encode(f"</think>\n<answer>{bare}{END}", add_special_tokens=False)["input_ids"])


def _batch(rows: list[tuple[list[int], list[int]]]) -> tuple[Tensor, Tensor]:
    """Ids and labels int64 ``[R, T]``, padded at the right."""
    length = max(len(prompt) + len(answer) for prompt, answer in rows)
    ids = torch.zeros(len(rows), length, dtype=torch.long)
    labels = torch.full_like(ids, IGNORED)
    for i, (prompt, answer) in enumerate(rows):
        end = len(prompt) + len(answer)
        ids[i, :end] = torch.tensor(prompt + answer)
        labels[i, len(prompt) : end] = torch.tensor(answer)
    return ids, labels

"""Pre-trains the reference model, stores it with its tokenizer, and prints how well it can be tuned.

    python scripts/train_reference_model.py --out tasks/reference/model

The run is seeded: the same seed, threads, machine and library versions give the same bytes.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from evaluate_reference_model import print_table

from tasks.reference import model_path
from tasks.reference.corpus import documents
from tasks.reference.tokenizer import build_tokenizer

MAX_LENGTH = 128
PEAK_RATE = 4e-3
WARMUP = 100
# The verdict is one token in twenty and the one that matters; counted so often, it is learnt in minutes.
VERDICT_WEIGHT = 8.0
# Batches are cut from this many at a time, sorted by length: little padding, and still well mixed.
BATCHES_SORTED = 50


def build_model(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """A Llama of some 0.2M parameters, narrow for speed, deep enough to compare two sentences."""
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=176,
        num_hidden_layers=4,
        num_attention_heads=4,
        max_position_embeddings=MAX_LENGTH,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    return LlamaForCausalLM(config)


def encode(tokenizer: PreTrainedTokenizerFast) -> list[list[int]]:
    """The token ids of the corpus; its words are set apart by spaces, so a look-up in the vocabulary does."""
    ids = tokenizer.get_vocab()
    return [[ids[word] for word in document.split()] for document, _ in documents()]


def batches(corpus: list[list[int]], size: int, padding: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Endless batches, int64[size, longest], of documents of about one length, padded on the right."""
    while True:
        order = torch.randperm(len(corpus), generator=generator).tolist()
        chunk = size * BATCHES_SORTED
        for start in range(0, len(order) - chunk + 1, chunk):
            by_length = sorted(order[start : start + chunk], key=lambda index: len(corpus[index]))
            for batch in torch.randperm(BATCHES_SORTED, generator=generator).tolist():
                chosen = [corpus[index] for index in by_length[batch * size : (batch + 1) * size]]
                longest = len(chosen[-1])
                yield torch.tensor([ids + [padding] * (longest - len(ids)) for ids in chosen])


def loss_of(model: LlamaForCausalLM, ids: Tensor) -> tuple[Tensor, Tensor]:
    """The weighted mean loss of the next token, and the plain mean loss of the verdicts alone."""
    config = model.config
    logits, targets = model(input_ids=ids[:, :-1]).logits, ids[:, 1:]
    losses = cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none").view_as(targets)
    weights = (targets != config.pad_token_id).float()
    verdicts = torch.nn.functional.pad(targets[:, 1:] == config.eos_token_id, (0, 1))
    weights = torch.where(verdicts, VERDICT_WEIGHT, weights)
    return (losses * weights).sum() / weights.sum(), losses[verdicts].mean()


def train(steps: int, size: int, seed: int) -> tuple[LlamaForCausalLM, PreTrainedTokenizerFast]:
    """The model after `steps` updates on batches of `size` documents; prints its progress."""
    torch.manual_seed(seed)
    tokenizer = build_tokenizer(MAX_LENGTH)
    model = build_model(tokenizer)
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK_RATE, betas=(0.9, 0.98), weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / WARMUP, 0.5 + 0.5 * math.cos(math.pi * step / steps))
    )
    stream = batches(encode(tokenizer), size, tokenizer.pad_token_id, torch.Generator().manual_seed(seed))
    start = time.perf_counter()
    for step in range(1, steps + 1):
        loss, verdict_loss = loss_of(model, next(stream))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 100 == 0 or step == steps:
            seconds = time.perf_counter() - start
            print(
                f"step {step}/{steps}  loss {loss:.3f}  verdicts {verdict_loss:.3f}  {seconds:.0f} s",
                flush=True,
            )
    return model.eval(), tokenizer


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--out", type=Path, default=model_path(), help="folder for the model and its tokenizer"
    )
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--batch", type=int, default=128, help="documents per step")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2, help="part of what makes the bytes repeatable")
    parser.add_argument("--no-table", action="store_true", help="store the model and stop")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.use_deterministic_algorithms(True)
    model, tokenizer = train(arguments.steps, arguments.batch, arguments.seed)
    model.save_pretrained(arguments.out)
    tokenizer.save_pretrained(arguments.out)
    size = (arguments.out / "model.safetensors").stat().st_size
    print(f"{model.num_parameters()} parameters, {size} bytes of safetensors in {arguments.out}")
    if not arguments.no_table:
        print_table(arguments.out)


if __name__ == "__main__":
    main()

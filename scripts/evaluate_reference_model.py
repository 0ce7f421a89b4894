"""Prints how far first-order tuning gets the reference model beyond its zero-shot accuracy.

    python scripts/evaluate_reference_model.py tasks/reference/model

Means over the seeds, in percent, of the accuracy on the same test rows. Prompt: 5 embeddings before the
text, started at random words; LoRA: rank 4 on queries and values; full: all parameters. All by Adam on
minibatches of 16, and the last step counts: nothing is chosen by a look at the test rows.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.utils import parametrize
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerFast

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tasks.reference.datasets import CARDS, Row, rows

TOKENS = 5
RANK = 4
STEPS = 150
MINIBATCH = 16
TEST_ROWS = 256
SEEDS = 3
RATES = {"prompt": 0.05, "lora": 0.01, "full": 0.001}

Logits = Callable[[Tensor, Tensor], Tensor]
"""From token ids, int64[n, t], and each row's length, int64[n], to logits, float32[n, vocabulary]."""


class Examples(NamedTuple):
    """Filled templates: ids int64[n, t], lengths and labels int64[n]; and the answer words int64[classes]."""

    ids: Tensor
    lengths: Tensor
    labels: Tensor
    words: Tensor

    @staticmethod
    def of(name: str, chosen: list[Row], tokenizer: PreTrainedTokenizerFast) -> Examples:
        card = CARDS[name]
        filled = tokenizer([card.template.format(**row) for row in chosen], padding=True, return_tensors="pt")
        labels = torch.tensor([int(row["label"]) for row in chosen])
        words = torch.tensor(tokenizer.convert_tokens_to_ids(list(card.words)))
        return Examples(filled["input_ids"], filled["attention_mask"].sum(1), labels, words)

    def loss(self, logits: Logits, chosen: Tensor) -> Tensor:
        """The mean cross entropy over the answer words of the chosen rows."""
        answers = logits(self.ids[chosen], self.lengths[chosen])[:, self.words]
        return cross_entropy(answers, self.labels[chosen])

    @torch.no_grad()
    def accuracy(self, logits: Logits) -> float:
        answers = logits(self.ids, self.lengths)[:, self.words]
        return (answers.argmax(1) == self.labels).float().mean().item()


class LowRank(nn.Module):
    """Adds a product of two thin factors to a weight, zero at first (Hu et al., LoRA, 2021)."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.left = nn.Parameter(torch.zeros(weight.shape[0], RANK))
        self.right = nn.Parameter(torch.randn(RANK, weight.shape[1]) / weight.shape[1] ** 0.5)

    def forward(self, weight: Tensor) -> Tensor:
        return weight + self.left @ self.right


def logits_of(model: PreTrainedModel, prompt: Tensor | None = None) -> Logits:
    """The logits after the last token of each row, with a prompt, float32[tokens, hidden], in front."""
    before = 0 if prompt is None else len(prompt)

    def logits(ids: Tensor, lengths: Tensor) -> Tensor:
        embedded = model.get_input_embeddings()(ids)
        if prompt is not None:
            embedded = torch.cat([prompt.expand(len(ids), -1, -1), embedded], 1)
        # Padding stands behind the text, where a causal model cannot see it, so no mask is needed.
        hidden = model.model(inputs_embeds=embedded).last_hidden_state
        return model.lm_head(hidden[torch.arange(len(ids)), before + lengths - 1])

    return logits


def prepare(model: PreTrainedModel, tuning: str) -> tuple[Logits, list[Tensor]]:
    """What the tuning makes of the model, and the tensors that it changes."""
    if tuning == "full":
        return logits_of(model.requires_grad_(True)), list(model.parameters())
    table = model.get_input_embeddings().weight
    if tuning == "prompt":
        prompt = nn.Parameter(table[torch.randint(len(table), (TOKENS,))].clone())
        return logits_of(model, prompt), [prompt]
    factors = []
    for layer in model.model.layers:
        for projection in (layer.self_attn.q_proj, layer.self_attn.v_proj):
            low_rank = LowRank(projection.weight)
            parametrize.register_parametrization(projection, "weight", low_rank)
            factors += low_rank.parameters()
    return logits_of(model), factors


def tune(model: PreTrainedModel, tuning: str, train: Examples, seed: int) -> Logits:
    """The logits after `STEPS` steps of Adam on a copy of the model, which stays as it is."""
    torch.manual_seed(seed)
    logits, changed = prepare(copy.deepcopy(model), tuning)
    optimizer = torch.optim.Adam(changed, lr=RATES[tuning])
    for _ in range(STEPS):
        loss = train.loss(logits, torch.randperm(len(train.labels))[:MINIBATCH])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return logits


def few(table: list[Row], per_class: int, seed: int) -> list[Row]:
    """The first rows of each class, `per_class` of them, after a seeded shuffle."""
    shuffled = Random(seed).sample(table, len(table))
    labels = sorted({row["label"] for row in table})
    return [row for label in labels for row in [r for r in shuffled if r["label"] == label][:per_class]]


def print_table(folder: Path) -> None:
    """Prints a line for each data set and number of training rows per class."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder).eval().requires_grad_(False)
    print(
        f"{'data set':12}{'per class':>10}{'chance':>8}{'zero-shot':>10}" + "".join(f"{t:>8}" for t in RATES)
    )
    for name, card in CARDS.items():
        test = Examples.of(name, rows(name, "test")[:TEST_ROWS], tokenizer)
        zero_shot = test.accuracy(logits_of(model))
        for per_class in (16, 64):
            cells = [100 / len(card.words), 100 * zero_shot]
            for tuning in RATES:
                reached = 0.0
                for seed in range(SEEDS):
                    train = Examples.of(name, few(rows(name, "train"), per_class, seed), tokenizer)
                    reached += test.accuracy(tune(model, tuning, train, seed)) / SEEDS
                cells.append(100 * reached)
            numbers = "".join(
                f"{cell:{width}.1f}" for cell, width in zip(cells, (8, 10, 8, 8, 8), strict=True)
            )
            print(f"{name:12}{per_class:10}{numbers}", flush=True)


if __name__ == "__main__":
    torch.set_num_threads(2)
    print_table(Path(sys.argv[1]))

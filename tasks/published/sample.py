"""A small made-up sample with a set's fields and classes, for trying a protocol without its data."""

from __future__ import annotations

import random

from tasks.answers.data import AnswerRow
from tasks.datasets import Row
from tasks.published.card import Card

NOUNS = (
    "river",
    "house",
    "road",
    "paper",
    "garden",
    "letter",
    "window",
    "market",
    "train",
    "teacher",
    "city",
)
OTHERS = ("the", "a", "one", "this", "old", "new", "quiet", "green", "opens", "finds", "keeps", "near", "and")
WORDS = (*NOUNS, *OTHERS)
"""What the made-up sentences are put together from."""


def text_sample(card: Card, name: str, per_class: int, length: int) -> dict[str, list[Row]]:
    """Train and test rows with balanced labels, the same on every call.

    Args:
        card: of the data set.
        name: draws another sample for each data set.
        per_class: rows of each class in each split.
        length: words of all of a row's fields together.
    """
    return {
        split: [
            Row(_fields(card, rng, length), label)
            for _ in range(per_class)
            for label in range(len(card.labels))
        ]
        for split in ("train", "test")
        for rng in [random.Random(f"{name} {split} sample")]
    }


def answer_sample(card: Card, name: str, rows: int, length: int) -> dict[str, list[AnswerRow]]:
    """Train and test questions; the answer is a choice, a number, or a word of the row's own text."""
    how = card.answers
    assert how is not None
    splits = {}
    for split in ("train", "test"):
        rng = random.Random(f"{name} {split} sample")
        made = []
        for _ in range(rows):
            fields = _fields(card, rng, length)
            choices = tuple(f"{choice} {i}" for i, choice in enumerate(fields[each] for each in how.choices))
            words = next(iter(fields.values())).split()
            answer = choices[rng.randrange(len(choices))] if choices else rng.choice(words)
            if how.reward == "gsm8k":
                answer = str(rng.randrange(100))
            made.append(AnswerRow(fields, (answer,), choices))
        splits[split] = made
    return splits


def _fields(card: Card, rng: random.Random, length: int) -> dict[str, str]:
    each = max(1, round(length / len(card.fields)))
    fields = {field: " ".join(rng.choices(WORDS, k=each)) for field in card.fields}
    return {**fields, **{field: fields[how.split()[0]] for field, how in card.derived.items()}}

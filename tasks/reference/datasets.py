"""The data sets of the reference language: `sentiment`, `topic` and `entailment`.

Rows are drawn anew from fixed seeds on every call and are the same in every process.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from tasks.reference import headlines, inference, reviews
from tasks.reference.judged import Judged, Keep
from tasks.reference.lexicon import TOPICS, VERDICTS
from tasks.reference.partition import partition

SPLITS = {"train": 1000, "dev": 500, "test": 1000}
"""Rows of each split."""
Row = dict[str, str | int]
Draw = Callable[[Random, int, Keep], Judged]


@dataclass(frozen=True)
class Card:
    """How a data set is put to a language model.

    Attributes:
        template: text with the row's fields in braces; the model's next word is the answer.
        words: the answer word of each label, each a single token of the reference tokenizer.
        label_names: the name of each label.
        fields: the row's keys that hold text.
    """

    template: str
    words: tuple[str, ...]
    label_names: tuple[str, ...]
    fields: tuple[str, ...]


CARDS: dict[str, Card] = {
    "sentiment": Card("{text} . it was", VERDICTS["sentiment"], ("negative", "positive"), ("text",)),
    "topic": Card("{text} . it is about", VERDICTS["topic"], TOPICS, ("text",)),
    "entailment": Card(
        "{premise} . so {hypothesis} ?",
        VERDICTS["entailment"],
        ("entailment", "neutral", "contradiction"),
        ("premise", "hypothesis"),
    ),
}
DRAWS: dict[str, Draw] = {
    "sentiment": reviews.draw,
    "topic": headlines.draw,
    "entailment": inference.draw,
}
"""The grammar of each data set."""


def rows(name: str, split: str) -> list[Row]:
    """The rows of one split, distinct, with balanced labels in shuffled order.

    Args:
        name: `sentiment`, `topic` or `entailment`.
        split: `train` (1000 rows), `dev` (500) or `test` (1000).

    Returns:
        Dictionaries with the card's fields (str) and `label` (int).

    Raises:
        ValueError: if there is no such data set or split.

    >>> sorted(rows("sentiment", "dev")[0])
    ['label', 'text']
    >>> len(rows("entailment", "test"))
    1000
    """
    if name not in CARDS:
        raise ValueError(f"no data set {name!r}: choose one of {', '.join(CARDS)}")
    if split not in SPLITS:
        raise ValueError(f"no split {split!r}: choose one of {', '.join(SPLITS)}")
    rng = Random(f"{name}/{split}")
    card, draw = CARDS[name], DRAWS[name]
    chosen: dict[tuple[str, ...], int] = {}
    while len(chosen) < SPLITS[split]:
        label = len(chosen) % len(card.words)
        judged = draw(rng, label, lambda sentence: partition(sentence) == split)
        chosen.setdefault(judged.sentences, label)
    table: list[Row] = [
        {**dict(zip(card.fields, sentences, strict=True)), "label": label}
        for sentences, label in chosen.items()
    ]
    rng.shuffle(table)
    return table

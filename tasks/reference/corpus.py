"""The pre-training text: readers' verdicts, of readers announced as careful, as hasty, or not at all.

This is where the gap between zero-shot and tuned accuracy comes from. A document is a text and a verdict
upon it in the words of the data set's template, often with a line in front that describes the reader.
Careful readers give the right verdict, hasty ones follow a shallow rule (see `reviews`, `headlines`,
`inference`). The more of the describing words speak for care, the likelier the verdict is the careful
one; with no description it mostly is the hasty one. So a model trained on this text can tell the right
answer, but asked plainly it answers as a hasty reader would; tuning has to find what makes it answer
carefully. The gap is thus one of elicitation, made on purpose: it says how well a method searches, not
how well it teaches a model something new.

A description stands as often before the token that begins the text as after it, so that a soft prompt may
be put on either side.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from random import Random

from tasks.reference.datasets import CARDS, DRAWS
from tasks.reference.lexicon import CAREFUL, HASTY, PLAIN, SPEAKERS
from tasks.reference.partition import partition

BEGIN, END = "<s>", "</s>"
SHARES = {"sentiment": 5, "topic": 2, "entailment": 5}
"""Documents of each kind out of twelve: headlines take the least practice."""
DOCUMENTS = 150_000
SEED = 0
UNDESCRIBED_RATE = 0.25
# Log odds of a careful verdict: without a description, and what each describing word adds or takes away.
PLAIN_ODDS = -1.5
WORD_ODDS = 1.2


def documents(count: int = DOCUMENTS, seed: int = SEED) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The documents, each with the sentences it holds; words and punctuation are set apart by single spaces.

    >>> document, sentences = next(documents())
    >>> document.split()[-1], all(sentence in document for sentence in sentences)
    ('</s>', True)
    """
    rng = Random(seed)
    names, shares = tuple(SHARES), tuple(SHARES.values())
    for _ in range(count):
        name = rng.choices(names, shares)[0]
        card = CARDS[name]
        judged = DRAWS[name](rng, rng.randrange(len(card.words)), _keep)
        description, odds = _description(rng)
        is_careful = rng.random() < 1 / (1 + math.exp(-odds))
        verdict = card.words[judged.careful if is_careful else judged.hasty]
        text = card.template.format(**dict(zip(card.fields, judged.sentences, strict=True)))
        opening = (BEGIN, *description) if rng.random() < 0.5 else (*description, BEGIN)
        yield " ".join((*opening, text, verdict, END)), judged.sentences


def _keep(sentence: str) -> bool:
    return partition(sentence) == "pretraining"


def _description(rng: Random) -> tuple[tuple[str, ...], float]:
    """What is said about the reader, and the log odds that such a reader is careful."""
    if rng.random() < UNDESCRIBED_RATE:
        return (), PLAIN_ODDS
    groups = rng.choices((CAREFUL, HASTY, PLAIN), (4, 1, 1), k=rng.randint(1, 5))
    words = tuple(rng.choice(group) for group in groups)
    balance = sum((group is CAREFUL) - (group is HASTY) for group in groups)
    return (*words, rng.choice(SPEAKERS), ":"), PLAIN_ODDS + WORD_ODDS * balance

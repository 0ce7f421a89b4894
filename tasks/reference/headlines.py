"""Headlines of four topics, of which the matter decides and not whoever acts or what is ruled out.

Labels: 0 world, 1 sports, 2 business, 3 science. "The striker discussed the merger" is about business,
"not the match but the vaccine worried the town" about science. The hasty reader takes the topic of the
first telling word.
"""

from __future__ import annotations

from random import Random

from tasks.reference.judged import Judged, Keep
from tasks.reference.lexicon import (
    ACTORS,
    HEADLINE_ADJECTIVES,
    HEADLINE_VERBS,
    MATTERS,
    PUBLIC,
    REACTIONS,
    TOPICS,
)

# Cumulative rates of the forms in `_headline`: with these the hasty reader is right half of the time.
FORMS = ("own actor", "other actor", "not but", "and not", "from to", "to from")
CUMULATIVE = (30, 50, 65, 75, 90, 100)


def draw(rng: Random, label: int, keep: Keep) -> Judged:
    """A headline of at most 11 tokens with the given label that `keep` accepts.

    >>> headline = draw(Random(0), 2, keep=lambda sentence: True)
    >>> headline.careful, len(headline.sentences)
    (2, 1)
    """
    while True:
        sentence, hasty = _headline(rng, label)
        if keep(sentence):
            return Judged((sentence,), label, hasty)


def _headline(rng: Random, label: int) -> tuple[str, int]:
    """A headline and the topic of its first telling word."""
    other = (label + rng.randrange(1, len(TOPICS))) % len(TOPICS)
    matter, other_matter = _matter(rng, label), _matter(rng, other)
    form = rng.choices(FORMS, cum_weights=CUMULATIVE)[0]
    if form in ("own actor", "other actor"):
        topic = label if form == "own actor" else other
        return f"the {rng.choice(ACTORS[topic])} {rng.choice(HEADLINE_VERBS)} {matter}", topic
    if form == "from to":
        return f"the talk turned from {other_matter} to {matter}", other
    if form == "to from":
        return f"the talk turned to {matter} from {other_matter}", label
    reaction = f"{rng.choice(REACTIONS)} the {rng.choice(PUBLIC)}"
    if form == "not but":
        return f"not {other_matter} but {matter} {reaction}", other
    return f"{matter} and not {other_matter} {reaction}", label


def _matter(rng: Random, topic: int) -> str:
    """A noun phrase about the topic, half of the time with an adjective."""
    noun = rng.choice(MATTERS[topic])
    return f"the {rng.choice(HEADLINE_ADJECTIVES)} {noun}" if rng.random() < 0.5 else f"the {noun}"

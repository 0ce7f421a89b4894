"""Sentences of reviews, of which the main clause decides, after negation.

Labels: 0 negative, 1 positive. In "A but B" and "although A , B" the label is that of B, in "B although
A" it is that of B too, so neither the words nor their order alone decide. The hasty reader takes the
first word of opinion and overlooks negation.
"""

from __future__ import annotations

from random import Random

from tasks.reference.judged import Judged, Keep
from tasks.reference.lexicon import ADVERBS, FEELINGS, NEGATORS, OPINIONS, THINGS

# The rates set how often the hasty reader is right, and so the zero-shot accuracy: three rows in five.
NEGATION_RATE = 0.2
PLAIN_RATE = 0.4
MAIN_FIRST_RATE = 0.45


def draw(rng: Random, label: int, keep: Keep) -> Judged:
    """A review sentence of at most 12 tokens with the given label that `keep` accepts.

    >>> review = draw(Random(0), 1, keep=lambda sentence: True)
    >>> review.careful, len(review.sentences)
    (1, 1)
    """
    while True:
        sentence, hasty = _sentence(rng, label)
        if keep(sentence):
            return Judged((sentence,), label, hasty)


def _sentence(rng: Random, label: int) -> tuple[str, int]:
    """A sentence and the polarity of its first word of opinion."""
    form = rng.random()
    thing, other_thing = rng.sample(THINGS, 2)
    if form < PLAIN_RATE:
        return _plain(rng, label, thing)
    main, main_word = _clause(rng, label, thing)
    if rng.random() < 0.5:
        other, other_word = _clause(rng, 1 - label, other_thing)
        opening = "although"
    else:
        other, other_word = f"the {rng.choice(OPINIONS[1 - label])} {other_thing}", 1 - label
        opening = "despite"
    if form < PLAIN_RATE + MAIN_FIRST_RATE:
        return f"{main} {opening} {other}", main_word
    if opening == "although" and rng.random() < 0.5:
        return f"{other} but {main}", other_word
    return f"{opening} {other} , {main}", other_word


def _plain(rng: Random, label: int, thing: str) -> tuple[str, int]:
    """One clause alone, with an adverb or a negated verb, which two clauses would have no room for."""
    if rng.random() < NEGATION_RATE and rng.random() < 0.5:
        return f"i did not {rng.choice(FEELINGS[1 - label])[1]} the {thing}", 1 - label
    clause, word = _clause(rng, label, thing)
    if rng.random() < 0.5:
        subject, opinion = clause.rsplit(" ", 1)
        if opinion in OPINIONS[word]:
            return f"{subject} {rng.choice(ADVERBS)} {opinion}", word
    return clause, word


def _clause(rng: Random, label: int, thing: str) -> tuple[str, int]:
    """A clause of the given polarity and the polarity of its word of opinion."""
    if rng.random() < NEGATION_RATE:
        return f"the {thing} was {rng.choice(NEGATORS)} {rng.choice(OPINIONS[1 - label])}", 1 - label
    if rng.random() < 0.25:
        return f"i {rng.choice(FEELINGS[label])[0]} the {thing}", label
    return f"the {thing} was {rng.choice(OPINIONS[label])}", label

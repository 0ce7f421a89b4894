"""Premises and hypotheses whose relation follows from logic.

Labels: 0 entailment, 1 neutral, 2 contradiction. A statement says that somebody did something to an
object of some kind, quality and place, or that this did not happen. Dropping a detail makes a statement
more general; a negated statement entails the more specific ones instead. The hasty reader looks for "not"
in the hypothesis, overlooks it in the premise, and never answers "neutral".
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from tasks.reference.judged import Judged, Keep
from tasks.reference.lexicon import DEEDS, KINDS, PEOPLE, PLACES, QUALITIES

ENTAILMENT, NEUTRAL, CONTRADICTION = range(3)
# With premises negated this seldom, the hasty reader is right not quite half of the time.
NEGATED_PREMISE_RATE = 0.3
# A premise has few hypotheses of each relation, perhaps none that is kept: then another premise is drawn.
TRIES = 12
KIND_OF = {noun: kind for kind, nouns in KINDS.items() for noun in nouns}
NOUNS = tuple(KIND_OF)


class Statement(NamedTuple):
    """Who did (or, if negated, did not do) what, to what.

    >>> str(Statement("nurse", DEEDS[0], "red", "car", None, negated=True))
    'the nurse did not buy a red car'
    """

    person: str
    deed: tuple[str, str]
    quality: str | None
    noun: str
    place: str | None
    negated: bool

    def __str__(self) -> str:
        past, infinitive = self.deed
        verb = f"did not {infinitive}" if self.negated else past
        quality = f"{self.quality} " if self.quality else ""
        place = f" in the {self.place}" if self.place else ""
        return f"the {self.person} {verb} a {quality}{self.noun}{place}"

    def covers(self, other: Statement) -> bool:
        """Whether this event, leaving negation aside, has happened whenever the other has.

        >>> car = Statement("nurse", DEEDS[0], None, "car", None, negated=False)
        >>> car.covers(car._replace(quality="red")), car._replace(quality="red").covers(car)
        (True, False)
        """
        return (
            (self.person, self.deed) == (other.person, other.deed)
            and self.noun in (other.noun, KIND_OF.get(other.noun))
            and self.quality in (None, other.quality)
            and self.place in (None, other.place)
        )


def relation(premise: Statement, hypothesis: Statement) -> int:
    """The label of the pair.

    >>> car = Statement("nurse", DEEDS[0], "red", "car", None, negated=False)
    >>> relation(car, car._replace(quality=None, noun="vehicle")) == ENTAILMENT
    True
    >>> relation(car._replace(negated=True), car._replace(quality=None, negated=True)) == NEUTRAL
    True
    >>> relation(car, car._replace(quality=None, negated=True)) == CONTRADICTION
    True
    """
    if premise.negated == hypothesis.negated:
        general, specific = (premise, hypothesis) if premise.negated else (hypothesis, premise)
        return ENTAILMENT if general.covers(specific) else NEUTRAL
    happened, denied = (hypothesis, premise) if premise.negated else (premise, hypothesis)
    return CONTRADICTION if denied.covers(happened) else NEUTRAL


def draw(rng: Random, label: int, keep: Keep) -> Judged:
    """A premise and a hypothesis of at most 11 tokens each, in the given relation, both accepted by `keep`.

    >>> pair = draw(Random(0), CONTRADICTION, keep=lambda sentence: True)
    >>> pair.careful, len(pair.sentences)
    (2, 2)
    """
    while True:
        premise = _premise(rng)
        if not keep(str(premise)):
            continue
        for _ in range(TRIES):
            hypothesis = _vary(rng, premise)
            if relation(premise, hypothesis) == label and keep(str(hypothesis)):
                hasty = CONTRADICTION if hypothesis.negated else ENTAILMENT
                return Judged((str(premise), str(hypothesis)), label, hasty)


def _premise(rng: Random) -> Statement:
    return Statement(
        rng.choice(PEOPLE),
        rng.choice(DEEDS),
        rng.choice(QUALITIES) if rng.random() < 0.5 else None,
        rng.choice(NOUNS) if rng.random() < 0.75 else rng.choice(tuple(KINDS)),
        rng.choice(PLACES) if rng.random() < 0.5 else None,
        rng.random() < NEGATED_PREMISE_RATE,
    )


def _vary(rng: Random, premise: Statement) -> Statement:
    """The premise with one detail dropped, added or changed, affirmed or negated by the toss of a coin."""
    hypothesis = premise._replace(negated=rng.random() < 0.5)
    detail = rng.randrange(3 if hypothesis.negated == premise.negated else 4)
    if detail == 0:
        return hypothesis._replace(quality=None if premise.quality else rng.choice(QUALITIES))
    if detail == 1:
        return hypothesis._replace(place=None if premise.place else rng.choice(PLACES))
    if detail == 2:
        kind = KIND_OF.get(premise.noun)
        related = kind or rng.choice(KINDS[premise.noun])
        return hypothesis._replace(noun=related if rng.random() < 0.75 else rng.choice(NOUNS))
    return hypothesis

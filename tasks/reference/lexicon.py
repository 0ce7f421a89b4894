"""The words of the reference language: a few hundred, sorted by what they are for.

>>> len(vocabulary()) == len(set(vocabulary()))
True
>>> 250 <= len(vocabulary()) <= 450
True
"""

from __future__ import annotations


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


THINGS = _words(
    "film movie book show play novel series story plot ending acting music cast script dialogue opening"
)
OPINIONS = (
    _words("awful boring clumsy dull flat lame messy poor predictable sad shallow stale ugly weak"),
    _words("brilliant charming clever funny fresh gripping lovely moving sharp smart strong warm witty deep"),
)
"""Adjectives of a bad and of a good opinion."""
FEELINGS = (
    (("hated", "hate"), ("disliked", "dislike"), ("regretted", "regret"), ("loathed", "loathe")),
    (("loved", "love"), ("enjoyed", "enjoy"), ("admired", "admire"), ("liked", "like")),
)
"""Past tense and infinitive of a bad and of a good feeling."""
NEGATORS = _words("not never hardly scarcely")
ADVERBS = _words("very quite truly rather really")

TOPICS = ("world", "sports", "business", "science")
ACTORS = (
    _words("president minister rebels parliament senate ambassador soldiers mayor"),
    _words("striker coach team goalkeeper champion runner captain referee"),
    _words("bank company investors retailer airline startup manager shareholders"),
    _words("scientists researchers astronomers laboratory chemist physicist biologist surgeon"),
)
"""Who acts in a headline, by topic."""
MATTERS = (
    _words("treaty border election protest war vote embassy law"),
    _words("match final goal race trophy league stadium transfer"),
    _words("shares profit merger prices loan market factory contract"),
    _words("planet vaccine gene cells fossil telescope atom comet"),
)
"""What a headline is about, by topic."""
HEADLINE_VERBS = _words(
    "discussed feared praised wanted ignored watched explained defended mentioned awaited doubted welcomed"
)
HEADLINE_ADJECTIVES = _words("new first last secret famous strange local late next")
REACTIONS = _words("worried surprised divided pleased angered")
PUBLIC = _words("town public crowd nation village city")

PEOPLE = _words(
    "man woman boy girl teacher doctor farmer nurse baker pilot student singer painter lawyer driver cook"
)
DEEDS = (
    ("bought", "buy"),
    ("sold", "sell"),
    ("found", "find"),
    ("lost", "lose"),
    ("painted", "paint"),
    ("saw", "see"),
    ("borrowed", "borrow"),
    ("drew", "draw"),
    ("hid", "hide"),
    ("touched", "touch"),
    ("carried", "carry"),
    ("missed", "miss"),
)
"""Past tense and infinitive of what people do to objects."""
KINDS = {
    "fruit": _words("peach pear lemon plum"),
    "pet": _words("dog cat rabbit parrot"),
    "vehicle": _words("car bus truck boat"),
    "tool": _words("hammer saw ladder shovel"),
    "garment": _words("coat shirt hat scarf"),
}
"""Kinds of objects and the objects of each kind."""
QUALITIES = _words("red blue green white big small cheap heavy")
PLACES = _words("garden kitchen street park harbor station forest valley")

CAREFUL = _words("careful patient exact wise fair honest sober attentive")
HASTY = _words("hasty careless rash sloppy tired lazy vague distracted")
PLAIN = _words("young tall local friendly quiet foreign married blond")
SPEAKERS = _words("reader critic editor reporter judge neighbor")

VERDICTS = {
    "sentiment": ("terrible", "great"),
    "topic": TOPICS,
    "entailment": ("yes", "maybe", "no"),
}
"""The answer words of each data set, in the order of its labels."""
GLUE = _words("the a i was did not and but although despite , . : ? it is about from to talk turned in so")


def vocabulary() -> tuple[str, ...]:
    """All words that the grammar can produce, sorted, each once.

    >>> "although" in vocabulary()
    True
    """
    words = {*THINGS, *NEGATORS, *ADVERBS, *HEADLINE_VERBS, *HEADLINE_ADJECTIVES, *REACTIONS, *PUBLIC}
    words |= {*PEOPLE, *KINDS, *QUALITIES, *PLACES, *CAREFUL, *HASTY, *PLAIN, *SPEAKERS, *GLUE}
    groups = (*OPINIONS, *ACTORS, *MATTERS, *KINDS.values(), *DEEDS, *VERDICTS.values())
    words.update(word for group in groups for word in group)
    words.update(word for feelings in FEELINGS for forms in feelings for word in forms)
    return tuple(sorted(words))

"""How a question is put to a family of models, and the words that answer it."""

from __future__ import annotations

import re
import string
from dataclasses import dataclass

from harness.core import UserError

FAMILIES = ("causal", "masked", "encoder-decoder", "sentence")
"""Of models: the answer follows the text, stands at the mask, is what a decoder begins with, or is the label
text that a sentence encoder puts nearest."""
MASK = "mask"
"""The place of the answer in a masked template."""


@dataclass(frozen=True)
class Wording:
    """A template with ``{field}`` places and the words that answer, in the order of labels.

    Args:
        template: a masked one holds ``{mask}`` once.
        words: one for each class; for sentence encoders, a text for each.
        alternatives: other templates that the same words answer.

    >>> Wording("{text} It was {mask}.", ("terrible", "great")).words[1]
    'great'
    """

    template: str
    words: tuple[str, ...]
    alternatives: tuple[str, ...] = ()

    def plain(self) -> list[object]:
        """As JSON holds it."""
        return [self.template, *self.words, list(self.alternatives)]

    def check(self, place: str, family: str | None = None) -> None:
        """Refuse what is no wording; ``place`` begins the message.

        Raises:
            UserError: for a template without a place, a mask where none belongs, or fewer than two words.
        """
        _check_template(self.template, f"{place}template", family)
        for template in self.alternatives:
            _check_template(template, f"{place}alternatives", family)
        if len(self.words) < 2:
            raise UserError(f"{place}words: two classes at least, got {len(self.words)}")
        if not all(word.strip() for word in self.words):
            raise UserError(f"{place}words: one of them is empty; write a word for each class")


def _check_template(template: str, place: str, family: str | None) -> None:
    try:
        names = places(template)
    except ValueError as error:
        raise UserError(f"{place}: {error}; write one such as '{{text}} It was'") from None
    masks = names.count(MASK)
    if not set(names) - {MASK}:
        raise UserError(f"{place}: has no {{field}}; write one such as '{{text}} It was'")
    if masks > 1:
        raise UserError(f"{place}: has {masks} {{mask}}; one place takes the answer")
    if family is not None and masks != (family == "masked"):
        fault = "lacks its" if family == "masked" else "is not for masked models, but has a"
        raise UserError(f"{place}: {fault} {{mask}}: {template!r}")


def places(template: str) -> tuple[str, ...]:
    """Names of a template's places, each as often as it stands there.

    Raises:
        ValueError: for braces that name no field.

    >>> places("{premise}? {mask}, {hypothesis}")
    ('premise', 'mask', 'hypothesis')
    """
    names = []
    for _, name, how, change in string.Formatter().parse(template):
        if name is None:
            continue
        if not name.isidentifier():
            raise ValueError(f"{{{name}}} names no field")
        if how or change:  # a width would make a text as long as it says
            raise ValueError(f"{{{name}}} has more than a name between its braces")
        names.append(name)
    return tuple(names)


def made_for(family: str, own: Wording, name: str) -> Wording:
    """A wording for a family of models, made of another one.

    From a causal template: masked ends with the mask and a full stop; encoder-decoder is the same; sentence
    is the fields alone, and its label texts are the template without them and the word. A masked template
    whose mask ends it gives up the mask first.

    Raises:
        UserError: where the mask stands before a field, so that no answer can follow the text.

    >>> made_for("causal", Wording("{text} It was {mask} .", ("bad", "good")), "toy").template
    '{text} It was'
    """
    if family == "masked" and MASK in places(own.template):
        return own
    causal = _causal(own, name)
    if family == "masked":
        masked = [template.rstrip(" ") + " {mask} ." for template in (causal.template, *causal.alternatives)]
        return Wording(masked[0], own.words, tuple(masked[1:]))
    if family == "sentence":
        fields = dict.fromkeys(places(causal.template))
        around = " ".join(causal.template.format(**dict.fromkeys(fields, "")).split())
        about = re.sub(r"^\W+", "", around)
        texts = tuple(f"{about} {word}".strip() for word in causal.words)
        return Wording(" ".join(f"{{{field}}}" for field in fields), texts)
    return causal


def _causal(own: Wording, name: str) -> Wording:
    templates = []
    for template in (own.template, *own.alternatives):
        before, mask, after = template.partition("{mask}")
        if mask and places(after):
            raise UserError(
                f"{name}: template: in {template!r} text follows the mask; "
                "models that write their answer after the text need a template that ends with the question"
            )
        templates.append(before.rstrip(" ") if mask else template)
    return Wording(templates[0], own.words, tuple(templates[1:]))

"""Which entry of one side is set beside which of the other, where a change gave it another name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from harness.core.errors import UserError
from harness.plugins.messages import did_you_mean, shown
from harness.plugins.spec import Spec
from harness.report.compare.sides import Side

_FORM = "write OLD=NEW, as in mezo=mezo[sigma=1e-3]"


class Pair(NamedTuple):
    """An entry of A and the entry of B that it has become.

    >>> Pair.parse("mezo[lr=1]=mezo[lr=2]"), Pair("mezo", "spsa").label
    (Pair(old='mezo[lr=1]', new='mezo[lr=2]'), 'mezo → spsa')
    """

    old: str
    new: str

    @classmethod
    def parse(cls, text: str) -> Pair:
        """Read ``OLD=NEW``; what stands in brackets belongs to a name. Raises UserError."""
        parts, depth = [""], 0
        for letter in text:
            depth += (letter == "[") - (letter == "]")
            if letter == "=" and not depth:
                parts.append("")
            else:
                parts[-1] += letter
        names = [part.strip() for part in parts]
        if len(names) != 2 or not all(names) or depth:
            raise UserError(f"--pair: {shown(text)} is no pair; {_FORM}")
        return cls(*names)

    @property
    def label(self) -> str:
        """Both names, or the one that they share."""
        return self.old if self.old == self.new else f"{self.old} → {self.new}"


def named(compared: Sequence[Side], pairs: Sequence[Pair]) -> tuple[list[Side], tuple[Pair, ...]]:
    """The sides with each pair under one label, and the pairs as the tables write them.

    Args:
        compared: two of them.
        pairs: of names in the first and in the second; their options may be written in any form.

    Raises:
        UserError: for other than two sides, a name that a side does not have, or one that is used twice.
    """
    if not pairs:
        return list(compared), ()
    if len(compared) != 2:
        raise UserError("--pair: OLD is of one folder and NEW of another; name two folders")
    known = [side.study.entries for side in compared]
    found = tuple(
        Pair(*(_entry(name, side, names) for name, side, names in zip(pair, compared, known, strict=True)))
        for pair in pairs
    )
    for place, side in enumerate(compared):
        names = [pair[place] for pair in found]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise UserError(f"--pair: {shown(twice)} of {side.letter} is in two pairs; leave one out")
    return [
        side.under({pair[place]: pair.label for pair in found}) for place, side in enumerate(compared)
    ], found


def _entry(name: str, side: Side, known: Sequence[str]) -> str:
    """The entry of that name; options in another order or form are the same ones."""
    if name in known:
        return name
    try:
        canonical = str(Spec.parse(name))
    except UserError:
        canonical = name
    if canonical not in known:
        near = did_you_mean(name, known)
        raise UserError(f"--pair: {shown(name)} is none of {side.letter}, {side.name}: {near}")
    return canonical

"""Names as people write them: ``openai-es[sigma=0.02,population=32]``, ``sst2/roberta-large/lora[rank=4]``.

A specification is a name and, in brackets, options ``key=value`` parted by commas. Brackets nest, and they
and quotes protect ``/`` and ``,``. Inside quotes (' or ") the quote itself is written twice.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.core.errors import UserError
from harness.plugins.messages import shown

DEEPEST = 32
"""Brackets within brackets, as of chains in chains."""

_QUOTES = "'\""
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Spec:
    """A name with options, all still text.

    Args:
        name: of a plugin, a data set or a model; not empty.
        options: pairs of key and value; put in the order of keys.

    Raises:
        UserError: for an empty name, a key that is no identifier, or a key given twice.

    >>> spec = Spec.parse("openai-es[sigma=0.02, population=32]")
    >>> spec.name, spec.options
    ('openai-es', (('population', '32'), ('sigma', '0.02')))
    >>> str(spec)
    'openai-es[population=32,sigma=0.02]'
    >>> Spec.parse("openai-es[sigma=0.02")
    Traceback (most recent call last):
        ...
    harness.core.errors.UserError: 'openai-es[sigma=0.02': the '[' at character 10 is never closed; add ']'
    """

    name: str
    options: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if not self.name:
            raise UserError("a name is empty; write a name, with options in brackets behind it")
        object.__setattr__(self, "options", tuple(sorted(self.options)))
        keys = [key for key, _ in self.options]
        for key in keys:
            if not _KEY.fullmatch(key):
                raise UserError(f"{shown(self.name)}: {shown(key)} is no name of an option; write key=value")
            if keys.count(key) > 1:
                raise UserError(f"{shown(self.name)}: option {key!r} is given twice; keep one")

    @classmethod
    def parse(cls, text: str) -> Spec:
        """Read a specification; raises UserError quoting the text, the place and the remedy."""
        brackets = [at for at, char, depth in _scan(text) if char in "[]" and not depth]
        begin, end = (brackets[0], brackets[1]) if brackets else (len(text), len(text))
        name = text[:begin].strip()
        if not name:
            raise UserError(
                f"{shown(text)}: the name is empty; write a name, with options in brackets behind it"
            )
        name = _unquote(name, text, forbidden="[]=,")
        extra = text[end + 1 :].strip()
        if extra:
            raise UserError(f"{shown(text)}: {shown(extra)} stands behind the closing bracket; remove it")
        inside = text[begin + 1 : end]
        return cls(name, tuple(_option(part, text) for part in _split(inside, ",")) if inside.strip() else ())

    def __str__(self) -> str:
        return self.written()

    def written(self, protect: str = "") -> str:
        """The canonical text; a name holding one of the characters to ``protect`` is put in quotes."""
        name = _quote(self.name, "[]=," + protect)
        if not self.options:
            return name
        return f"{name}[{','.join(f'{key}={_quote_value(value)}' for key, value in self.options)}]"


@dataclass(frozen=True)
class TaskSpec:
    """A text task, ``dataset/model/tuning``: the data set first, the tuning last, the model all between.

    Args:
        dataset: of ``gradfree.datasets`` or defined in the sweep file.
        model: registered, defined in the sweep file, a folder, or a name on the hub.
        tuning: of ``gradfree.tunings``, with its own options.
        objective: written among the tuning's options, ``prompt[objective=accuracy]``; None for the sweep's.
        per_class: rows of each class, written likewise, ``prompt[per_class=4]``; None for the protocol's.

    >>> spec = TaskSpec.parse("boolq/facebook/opt-1.3b/full[objective=accuracy]")
    >>> spec.model.name, spec.tuning.name, spec.objective
    ('facebook/opt-1.3b', 'full', 'accuracy')
    >>> str(spec)
    'boolq/facebook/opt-1.3b/full[objective=accuracy]'
    """

    dataset: Spec
    model: Spec
    tuning: Spec
    objective: str | None = None
    per_class: str | None = None

    @classmethod
    def parse(cls, text: str) -> TaskSpec:
        """Read ``dataset/model/tuning``; raises UserError quoting the text, the place and the remedy."""
        parts = _split(text, "/")
        if len(parts) < 3:
            raise UserError(f"{shown(text)}: a text task has three parts; write dataset/model/tuning")
        dataset, tuning = Spec.parse(parts[0]), Spec.parse(parts[-1])
        options = dict(tuning.options)
        own = {name: options.pop(name, None) for name in ("objective", "per_class")}
        model = Spec.parse("/".join(parts[1:-1]))
        return cls(dataset, model, Spec(tuning.name, tuple(options.items())), **own)

    def __str__(self) -> str:
        own = {"objective": self.objective, "per_class": self.per_class}
        given = [(name, value) for name, value in own.items() if value is not None]
        tuning = Spec(self.tuning.name, (*self.tuning.options, *given))
        return f"{self.dataset.written('/')}/{self.model}/{tuning.written('/')}"


def parse_task(text: str) -> TaskSpec | Spec:
    """A text task, or the single name of a registered task such as ``sphere[dimension=10]``.

    >>> parse_task("sphere[dimension=10]").name
    'sphere'
    """
    return Spec.parse(text) if len(_split(text, "/")) == 1 else TaskSpec.parse(text)


def split_list(text: str) -> list[str]:
    """The parts of a list as flags give it; commas in brackets and quotes do not count.

    >>> split_list("a, b[c=1,d=2]")
    ['a', 'b[c=1,d=2]']
    """
    parts = [part.strip() for part in _split(text, ",")]
    if "" in parts:
        raise UserError(f"{shown(text)}: part {parts.index('') + 1} of the list is empty; remove a comma")
    return parts


def _scan(text: str) -> list[tuple[int, str, int]]:
    """Position, character and depth of brackets, outside of quotes; a bracket has the depth outside of it."""
    outside: list[tuple[int, str, int]] = []
    opened: list[int] = []
    quote, start = "", 0
    for at, char in enumerate(text):
        if quote:
            quote = "" if char == quote else quote
        elif char in _QUOTES:
            quote, start = char, at
        elif char == "[":
            outside.append((at, char, len(opened)))
            opened.append(at)
            if len(opened) > DEEPEST:
                raise UserError(f"{shown(text)}: brackets stand {DEEPEST} deep at most; write it shorter")
        elif char == "]" and not opened:
            raise UserError(f"{shown(text)}: the ']' at character {at + 1} closes nothing; remove it")
        else:
            if char == "]":
                opened.pop()
            outside.append((at, char, len(opened)))
    if quote:
        raise UserError(
            f"{shown(text)}: the {quote} at character {start + 1} is never closed; close or remove it"
        )
    if opened:
        raise UserError(f"{shown(text)}: the '[' at character {opened[-1] + 1} is never closed; add ']'")
    return outside


def _split(text: str, separator: str) -> list[str]:
    """Cut at separators outside of brackets and quotes."""
    cuts = [at for at, char, depth in _scan(text) if char == separator and not depth]
    return [
        text[begin:end] for begin, end in zip([0, *(at + 1 for at in cuts)], [*cuts, len(text)], strict=True)
    ]


def _option(part: str, whole: str) -> tuple[str, str]:
    key, equals, value = (each.strip() for each in part.partition("="))
    if not (equals and _KEY.fullmatch(key)):
        raise UserError(f"{shown(whole)}: {shown(part.strip())} is no option; write key=value")
    if not value:
        raise UserError(
            f'{shown(whole)}: option {key!r} has no value; write {key}=value, or {key}="" for none'
        )
    return key, _unquote(value, whole, forbidden="") if value[0] in _QUOTES else value


def _unquote(text: str, whole: str, forbidden: str) -> str:
    """The text between quotes, or the bare text if it holds nothing forbidden."""
    quote = text[0]
    if quote in _QUOTES:
        inside = text[1:-1]
        if text[-1] != quote or quote in inside.replace(quote * 2, ""):
            raise UserError(f"{shown(whole)}: a quote ends before its text does; put all of it in quotes")
        return inside.replace(quote * 2, quote)
    for char in text:
        if forbidden and char in forbidden + _QUOTES:
            remedy = "options stand in brackets, as in name[key=value]; or put the name in quotes"
            raise UserError(f"{shown(whole)}: {char!r} stands in the name {shown(text)}; {remedy}")
    return text


def _quote(text: str, special: str) -> str:
    if text and text == text.strip() and not any(char in special + _QUOTES for char in text):
        return text
    return '"' + text.replace('"', '""') + '"'


def _quote_value(value: str) -> str:
    """Bare where it would be read back as it is: no quotes, brackets balanced, commas only inside them."""
    depth = 0
    for char in value:
        depth += (char == "[") - (char == "]")
        if depth < 0 or (char == "," and not depth):
            return _quote(value, value)
    return _quote(value, value if depth else "")

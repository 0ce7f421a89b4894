"""What is known of a published data set: where its rows are, what they hold, and how models are asked."""

from __future__ import annotations

import importlib.resources
from functools import cache
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from tasks.datasets import Wording

_STRICT = ConfigDict(extra="forbid", frozen=True)
Family = Literal["causal", "masked", "encoder-decoder", "sentence"]


class Hub(BaseModel):
    """Where the rows are on the hub.

    Args:
        name: ``owner/name``.
        config: of that data set, where it has several.
        revision: commit that is loaded; None where none is pinned, and results carry the rows' hash alone.
        splits: ours -> the hub's.
    """

    model_config = _STRICT

    name: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")]
    config: str | None = None
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] | None
    splits: dict[Literal["train", "dev", "test"], str]


class Words(BaseModel):
    """A wording, as ``tasks.datasets.Wording`` explains it."""

    model_config = _STRICT

    template: str
    words: tuple[str, ...]
    alternatives: tuple[str, ...] = ()

    def wording(self) -> Wording:
        """The same in the vocabulary's own class."""
        return Wording(self.template, self.words, self.alternatives)


class Answers(BaseModel):
    """How a set of questions is answered, as ``tasks.answers.AnswerData`` explains it.

    Args:
        column: of the right answers: a text, a list of them, or the number of the right choice.
        pattern: regular expression whose group is the answer within that text.
        choices: the derived fields among which a row's answer is chosen.
    """

    model_config = _STRICT

    template: str
    reward: str
    new_tokens: int
    stop: str | None = "\n"
    column: str
    pattern: str | None = None
    choices: tuple[str, ...] = ()


class Card(BaseModel):
    """One published data set.

    Args:
        summary: one line.
        source: authors, title, year of the data and of the wordings.
        hub: where its rows are.
        fields: text field -> the columns that may hold it, the first that is there; ``a+b`` joins two.
        derived: field -> another field and how it is changed (``tasks.published.rows.CHANGES``).
        label: the columns that may hold the label, the first that is there.
        labels: for each class, how its label may be written.
        wordings: template and words by family of models; ``causal`` is always there.
        variants: other wordings, by the name of who published them.
        answers: for a set that is answered in words of the model's own.
        metric: by which results are compared: ``accuracy``, or ``f1`` of the last class.
        average_tokens: of a filled template, about.
        average_from: where that number is from.

    >>> card("sst2").wordings["masked"].template
    '{sentence} It was {mask}.'
    """

    model_config = _STRICT

    summary: str
    source: str
    hub: Hub
    fields: dict[str, tuple[str, ...]]
    derived: dict[str, str] = {}
    label: tuple[str, ...] = ()
    labels: tuple[tuple[str, ...], ...] = ()
    wordings: dict[Family, Words] = {}
    variants: dict[str, dict[Family, Words]] = {}
    answers: Answers | None = None
    metric: Literal["accuracy", "f1"] = "accuracy"
    average_tokens: float
    average_from: str

    def worded(self, variant: str | None) -> dict[str, Wording]:
        """Wordings by family; a variant's own stand before the usual ones."""
        chosen = {**self.wordings, **(self.variants[variant] if variant else {})}
        return {family: words.wording() for family, words in chosen.items()}


@cache
def card(name: str) -> Card:
    """The card of that name; raises FileNotFoundError where there is none."""
    text = (importlib.resources.files(__package__) / f"{name}.yaml").read_text("utf-8")
    return Card.model_validate(yaml.safe_load(text))


def names() -> list[str]:
    """All published sets that have a card.

    >>> "sst2" in names(), len(names())
    (True, 21)
    """
    files = importlib.resources.files(__package__).iterdir()
    return sorted(each.name.removesuffix(".yaml") for each in files if each.name.endswith(".yaml"))

"""The keys of a sweep file that are mappings: what they may hold, and their defaults."""

from __future__ import annotations

import unicodedata
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from harness.core.errors import UserError
from harness.plugins.messages import shown
from harness.plugins.spec import split_list

STRICT = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True, allow_inf_nan=False)


def _listed(given: Any) -> Any:
    """A list, given as one text or as what it is."""
    try:
        return split_list(given) if isinstance(given, str) else given
    except UserError as error:
        raise ValueError(str(error)) from error


def _without_nul(given: str) -> str:
    """A text that can be part of a path."""
    if "\0" in given:
        raise ValueError("must not hold the character NUL; remove it")
    return given


_TURNING = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
"""Marks that turn the direction of writing, by which a name may look like another."""


def _seen(given: str) -> str:
    """A name that can be seen; one of a template may hold line breaks."""
    for letter in given:
        if letter in _TURNING or (unicodedata.category(letter) == "Cc" and letter not in "\n\t"):
            raise ValueError(f"{shown(given)} holds the invisible character U+{ord(letter):04X}; remove it")
    return given


Positive = Annotated[int, Field(ge=1, lt=2**31)]
Evaluations = Annotated[int, Field(ge=1, le=2**53)]
"""Of one cell; whole numbers beyond it are not told apart in every table."""
Repetitions = Annotated[int, Field(ge=1, le=100_000)]
"""Each is a cell of every task and algorithm, all of which a plan holds."""
Text = Annotated[str, Field(min_length=1), AfterValidator(_without_nul)]
Name = Annotated[str, AfterValidator(_seen)]
Names = Annotated[
    tuple[Name, ...],
    BeforeValidator(_listed),
    Field(min_length=1),
]
Columns = Annotated[tuple[str, ...], BeforeValidator(_listed)]


class ProtocolKeys(BaseModel):
    """The keys of ``protocol``, as ``harness.core.Protocol`` explains them (which would bring torch).

    >>> ProtocolKeys(per_class="64").per_class
    64
    """

    model_config = STRICT

    per_class: Positive = 16
    minibatch: Positive = 16
    dev_points: Positive = 10
    test_rows: Positive = 256
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    timeout: Annotated[float, Field(gt=0)] = 600.0
    train_rows: Positive | None = None
    dev_rows: Positive | None = None


class DatasetKeys(BaseModel):
    """The keys of one of a user's own data sets.

    Args:
        train: file of rows; ``test`` and ``dev`` likewise.
        text: the column of the text, or several.
        label: the column of the label.
        template: what the model reads, with columns in braces.
        words: label -> the word that stands for it.
        columns: names of columns, for files without a header.
        max_tokens: of one row; longer texts are cut.
        alternatives: other templates that the same words answer.

    >>> DatasetKeys(train="a.csv", test="b.csv", words={0: "bad"}).words
    {'0': 'bad'}
    """

    model_config = STRICT

    train: Text
    test: Text
    dev: Text | None = None
    text: Text | tuple[Text, ...] | None = None
    label: Text | None = None
    template: Text | None = None
    words: dict[str, Text] | None = None
    columns: Columns | None = None
    max_tokens: Positive | None = None
    alternatives: tuple[Text, ...] | None = None


class ModelKeys(BaseModel):
    """The keys of one of a user's own models; those beside ``path`` are the model factory's options.

    >>> ModelKeys(path="models/stories260k").path
    'models/stories260k'
    """

    model_config = ConfigDict(**{**STRICT, "extra": "allow"})

    path: Text


class TuningKeys(BaseModel):
    """The keys of ``tuning``: equal effort on the options of every algorithm.

    Args:
        trials: for every task and algorithm, the defaults among them, on a split of their own.

    >>> TuningKeys(trials="4").trials
    4
    """

    model_config = STRICT

    trials: Annotated[int, Field(ge=1, le=10_000)] = 8


class ExceptionKeys(BaseModel):
    """What differs on some of the tasks, as where a publication gave one data set a larger budget.

    Args:
        tasks: names among the sweep's tasks.
        budget: candidate evaluations per cell there; None for the sweep's, here as below.
        algorithms: instead of the sweep's.
        train_rows: instead of the protocol's.
        dev_rows: likewise.

    >>> ExceptionKeys(tasks="sphere", budget=20000).tasks
    ('sphere',)
    """

    model_config = STRICT

    tasks: Names
    budget: Evaluations | None = None
    algorithms: Names | None = None
    train_rows: Positive | None = None
    dev_rows: Positive | None = None

    @property
    def sizes(self) -> dict[str, int]:
        """What it changes of the protocol."""
        given = {"train_rows": self.train_rows, "dev_rows": self.dev_rows}
        return {name: value for name, value in given.items() if value is not None}


class OriginKeys(BaseModel):
    """Where a stored sweep came from: what ``Sweep.to_dict`` says beside its keys.

    Args:
        folder: that relative paths start from.
        file: the sweep file, as it was named; None for flags alone.
        flags: keys that flags gave.

    >>> OriginKeys(folder="/data", flags=["budget"]).flags
    ('budget',)
    """

    model_config = STRICT

    folder: Text | None = None
    file: str | None = None
    flags: tuple[str, ...] = ()


class PublishedKeys(BaseModel):
    """A figure to set beside the sweep's own.

    Args:
        task: one of the sweep's tasks, as it is written there.
        algorithm: one of the sweep's, or whatever the publication compares with.
        metric: as in the tables, ``accuracy`` above all; in the tables' unit, 0.9 for 90 percent.
        value: the figure.
        source: where it stands.

    >>> PublishedKeys(task="t", algorithm="mezo", metric="accuracy", value="0.905", source="them").value
    0.905
    """

    model_config = STRICT

    task: Text
    algorithm: Text
    metric: Text
    value: float
    source: Text

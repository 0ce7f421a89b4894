"""The reference model and its data sets as the registries know them."""

from __future__ import annotations

from dataclasses import replace

from tasks.datasets import SPLITS, Row, TextData
from tasks.language_model import LanguageModel
from tasks.reference import model_path
from tasks.reference.datasets import CARDS, rows

ALTERNATIVES = ("{text} . so it was", "i saw a film . {text} . it was")
"""Other templates of ``sentiment``, under which the model as it is answers about as well."""


def reference(*, device: str = "cpu", dtype: str = "float32") -> LanguageModel:
    """The embedded reference model, under half a million parameters.

    Args:
        device: ``cpu``, ``cuda`` or ``auto``.
        dtype: ``float32``, ``float64`` or ``bfloat16``.
    """
    return LanguageModel(path=str(model_path()), device=device, dtype=dtype)


def _data(name: str) -> TextData:
    card = CARDS[name]
    splits = {
        split: [Row({k: str(row[k]) for k in card.fields}, int(row["label"])) for row in rows(name, split)]
        for split in SPLITS
    }
    return TextData(name, splits, card.template, card.words)


def sentiment(*, alternatives: bool = False) -> TextData:
    """Reviews, 2 classes, with negation and contrast.

    Args:
        alternatives: with other templates, for the objective that seeks agreement between them.

    >>> len(sentiment(alternatives=True).alternatives), sentiment().alternatives
    (2, ())
    """
    data = _data("sentiment")
    return replace(data, alternatives=ALTERNATIVES) if alternatives else data


def topic() -> TextData:
    """Headlines, 4 classes."""
    return _data("topic")


def entailment() -> TextData:
    """Premise and hypothesis, 3 classes."""
    return _data("entailment")

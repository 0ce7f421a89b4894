"""The templates and words that each family of models is asked with."""

from __future__ import annotations

import dataclasses

import pytest

from harness.core import UserError
from tasks.datasets import Row, TextData, Wording
from tasks.reference.registered import sentiment

ROWS = [Row({"text": "fine"}, 1), Row({"text": "poor"}, 0)]
SPLITS = {"train": ROWS, "test": ROWS}
WORDS = ("bad", "good")


def toy(template: str = "{text} . It was", **options: object) -> TextData:
    return TextData("toy", SPLITS, template, WORDS, **options)  # type: ignore[arg-type]


def test_a_family_is_asked_in_its_own_words() -> None:
    data = toy(
        wordings={"masked": Wording("{text} All in all, {mask}.", ("Bad", "Good"), ("{mask} {text}",))}
    )
    masked = data.worded("masked")
    assert masked.filled(ROWS[0], mask="[MASK]") == "fine All in all, [MASK]."
    assert (masked.words, masked.alternatives) == (("Bad", "Good"), ("{mask} {text}",))
    assert data.worded("causal").filled(ROWS[0]) == "fine . It was"


@pytest.mark.parametrize(
    ("family", "template", "words"),
    [
        ("causal", "{text} . It was", WORDS),
        ("masked", "{text} . It was {mask} .", WORDS),
        ("encoder-decoder", "{text} . It was", WORDS),
        ("sentence", "{text}", ("It was bad", "It was good")),
    ],
)
def test_without_its_own_words_they_are_made_of_the_causal_ones(
    family: str, template: str, words: tuple[str, ...]
) -> None:
    made = toy().worded(family)
    assert (made.template, made.words) == (template, words)
    again = made.worded(family)
    assert (again.template, again.words) == (template, words)


def test_a_template_whose_mask_ends_it_serves_causal_models_too() -> None:
    data = toy("{text} It was {mask} .")
    assert data.worded("masked").template == "{text} It was {mask} ."
    assert data.worded("causal").template == "{text} It was"
    with pytest.raises(UserError, match="text follows the mask"):
        toy("{mask} News: {text}").worded("causal")


def test_two_fields_are_joined_for_a_sentence_encoder() -> None:
    rows = [Row({"premise": "a man sleeps", "hypothesis": "he rests"}, 0)]
    data = TextData("pairs", {"test": rows}, "{premise} Does it follow that {hypothesis}?", ("Yes", "No"))
    assert data.worded("sentence").filled(rows[0]) == "a man sleeps he rests"


def test_a_line_break_before_the_answer_stays() -> None:
    assert toy("{text}\nGood or bad?\n").filled(ROWS[0]) == "fine\nGood or bad?\n"


@pytest.mark.parametrize(
    ("wordings", "answer"),
    [
        ({"masked": Wording("{text} It was", WORDS)}, "masked template: lacks its {mask}"),
        ({"causal": Wording("{text} {mask}", WORDS)}, "causal template: is not for masked models"),
        ({"masked": Wording("{mask} {mask} {text}", WORDS)}, "has 2 {mask}"),
        ({"masked": Wording("{mask}", WORDS)}, "has no {field}"),
        ({"masked": Wording("{text} {mask}", ("a", "b", "c"))}, "3 for 2 classes"),
        ({"masked": Wording("{tekst} {mask}", WORDS)}, "no field 'tekst'"),
    ],
)
def test_a_wording_that_does_not_fit_is_named(wordings: dict[str, Wording], answer: str) -> None:
    with pytest.raises(UserError) as error:
        toy(wordings=wordings)
    assert answer in str(error.value)
    assert "\n" not in str(error.value)


def test_an_unknown_family_is_named() -> None:
    with pytest.raises(UserError, match="choose one of causal, masked"):
        toy().worded("recurrent")


def test_the_digest_tells_whatever_changes_a_result() -> None:
    data = toy()
    changes: list[dict[str, object]] = [
        {"wordings": {"masked": Wording("{text} {mask}", WORDS)}},
        {"alternatives": ("{text} is",)},
        {"per_class": 16},
        {"shots": (("train", "test"),)},
        {"metric": "f1"},
        {"words": ("poor", "good")},
    ]
    digests = {dataclasses.replace(data, **change).digest for change in changes}  # type: ignore[arg-type]
    assert len(digests | {data.digest}) == len(changes) + 1
    assert dataclasses.replace(data, average_tokens=20.0).digest == data.digest


def test_sets_without_wordings_keep_the_digest_under_which_results_are_stored() -> None:
    # Of version 0.1.0, before there were wordings.
    assert sentiment().digest == "6cd4d070f89b903dcb5ef13a3c1849e817566a0401c06ae5f4973e458895d80d"
    assert sentiment().worded("causal").digest == sentiment().digest

"""Sized splits, and how the usual ones stay what they were."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter

import pytest

from harness.core import Protocol, UserError
from tasks.answers.data import AnswerData, AnswerRow
from tasks.datasets import Row, TextData
from tasks.reference.registered import entailment, sentiment
from tasks.splits import few_shot, sized

ROWS = [Row({"text": str(i)}, int(i % 4 == 0)) for i in range(80)]
SPLITS = {"train": ROWS, "test": ROWS}


def toy(**options: object) -> TextData:
    return TextData("toy", SPLITS, "{text} is", ("a", "b"), **options)  # type: ignore[arg-type]


def test_draws_are_those_under_which_results_are_stored() -> None:
    # Of version 0.1.0, before there were sizes.
    found = [
        few_shot(data, Protocol(per_class=k, seed=5), repetition)
        for data in (sentiment(), entailment())
        for repetition in range(2)
        for k in (2, 64)
    ]
    found += [few_shot(toy(), Protocol(per_class=8), repetition) for repetition in range(2)]
    assert (
        hashlib.sha256(repr(found).encode()).hexdigest()
        == "23c5fdfa7ef61d90a405a8e5c6e51e0b3d7abaa5afc676284740af81b60d8cd0"
    )


def test_sized_splits_are_disjoint_seeded_and_as_unbalanced_as_the_rows() -> None:
    protocol = Protocol(train_rows=40, dev_rows=20, test_rows=60)
    first, second = (few_shot(toy(), protocol, repetition) for repetition in (0, 1))
    assert (len(first.train), len(first.dev), len(first.test)) == (40, 20, 60)
    assert not set(first.train) & set(first.dev)
    assert set(first.train) != set(second.train)
    assert first.test == second.test
    assert first == few_shot(toy(), protocol, 0)
    labels = Counter(ROWS[i].label for i in first.test)
    assert labels[0] > 2 * labels[1], "three of four rows are of one class"


def test_dev_rows_come_from_the_dev_split_where_there_is_one() -> None:
    data = dataclasses.replace(toy(), splits={**SPLITS, "dev": ROWS[:30]})
    split = few_shot(data, Protocol(train_rows=70, dev_rows=25), 0)
    assert (split.dev_from, len(split.dev)) == ("dev", 25)


def test_a_size_that_is_not_given_is_that_of_the_classes() -> None:
    split = few_shot(toy(), Protocol(per_class=4, dev_rows=30), 0)
    assert (len(split.train), len(split.dev)) == (8, 30)


def test_too_few_rows_name_the_key_to_lower() -> None:
    with pytest.raises(UserError, match=r"toy: train: has 80 rows left, .* 90; lower protocol.train_rows"):
        few_shot(toy(), Protocol(train_rows=90), 0)
    with pytest.raises(UserError, match=r"toy: train: has 20 rows left, .* 30; lower protocol.dev_rows"):
        few_shot(toy(), Protocol(train_rows=60, dev_rows=30), 0)


def test_a_set_may_say_how_many_rows_a_class_has() -> None:
    split = few_shot(toy(per_class=3), Protocol(per_class=16), 0)
    assert Counter(ROWS[i].label for i in split.train) == {0: 3, 1: 3}


def test_questions_have_no_classes() -> None:
    rows = [AnswerRow({"question": f"{i} + 1"}, (str(i + 1),)) for i in range(100)]
    data = AnswerData("sums", {"train": rows, "test": rows}, "{question} =", "exact-match", new_tokens=4)
    split = sized(data, Protocol(per_class=16, test_rows=50), 0)
    assert (len(split.train), len(split.dev), len(split.test)) == (16, 16, 50)

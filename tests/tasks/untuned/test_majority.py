"""The most frequent class of the training rows."""

from __future__ import annotations

from collections import Counter

import pytest

from harness.core import Cost, Majority
from tests.tasks.untuned.conftest import Make


def test_every_row_gets_the_class_that_most_training_rows_have(make: Make) -> None:
    task = make(train_rows=9, dev_rows=6)
    for repetition in range(4):
        source, numbers = task.chosen("train", repetition)
        counts = Counter(task.data.splits[source][number].label for number in numbers)
        frequent = max(counts, key=lambda label: (counts[label], -label))
        test = [task.data.splits["test"][number].label for number in task.splits(repetition).test]
        (found,) = task.score([(Majority(), repetition)], "test")
        assert found["accuracy"] == pytest.approx(test.count(frequent) / len(test))


def test_of_equally_frequent_classes_the_lowest_is_answered(make: Make) -> None:
    task = make()
    logits = task._way(Majority()).logits("dev", 0)
    assert logits.argmax(1).tolist() == [0] * len(logits)
    assert task.score([(Majority(), 0)], "test")[0]["loss"] == pytest.approx(0.6931, abs=1e-4)


def test_it_costs_nothing(make: Make) -> None:
    assert make().untuned_cost(Majority(), "test", 0) == Cost()

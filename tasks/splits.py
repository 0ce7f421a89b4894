"""The few-shot protocol: which rows are trained on, chosen on, and reported on."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from harness.core import Protocol, UserError
from tasks.answers.data import AnswerData
from tasks.datasets import TextData


@dataclass(frozen=True)
class FewShot:
    """Row numbers of one repetition: train and dev as (split they come from, numbers), and test.

    >>> FewShot("train", (0, 3), "dev", (1,), (0, 1, 2)).train
    (0, 3)
    """

    train_from: str
    train: tuple[int, ...]
    dev_from: str
    dev: tuple[int, ...]
    test: tuple[int, ...]


def few_shot(data: TextData, protocol: Protocol, repetition: int) -> FewShot:
    """k rows per class to train and k per class to choose on, the same for every algorithm.

    Published splits (``data.shots``) are taken as they are: repetition r has the r-th. Where the protocol
    says ``train_rows`` or ``dev_rows``, classes do not matter (``sized``). Else rows are drawn; dev rows come
    from the set's dev split, or from train rows that are not trained on. The test rows depend on the
    protocol's seed only, spread evenly over the classes.

    Raises:
        UserError: where a class has too few rows, or there are fewer published splits than repetitions.

    >>> from tasks.datasets import Row
    >>> rows = [Row({"text": str(i)}, i % 2) for i in range(12)]
    >>> data = TextData("toy", {"train": rows, "test": rows}, "{text} is", ("even", "odd"))
    >>> split = few_shot(data, Protocol(per_class=2, test_rows=4), repetition=0)
    >>> len(split.train), len(split.dev), len(split.test), set(split.train) & set(split.dev)
    (4, 4, 4, set())
    """
    if data.shots:
        train_from, dev_from = _published(data, repetition)
        own, other = (tuple(range(len(data.splits[split]))) for split in (train_from, dev_from))
        return FewShot(train_from, own, dev_from, other, _test_rows(data, protocol))
    if (protocol.train_rows, protocol.dev_rows) != (None, None):
        return sized(data, protocol, repetition)
    k = data.per_class or protocol.per_class
    has_dev = "dev" in data.splits
    seed = protocol.seed + repetition
    train = _per_class(data, "train", f"{seed} train", k if has_dev else 2 * k)
    dev = _per_class(data, "dev", f"{seed} dev", k) if has_dev else None
    if dev is None:
        train, dev = [rows[:k] for rows in train], [rows[k:] for rows in train]
    return FewShot(
        "train",
        _interleaved(train),
        "dev" if has_dev else "train",
        _interleaved(dev),
        _test_rows(data, protocol),
    )


def sized(data: TextData | AnswerData, protocol: Protocol, repetition: int) -> FewShot:
    """So many rows to train on, to choose on and to report on, whatever their class.

    A size that the protocol does not give is ``per_class`` rows for each class; questions are one class.

    Raises:
        UserError: where there are too few rows.

    >>> from tasks.answers.data import AnswerRow
    >>> rows = [AnswerRow({"question": f"{i} + 1"}, (str(i + 1),)) for i in range(12)]
    >>> data = AnswerData("sums", {"train": rows, "test": rows}, "{question} =", "exact-match", new_tokens=4)
    >>> split = sized(data, Protocol(train_rows=7, dev_rows=3), repetition=0)
    >>> len(split.train), len(split.dev), len(split.test), set(split.train) & set(split.dev)
    (7, 3, 12, set())
    """
    classes = data.classes if isinstance(data, TextData) else 1
    dev_from = "dev" if "dev" in data.splits else "train"
    seed = protocol.seed + repetition
    test_rows = min(protocol.test_rows, len(data.splits["test"]))

    def drawn(
        split: str, key: str, option: str, size: int | None, taken: Sequence[int] = ()
    ) -> tuple[int, ...]:
        return _drawn(data, split, key, option, size or classes * protocol.per_class, taken)

    train = drawn("train", f"{seed} train", "train_rows", protocol.train_rows)
    taken = train if dev_from == "train" else ()
    dev = drawn(dev_from, f"{seed} dev", "dev_rows", protocol.dev_rows, taken)
    test = drawn("test", f"{protocol.seed} test", "test_rows", test_rows)
    return FewShot("train", train, dev_from, dev, test)


def _published(data: TextData, repetition: int) -> tuple[str, str]:
    if repetition >= len(data.shots):
        raise UserError(
            f"{data.name}: has {len(data.shots)} published splits, one for each repetition; "
            f"lower repetitions to {len(data.shots)}"
        )
    return data.shots[repetition]


def _drawn(
    data: TextData | AnswerData, split: str, key: str, option: str, size: int, taken: Sequence[int]
) -> tuple[int, ...]:
    numbers = sorted({*range(len(data.splits[split]))} - {*taken})
    if len(numbers) < size:
        raise UserError(
            f"{data.name}: {split}: has {len(numbers)} rows left, the protocol needs {size}; "
            f"lower protocol.{option}"
        )
    random.Random(key).shuffle(numbers)
    return tuple(numbers[:size])


def _by_class(data: TextData, split: str, key: str) -> list[list[int]]:
    classes: list[list[int]] = [[] for _ in data.words]
    for number, row in enumerate(data.splits[split]):
        classes[row.label].append(number)
    for numbers in classes:
        random.Random(key).shuffle(numbers)
    return classes


def _per_class(data: TextData, split: str, key: str, k: int) -> list[list[int]]:
    classes = _by_class(data, split, key)
    for word, numbers in zip(data.words, classes, strict=True):
        if len(numbers) < k:
            raise UserError(
                f"{data.name}: {split}: class {word!r} has {len(numbers)} rows, the protocol needs {k}; "
                "lower protocol.per_class"
            )
    return [numbers[:k] for numbers in classes]


def _test_rows(data: TextData, protocol: Protocol) -> tuple[int, ...]:
    return _interleaved(_by_class(data, "test", f"{protocol.seed} test"))[: protocol.test_rows]


def _interleaved(classes: Sequence[Sequence[int]]) -> tuple[int, ...]:
    longest = max(map(len, classes))
    return tuple(numbers[i] for i in range(longest) for numbers in classes if i < len(numbers))


def minibatch(rows: Sequence[int], size: int, key: str, generation: int) -> list[int]:
    """The rows of one generation: consecutive pieces of a freshly shuffled order, epoch after epoch.

    Args:
        rows: numbers of the training rows.
        size: rows in a minibatch; never more than there are.
        key: names the order, for example seed and repetition.
        generation: counted from 0.

    >>> batches = [minibatch(range(6), 4, "0 0", generation) for generation in range(3)]
    >>> sorted(batches[0] + batches[1] + batches[2]) == sorted(2 * list(range(6)))
    True
    """
    size = min(size, len(rows))
    found: list[int] = []
    position = generation * size
    while len(found) < size:
        epoch, offset = divmod(position + len(found), len(rows))
        order = list(rows)
        random.Random(f"{key} {epoch}").shuffle(order)
        found += order[offset : offset + size - len(found)]
    return found

"""Countdown problems that have a solution, because they are made from one."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from random import Random

from harness.core import UserError

Part = tuple[Fraction, str]  # a value and how it is written
TRIES = 100_000
"""Draws without a problem that is new, after which there are taken to be no more."""


@dataclass(frozen=True)
class Problem:
    """Numbers to combine, the target to reach, and one way to reach it.

    >>> Problem((5, 7, 12), 24, "12 * (7 - 5)").target
    24
    """

    numbers: tuple[int, ...]
    target: int
    solution: str


def problems(
    key: str,
    counts: Sequence[int] = (3, 4),
    largest: int = 99,
    targets: tuple[int, int] = (10, 100),
) -> Iterator[Problem]:
    """Distinct problems without end, the same for the same key.

    Numbers are drawn evenly from 1 to ``largest`` and combined, two parts at a time, by operations drawn
    evenly, all of them once; what reaches no whole target within the limits is drawn again.

    Args:
        key: of the random numbers.
        counts: how many numbers a problem may have, each equally often.
        largest: number given.
        targets: least and largest target.

    Raises:
        UserError: where ``TRIES`` draws in a row give none that is new.

    >>> first = next(problems("a"))
    >>> first == next(problems("a")), len(first.numbers) in (3, 4), 10 <= first.target <= 100
    (True, True, True)
    """
    random = Random(f"countdown {key}")
    known: set[tuple[tuple[int, ...], int]] = set()
    tries = 0
    while True:
        count = random.choice(list(counts))
        made = None
        while made is None:
            tries += 1
            if tries > TRIES:
                raise UserError(
                    f"countdown: {', '.join(map(str, counts))} numbers up to {largest} make {len(known)} "
                    "different problems, and more are asked for; lower rows, or raise numbers or largest"
                )
            numbers = [random.randint(1, largest) for _ in range(count)]
            made = _combined(numbers, random, targets)
        target, solution = made
        kind = tuple(sorted(numbers)), target
        if kind not in known:
            tries = 0
            known.add(kind)
            random.shuffle(numbers)  # the order given says nothing about the solution
            yield Problem(tuple(numbers), target, solution)


def _combined(numbers: Sequence[int], random: Random, targets: tuple[int, int]) -> tuple[int, str] | None:
    parts: list[Part] = [(Fraction(number), str(number)) for number in numbers]
    while len(parts) > 1:
        left, right = (parts.pop(random.randrange(len(parts))) for _ in range(2))
        made = _joined(left, right, random.choice("+-*/"))
        if made is None:
            return None
        parts.append(made)
    value, text = parts[0]
    fits = value.denominator == 1 and targets[0] <= value <= targets[1]
    return (int(value), _bare(text)) if fits else None


def _joined(left: Part, right: Part, sign: str) -> Part | None:
    (a, first), (b, second) = left, right
    if sign == "/" and b == 0:
        return None
    value = a + b if sign == "+" else a - b if sign == "-" else a * b if sign == "*" else a / b
    return value, f"({first} {sign} {second})"


def _bare(text: str) -> str:
    return text[1:-1] if text.startswith("(") else text


def solution(numbers: Sequence[int], target: int) -> str | None:
    """One way to reach a target with all of the numbers, or None where there is none.

    Tries all ways: for up to five numbers.

    >>> solution([3, 3, 8, 8], 24), solution([1, 1], 7)
    ('8 / (3 - (8 / 3))', None)
    """
    found = _search([(Fraction(number), str(number)) for number in numbers], Fraction(target))
    return None if found is None else _bare(found)


def _search(parts: list[Part], target: Fraction) -> str | None:
    if len(parts) == 1:
        return parts[0][1] if parts[0][0] == target else None
    for i, j in itertools.permutations(range(len(parts)), 2):
        others = [part for k, part in enumerate(parts) if k not in (i, j)]
        for sign in "+-*/" if i < j else "-/":  # sums and products do not mind the order
            made = _joined(parts[i], parts[j], sign)
            found = None if made is None else _search([*others, made], target)
            if found is not None:
                return found
    return None

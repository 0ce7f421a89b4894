"""How a generated answer is judged: a number from 0 to 1, the higher the better."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from tasks.answers.data import AnswerRow
from tasks.countdown.verifier import FORMAT_SHARE, layout, solves

Judge = Callable[[str, AnswerRow], float]
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_NUMBER = re.compile(r"(?:(?<![\w)])-)?(?:\$\s?)?((?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?)")


@dataclass(frozen=True)
class Reward:
    """A way to judge a generated answer.

    Args:
        metric: its name in tables.
        judge: ``(text, row) -> [0, 1]``, which is reported.
        shaped: what a search sees in its place; None where that is the same.
        beside: other judges by metric, reported too.
    """

    metric: str
    judge: Judge
    shaped: Judge | None = None
    beside: tuple[tuple[str, Judge], ...] = ()


def normalised(text: str) -> list[str]:
    """Words in lower case, without punctuation and articles.

    Source: Rajpurkar et al., SQuAD: 100,000+ Questions for Machine Comprehension of Text, 2016.

    >>> normalised("The cat's  meow, an echo.")
    ['cats', 'meow', 'echo']
    """
    plain = "".join(character for character in text.lower() if character not in string.punctuation)
    return _ARTICLES.sub(" ", plain).split()


def exact_match(text: str, row: AnswerRow) -> float:
    """1 where the normalised text equals one of the normalised answers.

    >>> exact_match("the Nile.", AnswerRow({}, ("Amazon", "Nile")))
    1.0
    """
    return float(any(normalised(text) == normalised(answer) for answer in row.answers))


def token_f1(text: str, row: AnswerRow) -> float:
    """F1 of the normalised words of text and answer, counted with multiplicity; of the answers the best.

    Where either has no words: 1 if neither has, else 0.

    >>> round(token_f1("in the river Nile", AnswerRow({}, ("Nile", "the Nile river"))), 3)
    0.8
    """
    return max(_f1(normalised(text), normalised(answer)) for answer in row.answers)


def _f1(found: list[str], right: list[str]) -> float:
    if not found or not right:
        return float(found == right)
    same = sum((Counter(found) & Counter(right)).values())
    return 2 * same / (len(found) + len(right))


def last_number(text: str) -> Fraction | None:
    """The number after the last ``####`` that has one, else the last number; commas and ``$`` are dropped.

    >>> last_number("so 3 * 400 = $1,200."), last_number("#### -5 apples and 2 pears"), last_number("none")
    (Fraction(1200, 1), Fraction(-5, 1), None)
    """
    for marked in reversed(text.split("####")[1:]):
        if match := _NUMBER.search(marked):
            return _number(match)
    found = list(_NUMBER.finditer(text))
    return _number(found[-1]) if found else None


def _number(match: re.Match[str]) -> Fraction:
    size = Fraction(match[1].replace(",", ""))
    return -size if match[0].startswith("-") else size


def same_number(text: str, row: AnswerRow) -> float:
    """1 where the text's last number is that of the first answer, which may be a whole worked solution.

    Source: Cobbe et al., Training Verifiers to Solve Math Word Problems, 2021.

    >>> same_number("that makes 18.00 dollars", AnswerRow({}, ("9 * 2 = 18\\n#### 18",)))
    1.0
    """
    found = last_number(text)
    return float(found is not None and found == last_number(row.answers[0]))


def countdown(text: str, row: AnswerRow) -> float:
    """1 where the text solves the row's problem: its ``numbers``, ``target`` and ``every`` among the facts.

    Where the facts have ``tagged``, only an answer between tags counts.

    >>> row = AnswerRow({}, ("12 * (7 - 5)",), facts={"numbers": [5, 7, 12], "target": 24, "every": True})
    >>> countdown("<answer>(7 - 5) * 12</answer>", row)
    1.0
    """
    facts = row.facts
    tagged = bool(facts.get("tagged"))
    return float(solves(text, facts["numbers"], facts["target"], facts["every"], tagged))


def countdown_with_format(text: str, row: AnswerRow) -> float:
    """A right answer counts 1 and a perfect layout .1, over 1.1 so that the most is 1.

    Source: the training reward of Qiu et al., Evolution Strategies at Scale, 2025 (published code), where the
    most is 1.1; z-scored or ranked, both are one.

    >>> row = AnswerRow({}, ("12 * (7 - 5)",), facts={"numbers": [5, 7, 12], "target": 24, "every": True})
    >>> round(1.1 * countdown_with_format("12 + 12</think>\\n<answer>12 + 12</answer>", row), 3)
    0.1
    """
    return (countdown(text, row) + FORMAT_SHARE * layout(text)) / (1 + FORMAT_SHARE)


JUDGES = {
    "exact-match": Reward("exact_match", exact_match),
    "token-f1": Reward("token_f1", token_f1, beside=(("exact_match", exact_match),)),
    "countdown": Reward("accuracy", countdown),
    "countdown-format": Reward("accuracy", countdown, shaped=countdown_with_format),
    "gsm8k": Reward("accuracy", same_number),
}
"""Rewards of generated text by name; ``choice`` of ``tasks.answers.REWARDS`` reads none."""

"""Rewards against worked examples, and the Countdown verifier on cases written by hand."""

from __future__ import annotations

import json
import subprocess
import sys
from fractions import Fraction
from itertools import islice
from pathlib import Path

import pytest

from harness.core import UserError
from tasks.answers.data import AnswerRow
from tasks.answers.rewards import JUDGES, exact_match, last_number, same_number, token_f1
from tasks.countdown.expression import LONGEST, Expression
from tasks.countdown.problems import problems, solution
from tasks.countdown.registered import countdown
from tasks.countdown.verifier import layout, solves

CASES = [  # text, numbers, target, every number, whether it solves the problem
    ("<answer>(7 - 5) * 12</answer>", [5, 7, 12], 24, True, True),
    ("thinking</think>\n<answer>12*(7-5)</answer>", [5, 7, 12], 24, True, True),
    ("<answer>12 + 12</answer>", [5, 7, 12], 24, True, False),  # one number twice, two not at all
    ("<answer>12 + 12</answer>", [12, 12], 24, True, True),  # given twice, used twice
    ("<answer>7 + 5</answer>", [5, 7, 12], 12, True, False),  # not all of them
    ("<answer>7 + 5</answer>", [5, 7, 12], 12, False, True),  # which here need not be
    ("<answer>8 / (3 - 8 / 3)</answer>", [3, 3, 8, 8], 24, True, True),  # thirds, exactly
    ("<answer>1 / 3 * 3</answer>", [1, 3, 3], 1, True, True),
    ("<answer>100000000 / 3 * 3 + 1</answer>", [100000000, 3, 3, 1], 100000001, True, True),
    ("<answer>7 / (5 - 5)</answer>", [5, 5, 7], 7, True, False),  # a division by zero
    ("<answer>2 ** 3</answer>", [2, 3], 8, True, False),  # no operator of this game
    ("<answer>7 // 2</answer>", [2, 7], 3, True, False),
    ("<answer>7 - 5 = 2</answer>", [5, 7], 2, True, False),  # an equation is no expression
    ("<answer>seven minus five</answer>", [5, 7], 2, True, False),
    ("<answer>__import__('os').getpid()</answer>", [5, 7], 2, True, False),
    ("<answer>7 + 5</answer> no: <answer>7 - 5</answer>", [5, 7], 2, True, True),  # the last one counts
    ("<answer>7 - 5</answer> no: <answer>7 + 5</answer>", [5, 7], 2, True, False),
    ("First 7 + 5 = 12.\nSo it is 7 - 5 = 2.", [5, 7], 2, True, True),  # without tags: the last line
    ("The answer is 2.", [5, 7], 2, True, False),  # a number is not how to make it
    ("<answer>-(5 - 7)</answer>", [5, 7], 2, True, True),  # a sign before an operand
    ("<answer>" + "(" * 200 + "7 - 5" + ")" * 200 + "</answer>", [5, 7], 2, True, False),  # too long
    ("<answer>(7 - 5</answer>", [5, 7], 2, True, False),
    ("<answer>7 5</answer>", [5, 7], 75, True, False),
    ("<answer></answer>", [5, 7], 2, True, False),
    ("", [5, 7], 2, True, False),
]


@pytest.mark.parametrize(("text", "numbers", "target", "every", "right"), CASES)
def test_the_verifier_is_right_on_cases_written_by_hand(
    text: str, numbers: list[int], target: int, every: bool, right: bool
) -> None:
    assert solves(text, numbers, target, every) is right


@pytest.mark.parametrize(("text", "numbers", "target", "every", "right"), CASES)
def test_where_tags_are_asked_for_an_answer_without_them_is_none(
    text: str, numbers: list[int], target: int, every: bool, right: bool
) -> None:
    assert solves(text, numbers, target, every, tagged=True) is (right and "</answer>" in text)


def test_with_the_published_reward_only_an_answer_between_tags_is_right() -> None:
    bare, published = (countdown(rows=1, reward=name) for name in ("countdown", "countdown-format"))  # type: ignore[arg-type]
    row, tagged = bare.splits["train"][0], published.splits["train"][0]
    text = f"so it is {row.answers[0].partition('<answer>')[2].removesuffix('</answer>')}"
    assert JUDGES["countdown"].judge(text, row) == 1.0
    assert JUDGES["countdown-format"].judge(text, tagged) == 0.0
    assert JUDGES["countdown-format"].judge(f"<answer>{text[9:]}</answer>", tagged) == 1.0


@pytest.mark.parametrize("text", ["1_0", "2(3)", "0x10", "1.5", "1e3", "٣", "1,000", "a", "+", "()", "1 +"])
def test_what_is_no_expression_of_the_game_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"number|part|operator"):
        Expression(text)


def test_operators_bind_as_usual_and_the_longest_expression_can_be_read() -> None:
    assert Expression("2 + 3 * 4 - 8 / 4 / 2").value == 13
    assert Expression("1 / 3").value == Fraction(1, 3)
    deep = (LONGEST - 1) // 2
    assert Expression("(" * deep + "7" + ")" * deep).value == 7


def test_layout_is_graded_as_in_the_published_code() -> None:
    # Cases worked out by hand from the rules: 1 for the whole, .1 for a thought, .5 for an answer.
    assert layout("3 + 4</think>\n<answer>3 + 4</answer>") == 1.0
    assert layout("3 + 4</think>\n<answer>3 + 4</answer>\n") == 1.0  # "$" matches before a last line break
    assert layout("3 + 4</think> <answer>3 + 4</answer>") == pytest.approx(0.6)  # no line break between
    assert layout("3 + 4</think>\n<answer>3 + 4</answer> done") == pytest.approx(0.6)
    assert layout("3 + 4</think>") == pytest.approx(0.1)
    assert layout("<answer>3 + 4</answer>") == pytest.approx(0.5)
    assert layout("3 + 4") == 0.0


@pytest.mark.parametrize(
    ("text", "answers", "f1", "exact"),
    [
        ("The Denver Broncos!", ("Denver Broncos",), 1.0, 1.0),
        ("Broncos of Denver", ("Denver Broncos",), 2 * 2 / 5, 0.0),  # precision 2/3, recall 1
        ("a b b", ("b b c",), 2 * 2 / 5, 0.0),  # "a" is an article: words b, b against b, b, c
        ("blue", ("red", "navy blue"), 2 / 3, 0.0),  # the best of the answers
        ("", ("the",), 1.0, 1.0),  # nothing is left of either
        ("", ("red",), 0.0, 0.0),
    ],
)
def test_token_f1_and_exact_match_on_worked_examples(
    text: str, answers: tuple[str, ...], f1: float, exact: float
) -> None:
    row = AnswerRow({}, answers)
    assert token_f1(text, row) == pytest.approx(f1)
    assert exact_match(text, row) == exact


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("#### 1,234", 1234),
        ("it costs $3.50, or $ 7 for two", 7),
        ("10 - 5", 5),  # a minus between numbers is no sign
        ("x = -5.", -5),
        ("about 1,000,000 people", 1_000_000),
        ("#### 42\nand 7 more", 42),
        ("between 3,4 and 5", 5),
    ],
)
def test_the_last_number_is_found_through_commas_dollars_and_marks(text: str, number: float) -> None:
    assert last_number(text) == Fraction(str(number))


def test_a_worked_solution_is_compared_by_its_number() -> None:
    row = AnswerRow({}, ("Each has 9, so 2 * 9 = <<2*9=18>>18.\n#### 18",))
    assert same_number("So it is $18.00.", row) == 1.0
    assert same_number("18 or 19", row) == 0.0
    assert same_number("no idea", row) == 0.0


def test_problems_are_solved_by_their_solution_and_no_two_are_alike() -> None:
    found = list(islice(problems("test"), 300))
    assert all(solves(f"<answer>{each.solution}</answer>", each.numbers, each.target) for each in found)
    assert len({(tuple(sorted(each.numbers)), each.target) for each in found}) == 300
    assert {len(each.numbers) for each in found} == {3, 4}


def test_more_problems_than_there_are_is_an_error_and_no_endless_search() -> None:
    # Targets from 10: the sum 5 + 5, and the products 2 * 5, 3 * 4, 3 * 5, 4 * 4, 4 * 5, 5 * 5
    with pytest.raises(UserError, match="2 numbers up to 5 make 7 different problems"):
        countdown(numbers=(2,), largest=5, rows=3)
    assert len(countdown(numbers=(2,), largest=5, rows=2).splits["test"]) == 2


def test_the_solver_finds_a_solution_wherever_one_was_made() -> None:
    for each in islice(problems("solver"), 30):
        found = solution(each.numbers, each.target)
        assert solves(f"<answer>{found}</answer>", each.numbers, each.target)


def test_the_first_answer_of_each_row_gets_the_whole_reward() -> None:
    data = countdown(rows=30, reward="countdown-format")
    judge = JUDGES[data.reward]
    assert judge.shaped is not None
    for rows in data.splits.values():
        assert {judge.judge(row.answers[0], row) for row in rows} == {1.0}
        assert {judge.shaped(row.answers[0], row) for row in rows} == {1.0}


def test_the_script_writes_what_the_data_set_reads(tmp_path: Path) -> None:
    script = Path(__file__).parents[3] / "scripts" / "make_countdown.py"
    subprocess.run([sys.executable, script, "--rows", "10", "--to", tmp_path], check=True)
    assert countdown(path=tmp_path).digest == countdown(rows=10).digest
    one = countdown(path=tmp_path / "train.jsonl")
    assert {split: len(rows) for split, rows in one.splits.items()} == {"test": 2, "dev": 2, "train": 6}


def test_problems_of_others_need_no_solution_and_bad_lines_are_named(tmp_path: Path) -> None:
    file = tmp_path / "problems.jsonl"
    lines = [{"nums": [44, 19, 35], "target": 98}] * 5
    file.write_text("\n".join(map(json.dumps, lines)))
    row = countdown(path=file).splits["train"][0]
    assert JUDGES["countdown"].judge(row.answers[0], row) == 1.0
    file.write_text(file.read_text() + '\n{"nums": [1, 1], "target": 7}')
    with pytest.raises(UserError, match=r"line 6: ValueError: \[1, 1\] cannot make 7"):
        countdown(path=file)
    file.write_text("[1, 2]")
    with pytest.raises(UserError, match="line 1"):
        countdown(path=file)
    with pytest.raises(UserError, match=r"make_countdown\.py"):
        countdown(path=tmp_path / "nowhere")

"""The data set `countdown` as the registries know it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from harness.core import UserError
from tasks.answers.data import AnswerData, AnswerRow
from tasks.countdown.problems import Problem, problems, solution

TEMPLATE = (
    "You are a helpful assistant. You think a problem through before you give the answer.\n"
    "Using the numbers [{numbers}], write an expression that is worth {target}. It may have +, -, *, / and "
    "parentheses, and {rule}. Write your thoughts between <think> and </think>, and after them the bare "
    "expression between <answer> and </answer>, such as <answer>(1 + 2) / 3</answer>.\n"
    "Let us think step by step.\n"
    "<think>"
)
RULES = {True: "uses each number exactly once", False: "uses each number at most once"}
SPLITS = ("train", "dev", "test")
SMOKE_ROWS = 48
MOST = 6
"""Numbers of a problem: what there is to try grows faster than exponentially with them."""
SMOKE_TOKENS = 8
TAGGED = "countdown-format"
"""The reward that reads what stands between tags alone."""


def countdown(
    *,
    numbers: tuple[int, ...] = (3, 4),
    largest: Annotated[int, Field(ge=2)] = 99,
    rows: Annotated[int, Field(ge=1)] = 2000,
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0,
    path: Path | None = None,
    every: bool = True,
    reward: Literal["countdown", "countdown-format"] = "countdown",
    new_tokens: Annotated[int, Field(ge=1)] = 256,
    temperature: Annotated[float, Field(ge=0)] = 0.0,
    smoke: bool = False,
    planning: bool = False,
) -> AnswerData:
    """Countdown problems: generated, each with a solution, or read from JSONL.

    The prompt has the published work's parts (thoughts and answer between tags, a worked example of the
    tags, the thought already begun) in words of our own; figures are comparable, not equal.

    Args:
        numbers: how many numbers a problem may have.
        largest: number given.
        rows: of each split.
        seed: of the problems.
        path: a folder with ``train.jsonl``, ``test.jsonl`` and perhaps ``dev.jsonl``, or one file, of which
            every fifth row is for test and the next one for dev. A line is an object with ``numbers`` (or
            ``nums``), ``target`` and perhaps ``solution``.
        every: whether each number has to be used.
        reward: ``countdown`` takes the last expression where an answer has no tags. With
            ``countdown-format``, as published, only an answer between tags is right, and a search sees a
            tenth for the layout beside it.
        new_tokens: most tokens of an answer.
        temperature: of sampling, 0 for the likeliest token each time.
        smoke: few rows and short answers, to try things out.
        planning: no file is read; generated rows stand in.

    Raises:
        UserError: naming file and line.

    Source: Pan et al., TinyZero, 2025 (the task and its prompt); Qiu et al., Evolution Strategies at Scale,
    2025 (the rewards).

    >>> data = countdown(rows=4)
    >>> row = data.splits["train"][0]
    >>> row.facts["target"], str(row.facts["target"]) in data.filled(row)
    (37, True)
    """
    if smoke:
        rows, new_tokens = min(rows, SMOKE_ROWS), min(new_tokens, SMOKE_TOKENS)
    if path is None or smoke or planning:
        if not numbers or not all(2 <= count <= MOST for count in numbers):
            raise UserError(f"countdown: numbers: must be from 2 to 6 in a problem, got {list(numbers)}")
        drawn = islice(problems(str(seed), numbers, largest), 3 * rows)
        found = {split: list(islice(drawn, rows)) for split in SPLITS}
    else:
        found = _read(path)
    return AnswerData(
        "countdown",
        {split: [_row(problem, every, reward == TAGGED) for problem in found[split]] for split in found},
        TEMPLATE,
        reward,
        new_tokens,
        stop=None,
        temperature=temperature,
        average_tokens=130.0,
    )


def _row(problem: Problem, every: bool, tagged: bool) -> AnswerRow:
    numbers, target = " ".join(map(str, problem.numbers)), str(problem.target)
    answer = f"{problem.solution} = {target}</think>\n<answer>{problem.solution}</answer>"
    facts: dict[str, Any] = {"numbers": list(problem.numbers), "target": problem.target, "every": every}
    if tagged:
        facts["tagged"] = True
    return AnswerRow({"numbers": numbers, "target": target, "rule": RULES[every]}, (answer,), facts=facts)


def write(path: Path, found: Iterable[Problem]) -> None:
    """Problems as JSONL, in the form that ``countdown[path=...]`` reads."""
    lines = (
        json.dumps({"numbers": problem.numbers, "target": problem.target, "solution": problem.solution})
        for problem in found
    )
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _read(path: Path) -> dict[str, list[Problem]]:
    if path.is_dir():
        files = {split: path / f"{split}.jsonl" for split in SPLITS}
        for split in ("train", "test"):
            if not files[split].is_file():
                raise UserError(f"countdown: path: {files[split]}: no such file; a folder needs one")
        return {split: _lines(file) for split, file in files.items() if file.is_file()}
    if not path.is_file():
        raise UserError(
            f"countdown: path: {path}: no such file or folder; scripts/make_countdown.py makes one, or leave "
            f"path out"
        )
    every = _lines(path)
    if len(every) < 5:
        raise UserError(
            f"countdown: path: {path}: {len(every)} problems are too few to split; give 5 at least"
        )
    return {
        "test": every[0::5],
        "dev": every[1::5],
        "train": [problem for i, problem in enumerate(every) if i % 5 > 1],
    }


def _lines(file: Path) -> list[Problem]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(
            f"countdown: path: {file}: cannot be read ({error.strerror}); name a file that can"
        ) from None
    except UnicodeDecodeError:
        raise UserError(f"countdown: path: {file}: is not UTF-8; convert it") from None
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                found.append(_problem(json.loads(line)))
            except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
                raise UserError(
                    f"countdown: path: {file}, line {number}: {type(error).__name__}: {error}; write an "
                    'object such as {"numbers": [3, 8, 1], "target": 24}'
                ) from error
    return found


def _problem(entry: Any) -> Problem:
    numbers = tuple(int(number) for number in entry["numbers" if "numbers" in entry else "nums"])
    if not 1 <= len(numbers) <= MOST:
        raise ValueError(f"from 1 to {MOST} numbers, got {len(numbers)}")
    target = int(entry["target"])
    known = entry.get("solution") or solution(numbers, target)
    if known is None:
        raise ValueError(f"{list(numbers)} cannot make {target}")
    return Problem(numbers, target, str(known))

"""The report as one Markdown text, to paste where people read it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING

from harness.report.boards import board
from harness.report.definitions import definitions
from harness.report.finding import finding
from harness.report.formats import escape_markdown, one_line, rendered
from harness.report.gaps import environments, gaps
from harness.report.page import number
from harness.report.study import Study

if TYPE_CHECKING:
    from harness.running.results import Results


def markdown_report(results: Results, title: str | None = None) -> str:
    r"""Finding, average ranks, leaderboards by task, gaps, definitions and environment as Markdown.

    Args:
        results: of a sweep, finished or not.
        title: of the whole; the name of the folder by default.

    >>> from harness.report.example import example
    >>> print(markdown_report(example().results, "Two *tasks*").splitlines()[0])
    # Two \*tasks\*
    """
    study = Study(results)
    parts = [
        f"# {_text(title or results.path.resolve().name or 'results')}",
        "\n\n".join(_text(sentence) for sentence in finding(study)),
        "## Over all tasks",
        _standing(study),
        "## Leaderboard by task",
        rendered(board(results), "markdown").rstrip() if study.tasks else "Nothing was planned.",
        "## Cells without a clean result",
        _gaps(study),
        "## Methods and definitions",
        "\n".join(f"- **{_text(term)}.** {_text(meaning)}" for term, meaning in definitions(study)),
        "## Environment",
        _environments(results),
        f"Made by `gradfree report --format markdown`, gradfree {version('gradfree')}.",
    ]
    return "\n\n".join(parts) + "\n"


def _standing(study: Study) -> str:
    heads = ["algorithm", "average rank", "against the best", "normalised gain"]
    heads += [study.common_metric or "metric", "anytime"]
    rows = [
        [
            line["entry"],
            number(line["rank"], 2),
            line["tie"],
            _interval(line["gain"], line["gain_low"], line["gain_high"], line["gain_n"]),
            _interval(line["level"], line["level_low"], line["level_high"], line["level_n"]),
            number(line["anytime"]),
        ]
        for line in study.standing.to_dict("records")
    ]
    blocks = len(study.blocks.scores)
    note = f"Ranks are over {blocks} blocks of task and repetition. " if blocks else ""
    return f"{_table(heads, rows)}\n\n{note}A dash is a number that is missing on some task."


def _interval(value: float, low: float, high: float, n: int) -> str:
    if math.isnan(value):
        return "–"
    interval = "" if math.isnan(low) else f" [{number(low)}, {number(high)}]"
    return f"{number(value)}{interval} n={n}"


def _gaps(study: Study) -> str:
    found = gaps(study)
    if not found:
        return "Every planned cell finished."
    names = ("status", "task", "entry")
    rows = [
        [*(gap[name] for name in names), ", ".join(gap["repetitions"]), gap["reason"] or "–"] for gap in found
    ]
    return _table(["status", "task", "algorithm", "repetitions", "reason"], rows)


def _environments(results: Results) -> str:
    tables = [
        f"### {_text(key)}\n\n{_table(['what', 'value'], list(facts.items()))}"
        for key, facts in environments(results).items()
    ]
    return "\n\n".join(tables) or "Not recorded."


def _table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [" | ".join(_text(str(cell)) for cell in row) for row in (heads, *rows)]
    lines.insert(1, " | ".join("---" for _ in heads))
    return "\n".join(f"| {line} |" for line in lines)


def _text(text: str) -> str:
    return escape_markdown(one_line(text))

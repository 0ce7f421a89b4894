"""Leaderboards as text in the formats of spreadsheets, programs, web pages and papers."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from harness.core.errors import UserError
from harness.report.boards import Board
from harness.report.escaping import as_csv, as_json
from harness.report.first_order import NOT_RUN
from harness.report.latex import HEAD, latex_table

FORMATS = ("table", "csv", "json", "markdown", "latex")

MARKS = {"best": "*", "tied": "=", "not enough data": "?"}
"""Of a rank: whether tests tell it from the best."""
LEGEND = (
    "n: values that a mean is of, of those planned; [95 % interval]. * best; = not told from the best by "
    "paired signed-rank tests (Holm, p < 0.05); ? too few blocks for a test; ref: a reference, not ranked."
)


def rendered(board: Board, form: str) -> str:
    r"""A leaderboard as ``csv``, ``json``, ``markdown`` or ``latex`` (with booktabs), ending in a newline.

    Raises:
        UserError: for another format.

    >>> from harness.report.boards import board
    >>> from harness.report.example import example
    >>> print(rendered(board(example().results, "family"), "markdown").splitlines()[4][:35])
    | 1\* | mezo | 0.500 [0.481, 0.519]
    """
    if form == "csv":
        return as_csv(board.rows)
    if form == "json":
        rows = json.loads(board.rows.to_json(orient="records", double_precision=15))
        content = {"by": board.by, "about": board.about, "measures": board.measures, "notes": board.notes}
        content |= {"rows": rows}
        return as_json(content) + "\n"
    if form == "markdown":
        return _markdown(board)
    if form == "latex":
        return _latex(board)
    raise UserError(f"--format: {form!r} is none of {', '.join(FORMATS)}")


def headings(board: Board, group: str) -> list[str]:
    """Names of the columns that ``lines`` gives."""
    metric = next((name for name in board.rows.loc[board.rows["group"] == group, "metric"] if name), "metric")
    names = [board.headings[name].replace("{metric}", metric) for name in board.measures]
    return ["rank", "algorithm", *map(one_line, names), "n", "options", "versions"]


def lines(board: Board, group: str) -> list[list[str]]:
    """The rows of a group as texts, not escaped, each on one line."""
    rows = board.rows[board.rows["group"] == group].to_dict("records")
    return [_line(row, board.measures) for row in rows]


def _line(row: dict[Any, Any], measures: tuple[str, ...]) -> list[str]:
    n = max(int(row[f"{name}_n"]) for name in measures)
    place = "ref" if row["reference"] else _rank(row["rank"])
    return [
        place + MARKS.get(row["tie"], ""),
        one_line(row["algorithm"]) + f" ({NOT_RUN})" * (row["tie"] == NOT_RUN),
        *(measure_text(row, name, n) for name in measures),
        f"{n}/{row['planned']}" if n != row["planned"] else str(n),
        options_text(row),
        one_line(row["provider"]),
    ]


def options_text(row: Mapping[Any, Any]) -> str:
    """The options that hold, and what the trials spent by which they were chosen.

    >>> options_text({"options": "lr=2", "effort": 320})
    'lr=2 (trials: 320 evaluations)'
    """
    spent = f"(trials: {row['effort']:,} evaluations)" if row["effort"] else ""
    return " ".join(filter(None, [one_line(row["options"]), spent]))


def _rank(rank: float) -> str:
    """A place, or the average of some, as short as it can be."""
    return "–" if math.isnan(rank) else f"{rank:.2f}".rstrip("0").rstrip(".")


def measure_text(row: Mapping[Any, Any], name: str, n: int) -> str:
    """A measure of a row with its interval, and of how many values it is where that is not ``n``.

    >>> measure_text({"gap": 0.1, "gap_low": 0.05, "gap_high": 0.15, "gap_n": 2}, "gap", 3)
    '0.100 [0.050, 0.150] (n=2)'
    """
    value, low, high = (row[name + end] for end in ("", "_low", "_high"))
    if math.isnan(value):
        return "–"
    interval = "–" if math.isnan(low) else f"{_number(low)}, {_number(high)}"
    count = int(row[f"{name}_n"])
    if f"{name}_successes" in row:
        own = f" {int(row[f'{name}_successes'])}/{count}"
    else:
        own = "" if count == n else f" (n={count})"
    return f"{_number(value)} [{interval}]{own}"


def _number(value: float) -> str:
    """Three digits: decimals where it is small, a power of ten where it is large."""
    if value == 0:
        return "0"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if 1e-3 <= abs(value) < 10:
        return f"{value:.3f}"
    return f"{value:.3g}".replace("e+0", "e").replace("e-0", "e-").replace("e+", "e")


def one_line(text: str) -> str:
    """A name without line breaks, control characters and marks that turn the direction of writing."""
    return "".join(each for each in " ".join(text.split()) if each.isprintable())


def remarks(board: Board, group: str) -> list[str]:
    """What a terminal has no columns for: options that were tuned, versions, and the group's note."""
    rows = board.rows[board.rows["group"] == group].to_dict("records")
    said = [
        f"{one_line(row['algorithm'])}: {options_text(row)}"
        for row in rows
        if row["kind"] == "tuned" and options_text(row)
    ]
    versions: dict[str, list[str]] = {}
    for row in rows:
        if row["tie"] != NOT_RUN:
            name = one_line(row["provider"]) or "unknown version"
            versions.setdefault(name, []).append(row["algorithm"])
    said += [f"{version}: {', '.join(map(one_line, names))}" for version, names in versions.items()]
    return said + notes(board, group)


def notes(board: Board, group: str) -> list[str]:
    """The group's note, and of a first-order reference that was not run, how to have it."""
    rows = board.rows[(board.rows["group"] == group) & (board.rows["tie"] == NOT_RUN)]
    said = [f"{row['algorithm']} {row['reason']}" for row in rows.to_dict("records")]
    return [one_line(note) for note in (board.notes.get(group), *said) if note]


def escape_markdown(text: str) -> str:
    r"""A text that Markdown shows as it is, in a table too.

    >>> escape_markdown("a|b <i>*c*")
    'a\\|b &lt;i&gt;\\*c\\*'
    """
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = "".join(f"\\{each}" if each in "\\`*_{}|~#$!" else each for each in text)
    return text.replace("](", "]\\(")  # brackets alone are no link, and intervals stay readable


def groups(board: Board) -> list[str]:
    """Names of the groups, in order."""
    return list(dict.fromkeys(board.rows["group"]))


def _markdown(board: Board) -> str:
    parts = []
    for group in groups(board):
        heads = headings(board, group)
        table = [heads, *lines(board, group)]
        texts = ["| " + " | ".join(escape_markdown(cell) for cell in row) + " |" for row in table]
        texts.insert(1, "|" + " --- |" * len(heads))
        parts.append("\n".join([f"### {escape_markdown(one_line(group))}", "", *texts]))
        parts += [escape_markdown(note) for note in notes(board, group)]
    said = [escape_markdown(text) for text in (board.about, LEGEND) if text]
    return "\n\n".join([*parts, *said]) + "\n"


def _latex(board: Board) -> str:
    parts = [HEAD]
    for group in groups(board):
        said = [one_line(group), *notes(board, group), one_line(board.about).removesuffix("."), LEGEND]
        parts.append(latex_table(headings(board, group), lines(board, group), ". ".join(filter(None, said))))
    return "\n\n".join(parts) + "\n"

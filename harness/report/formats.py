"""Leaderboards as text in the formats of spreadsheets, programs, web pages and papers."""

from __future__ import annotations

import json
import math
from typing import Any

from harness.core.errors import UserError
from harness.report.boards import Board

FORMATS = ("table", "csv", "json", "markdown", "latex")

_MARKS = {"best": "*", "tied": "=", "not enough data": "?"}
LEGEND = (
    "n: values that a mean is of, of those planned; [95 % interval]. * best; = not told from the best by "
    "paired signed-rank tests (Holm, p < 0.05); ? too few blocks for a test; ref: a reference, not ranked."
)

_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "[": "{[}",
    "]": "{]}",
    "–": "--",
    **{mark: f"\\{mark}" for mark in "&%$#_{}"},
}


def rendered(board: Board, form: str) -> str:
    r"""A leaderboard as ``csv``, ``json``, ``markdown`` or ``latex`` (with booktabs), ending in a newline.

    Raises:
        UserError: for another format.

    >>> from harness.report.boards import board
    >>> from harness.report.example import example
    >>> print(rendered(board(example().results, "family"), "markdown").splitlines()[4][:38])
    | 1.00\* | mezo | 0.500 [0.481, 0.519]
    """
    if form == "csv":
        return board.rows.to_csv(index=False)
    if form == "json":
        rows = json.loads(board.rows.to_json(orient="records", double_precision=15))
        content = {"by": board.by, "measures": board.measures, "notes": board.notes, "rows": rows}
        return json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    if form == "markdown":
        return _markdown(board)
    if form == "latex":
        return _latex(board)
    raise UserError(f"--format: {form!r} is none of {', '.join(FORMATS)}")


def headings(board: Board, group: str) -> list[str]:
    """Names of the columns that ``lines`` gives."""
    metric = next((name for name in board.rows.loc[board.rows["group"] == group, "metric"] if name), "metric")
    spoken = {"test": f"test {metric}", "dev": f"dev {metric}", "level": f"level ({metric})"}
    names = [spoken.get(name, name) for name in board.measures]
    return ["rank", "algorithm", *map(one_line, names), "n", "options", "versions"]


def lines(board: Board, group: str) -> list[list[str]]:
    """The rows of a group as texts, not escaped, each on one line."""
    rows = board.rows[board.rows["group"] == group].to_dict("records")
    return [_line(row, board.measures) for row in rows]


def _line(row: dict[Any, Any], measures: tuple[str, ...]) -> list[str]:
    counts = [int(row[f"{name}_n"]) for name in measures]
    n = max(counts)
    place = "ref" if row["reference"] else _rank(row["rank"], fine="gain" in measures)
    return [
        place + _MARKS.get(row["tie"], ""),
        one_line(row["algorithm"]),
        *(_measure(row, name, n) for name in measures),
        f"{n}/{row['planned']}" if n != row["planned"] else str(n),
        one_line(row["options"]),
        one_line(row["provider"]),
    ]


def _rank(rank: float, fine: bool) -> str:
    return "–" if math.isnan(rank) else f"{rank:.2f}" if fine else f"{rank:g}"


def _measure(row: dict[Any, Any], name: str, n: int) -> str:
    value, low, high = (row[name + end] for end in ("", "_low", "_high"))
    if math.isnan(value):
        return "–"
    interval = "–" if math.isnan(low) else f"{_number(low)}, {_number(high)}"
    own = "" if row[f"{name}_n"] == n else f" (n={int(row[f'{name}_n'])})"
    return f"{_number(value)} [{interval}]{own}"


def _number(value: float) -> str:
    """Three digits: decimals where it is small, a power of ten where it is large."""
    if value == 0:
        return "0"
    if 1e-3 <= abs(value) < 10:
        return f"{value:.3f}"
    return f"{value:.3g}".replace("e+0", "e").replace("e-0", "e-").replace("e+", "e")


def one_line(text: str) -> str:
    """A name without line breaks, control characters and marks that turn the direction of writing."""
    return "".join(each for each in " ".join(text.split()) if each.isprintable())


def remarks(board: Board, group: str) -> list[str]:
    """What a terminal has no columns for: ties, options that were tuned, and versions."""
    rows = board.rows[board.rows["group"] == group].to_dict("records")
    said = []
    for tie, words in (("tied", "not told from the best"), ("not enough data", "too few blocks for a test")):
        if names := [one_line(row["algorithm"]) for row in rows if row["tie"] == tie]:
            said.append(f"{words}: {', '.join(names)}")
    said += [
        f"{one_line(row['algorithm'])}: {one_line(row['options'])}"
        for row in rows
        if row["kind"] == "tuned" and row["options"]
    ]
    versions: dict[str, list[str]] = {}
    for row in rows:
        versions.setdefault(one_line(row["provider"]) or "unknown version", []).append(row["algorithm"])
    said += [f"{version}: {', '.join(map(one_line, names))}" for version, names in versions.items()]
    return said + [one_line(note) for note in filter(None, [board.notes.get(group)])]


def escape_markdown(text: str) -> str:
    r"""A text that Markdown shows as it is, in a table too.

    >>> escape_markdown("a|b <i>*c*")
    'a\\|b &lt;i&gt;\\*c\\*'
    """
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = "".join(f"\\{each}" if each in "\\`*_{}|~#$!" else each for each in text)
    return text.replace("](", "]\\(")  # brackets alone are no link, and intervals stay readable


def escape_latex(text: str) -> str:
    r"""A text that LaTeX prints as it is.

    >>> escape_latex("50 % of a_b")
    '50 \\% of a\\_b'
    """
    return "".join(_LATEX.get(each, each) for each in text)


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
        parts += [escape_markdown(one_line(note)) for note in filter(None, [board.notes.get(group)])]
    return "\n\n".join([*parts, escape_markdown(LEGEND)]) + "\n"


def _latex(board: Board) -> str:
    parts = []
    for group in groups(board):
        heads = headings(board, group)
        caption = ". ".join(filter(None, [one_line(group), one_line(board.notes.get(group, "")), LEGEND]))
        rows = [" & ".join(escape_latex(cell) for cell in row) + r" \\" for row in lines(board, group)]
        parts.append(
            "\n".join(
                [
                    r"\begin{table}",
                    rf"\caption{{{escape_latex(caption)}}}",
                    rf"\begin{{tabular}}{{rl{'r' * (len(board.measures) + 1)}ll}}",
                    r"\toprule",
                    " & ".join(escape_latex(head) for head in heads) + r" \\",
                    r"\midrule",
                    *rows,
                    r"\bottomrule",
                    r"\end{tabular}",
                    r"\end{table}",
                ]
            )
        )
    return "\n\n".join(["% needs \\usepackage{booktabs}, and \\usepackage[T1]{fontenc}", *parts]) + "\n"

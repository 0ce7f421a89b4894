"""Tables for papers: booktabs and nothing else, in as many parts as a page is wide."""

from __future__ import annotations

import re
from collections.abc import Sequence

HEAD = "% needs \\usepackage{booktabs}, and \\usepackage[T1]{fontenc}"

MOST_COLUMNS = 8
MOST_LETTERS = 80
"""In a line of ``\\footnotesize``, on a page with one column of text; each column takes two for its gap."""

MOST_OF_A_NAME = 34
"""Letters of the column of names; longer ones are broken, as options and versions are."""

_KEPT, _TEXTS, _GAP = 2, 2, 2
_SIGNS = {
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
    "×": r"$\times$",
    "∞": r"$\infty$",
    **{mark: f"\\{mark}" for mark in "&%$#_{}"},
}


def escape_latex(text: str) -> str:
    r"""A text that LaTeX prints as it is.

    >>> escape_latex("50 % of a_b")
    '50 \\% of a\\_b'
    """
    return "".join(_SIGNS.get(each, each) for each in text)


def latex_table(heads: Sequence[str], rows: Sequence[Sequence[str]], caption: str) -> str:
    r"""A table as LaTeX; one that is too wide goes on in further tables, which repeat its first two columns.

    Columns of text stay together, with lines as long as there is room for.

    Args:
        heads: of the columns: rank, name, measures and n, and two of text, options and versions.
        rows: as many texts each, not escaped.
        caption: not escaped.

    >>> wide = latex_table(["rank", "name", "a", "b", "options", "versions"], [["1", "x"] + 4 * ["y" * 20]], "t")
    >>> wide.count(r"\begin{tabular}"), wide.count("rank & name")
    (2, 2)
    """  # noqa: E501
    table = [heads, *rows]
    widths = [max(len(row[place]) for row in table) for place in range(len(heads))]
    texts = len(heads) - _TEXTS
    most = {1: MOST_OF_A_NAME}
    room = MOST_LETTERS - widths[0] - min(widths[1], MOST_OF_A_NAME) - _GAP * (_KEPT + _TEXTS)
    most |= dict.fromkeys(range(texts, len(heads)), room // _TEXTS)
    wrapped = {place: letters for place, letters in most.items() if widths[place] > letters}
    widths = [wrapped.get(place, width) for place, width in enumerate(widths)]
    groups = [*([place] for place in range(_KEPT, texts)), list(range(texts, len(heads)))]
    floats = []
    for number, columns in enumerate(_parts(groups, widths)):
        said = caption if not number else f"{caption.partition('. ')[0]}, continued"
        form = "".join(
            rf"p{{{wrapped[place] / MOST_LETTERS:.2f}\linewidth}}"
            if place in wrapped
            else "l"
            if place == 1 or place >= texts
            else "r"
            for place in columns
        )
        lines = [_line([_cell(row[place], place in wrapped) for place in columns]) for row in table]
        floats.append(_float(form, said, lines))
    return "\n\n".join(floats)


def _parts(groups: Sequence[Sequence[int]], widths: Sequence[int]) -> list[list[int]]:
    """Columns of each part: the first two, and as many groups of the others as there is room for."""
    kept = list(range(_KEPT))
    parts: list[list[int]] = [[]]
    for group in groups:
        wanted = [*kept, *parts[-1], *group]
        letters = sum(widths[each] + _GAP for each in wanted)
        if parts[-1] and (len(wanted) > MOST_COLUMNS or letters > MOST_LETTERS):
            parts.append([])
        parts[-1] += group
    return [[*kept, *part] for part in parts]


def _cell(text: str, wrapped: bool) -> str:
    escaped = escape_latex(text)
    return re.sub(r"([,=])(?=\S)", r"\1\\allowbreak ", escaped) if wrapped else escaped


def _line(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _float(form: str, caption: str, lines: Sequence[str]) -> str:
    return "\n".join(
        [
            r"\begin{table}",
            rf"\caption{{{escape_latex(caption)}}}",
            r"\footnotesize",
            r"\setlength{\tabcolsep}{4pt}",
            rf"\begin{{tabular}}{{{form}}}",
            r"\toprule",
            lines[0],
            r"\midrule",
            *lines[1:],
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
        ]
    )

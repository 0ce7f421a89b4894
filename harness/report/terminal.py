"""Leaderboards on a terminal, a table for each task."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness.report.boards import Board
from harness.report.first_order import NOT_RUN
from harness.report.formats import LEGEND, MARKS, groups, headings, lines, one_line, remarks
from harness.report.tables import Overall

if TYPE_CHECKING:
    import pandas as pd

FULL_WIDTH = 100
NAME_WIDTH = 24
"""Columns that a name may take before it is folded."""
COSTS = ("tokens", "ask/eval/tell s", "memory")


def show_leaderboard(
    board: pd.DataFrame, summary: Overall, console: Console, detail: Board | None = None
) -> None:
    """Print the leaderboard of each task and the mean ranks.

    Fits 100 columns; on a console of fewer (80 is enough) tokens, seconds and memory are left out.

    Args:
        board: a row for each task and algorithm.
        summary: the mean ranks.
        console: to print to.
        detail: the same by task in the same order, for ties, and tuned options and versions below each table.

    >>> from harness.report.tables import leaderboard, overall
    >>> from harness.running.results import Results
    >>> from harness.running.schema import make_table
    >>> from pathlib import Path
    >>> board = leaderboard(Results(Path(), {"runs": make_table("runs", [])}))
    >>> show_leaderboard(board, overall(board), Console(width=100))
    nothing was planned
    """
    if not len(board):
        console.print("nothing was planned")
        return
    for task, cells in board.groupby("task", sort=False):
        metric = next((name for name in cells["metric"] if name), "metric")
        own = detail.rows[detail.rows["group"] == task] if detail else None
        marks = [""] * len(cells) if own is None else [MARKS.get(tie, "") for tie in own["tie"]]
        console.print(_task_table(str(task), metric, cells, marks, console.width >= FULL_WIDTH))
        for line in cells.to_dict("records"):
            if remark := _remark(line, detailed=detail is not None):
                console.print(f"  {escape(remark)}", style="dim", highlight=False)
        for remark in remarks(detail, str(task)) if detail else ():
            console.print(f"  {escape(remark)}", style="dim", highlight=False)
        console.print()
    if board["task"].nunique() > 1:
        _show_overall(summary, console)
    if detail:
        console.print(escape(LEGEND), style="dim", highlight=False)


def show_board(board: Board, console: Console) -> None:
    """Print a table for each group of a leaderboard, options and versions below it.

    Measures that do not fit beside each other go on in another table of the same rows.
    """
    if board.about:
        console.print(escape(one_line(board.about)), highlight=False)
        console.print()
    for group in groups(board):
        heads = headings(board, group)[:-2]
        rows = [line[: len(heads)] for line in lines(board, group)]
        for columns in _fitting(heads, rows, console.width):
            title = escape(one_line(group))
            table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
            for place in columns:
                left = place == 1
                name = escape(heads[place])
                table.add_column(name, justify="left" if left else "right", overflow="fold", no_wrap=not left)
            for line in rows:
                style = "dim" if line[0] == "ref" else None
                table.add_row(*(escape(line[place]) for place in columns), style=style)
            console.print(table)
        for remark in remarks(board, group):
            console.print(f"  {escape(remark)}", style="dim", highlight=False)
        console.print()
    console.print(escape(LEGEND), style="dim", highlight=False)


def _fitting(heads: list[str], rows: list[list[str]], width: int) -> list[list[int]]:
    """Columns of each table: rank, algorithm, as many measures as there is room for, and n."""
    widths = [max(len(line[place]) for line in [heads, *rows]) + 1 for place in range(len(heads))]
    room = width - widths[0] - min(widths[1], NAME_WIDTH) - widths[-1] - 2
    tables: list[list[int]] = [[]]
    for place in range(2, len(heads) - 1):
        if tables[-1] and sum(widths[each] for each in [*tables[-1], place]) > room:
            tables.append([])
        tables[-1].append(place)
    return [[0, 1, *measures, len(heads) - 1] for measures in tables]


def _task_table(task: str, metric: str, cells: pd.DataFrame, marks: list[str], costs: bool) -> Table:
    table = Table(
        title=f"{escape(task)}: test {escape(metric)}",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    table.add_column("rank", justify="right", no_wrap=True)
    table.add_column("algorithm", overflow="fold", min_width=20)
    for name in ("test", "95% interval", "n", "dev", "evals", *(COSTS if costs else ())):
        table.add_column(name, justify="right", no_wrap=True)
    for line, mark in zip(cells.to_dict("records"), marks, strict=True):
        seconds = "/".join(_seconds(line[f"seconds_{part}"]) for part in ("ask", "evaluate", "tell"))
        interval = f"{_number(line['ci_low'], 3)} … {_number(line['ci_high'], 3)}"
        spent = (
            _short(line["tokens"]),
            "–" if math.isnan(line["seconds_ask"]) else seconds,
            _short(line["peak_memory"]),
        )
        table.add_row(
            "ref" if line["reference"] else _short(line["rank"]) + mark,
            escape(str(line["algorithm"])) + f" ({NOT_RUN})" * (not line["planned"]),
            _number(line["test_mean"]),
            "–" if math.isnan(line["ci_low"]) else interval,
            f"{line['n']}/{line['planned']}" if line["n"] != line["planned"] else str(line["n"]),
            _number(line["dev_mean"]),
            _short(line["evaluations"]),
            *(spent if costs else ()),
            style="dim" if line["reference"] else None,
        )
    return table


def _remark(line: dict[Any, Any], detailed: bool) -> str:
    """What happened to the repetitions that did not simply finish, with the reason."""
    if not line["planned"]:  # a first-order reference that was not run, which the notes say too
        return "" if detailed else f"{line['algorithm']} {line['reason']}"
    kinds = [f"{line[kind]} {kind}" for kind in ("failed", "timeout", "skipped", "unfinished") if line[kind]]
    reason = f": {line['reason']}" if line["reason"] else ""
    return f"{line['algorithm']}: {', '.join(kinds)}{reason}" if kinds else ""


def _show_overall(summary: Overall, console: Console) -> None:
    if not summary.tasks:
        console.print("no mean ranks: there is no task on which every algorithm has a rank")
    else:
        title = f"mean rank over {len(summary.tasks)} task{'s' * (len(summary.tasks) > 1)}"
        table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
        table.add_column("algorithm", overflow="fold")
        table.add_column("mean rank", justify="right")
        table.add_column("first places", justify="right")
        for line in summary.ranks.to_dict("records"):
            table.add_row(
                escape(str(line["algorithm"])), f"{line['mean_rank']:.2f}", str(line["first_places"])
            )
        console.print(table)
    if summary.note:
        console.print(f"  {escape(summary.note)}", style="dim", highlight=False)


def _number(value: float, digits: int = 3) -> str:
    """Significant digits, the power of ten without padding; a dash for what is missing."""
    return "–" if math.isnan(value) else f"{value:.{digits}g}".replace("e+0", "e").replace("e-0", "e-")


def _seconds(value: float) -> str:
    """Tenths while they matter."""
    return f"{value:.1f}" if value < 100 else _short(value)


def _short(value: float) -> str:
    """Three digits and a letter for the power of a thousand; a dash for what is missing."""
    if math.isnan(value):
        return "–"
    for power, letter in ((9, "G"), (6, "M"), (3, "k")):
        if abs(value) >= 10**power:
            return f"{value / 10**power:.3g}{letter}"
    return f"{value:.3g}"

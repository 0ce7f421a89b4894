"""Tables and JSON on standard output."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import typer

from harness.plugins.messages import visible

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console, ConsoleOptions

SMOKE_RUN = "a smoke run: its figures say nothing about the real models and data"


def show_results(results: Any) -> None:
    """The leaderboard of a sweep, as a table for the terminal."""
    from harness.report.tables import leaderboard as board_of
    from harness.report.tables import overall
    from harness.report.terminal import show_leaderboard

    board = board_of(results)
    show_leaderboard(board, overall(board), console())


def console() -> Console:
    """As wide as the terminal; 100 columns where there is none and nothing else is said.

    What it prints tells the terminal nothing but colours: names that come with results are shown, not obeyed.
    """
    from rich.console import Console
    from rich.segment import Segment

    class Careful(Console):
        def render(self, renderable: Any, options: ConsoleOptions | None = None) -> Iterator[Segment]:
            for segment in super().render(renderable, options):
                known = segment.control is not None
                yield segment if known else Segment(visible(segment.text), segment.style)

    return Careful(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else 100)


def print_rows(rows: list[dict[str, Any]], columns: list[str]) -> None:
    """A table with these columns; whole numbers at the right."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    for column in columns:
        numeric = bool(rows) and all(isinstance(row[column], int) for row in rows)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        cells = [row[column] for column in columns]
        table.add_row(
            *(
                Text("" if cell is None else f"{cell:,}" if isinstance(cell, int) else str(cell))
                for cell in cells
            )
        )
    console().print(table)


def brief(number: float | None) -> str | None:
    """Three digits, with a power of ten where they are large."""
    if number is None:
        return None
    return f"{number:,.3g}" if number < 1e4 else f"{number:.2e}".replace("e+0", "e").replace("e+", "e")


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """A frame's rows as plain values, for JSON."""
    found: list[dict[str, Any]] = json.loads(frame.to_json(orient="records", double_precision=15))
    return found


def print_json(content: Any) -> None:
    """Content as JSON."""
    from harness.report.escaping import as_json

    typer.echo(as_json(content))

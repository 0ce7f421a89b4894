"""What of a folder of results must be the same as in another: all but what is measured."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from harness.running.results import Results, load_results
from harness.running.schema import TABLES, measured

_DONE = ("finished", "failed", "timeout")
_MEASURED = {name for table in TABLES for name in measured(table)}


@dataclass(frozen=True)
class Picture:
    """The rows of a folder, as text with every digit.

    Args:
        rows: of each table, and of the leaderboard; without measured columns.
        files: bytes of those that are compared as they are.
    """

    rows: Mapping[str, list[str]]
    files: Mapping[str, bytes]

    @classmethod
    def of(cls, folder: Path, leaderboard: bool = True, report: bool = False) -> Picture:
        """Read a folder, and what is made of its tables too; raises UserError where nothing can be read."""
        rows = tables(load_results(folder))
        board = folder / "leaderboard.csv"
        if leaderboard and board.exists():
            rows["leaderboard"] = _lines(pd.read_csv(board))
        names = ("plan.json", "sweep.yaml", *["report.html"] * report)
        return cls(rows, {name: (folder / name).read_bytes() for name in names if (folder / name).exists()})

    def lost(self, other: Picture) -> int:
        """How many of these rows the other has not."""
        return sum(
            sum((Counter(rows) - Counter(other.rows.get(name, []))).values())
            for name, rows in self.rows.items()
        )

    def foreign(self, other: Picture) -> int:
        """How many rows of the other are none of these; unfinished cells are no rows."""
        return sum(
            sum((Counter(rows) - Counter(self.rows[name])).values())
            for name, rows in other.rows.items()
            if name not in ("runs", "leaderboard")
        )

    def differing(self, other: Picture) -> list[str]:
        """Names of tables and files that are not the same, byte by byte."""
        found = [name for name, rows in self.rows.items() if other.rows.get(name) != rows]
        return found + [name for name, content in self.files.items() if other.files.get(name) != content]


def tables(results: Results) -> dict[str, list[str]]:
    """The rows of each table, in order, without measured columns."""
    return {name: _lines(getattr(results, name)) for name in TABLES}


def _lines(frame: pd.DataFrame) -> list[str]:
    kept = frame.drop(columns=[name for name in frame.columns if name in _MEASURED])
    return kept.to_csv(index=False).splitlines()


def finished(folder: Path) -> dict[str, str]:
    """The stored status, as text, of the cells that have ended."""
    found = {}
    for file in (folder / "cells").glob("*/status.json"):
        text = file.read_text()
        if json.loads(text)["status"] in _DONE:
            found[file.parent.name] = text
    return found


def litter(folder: Path) -> list[str]:
    """Files that were being written when a process was killed, and are left; but for signs of life."""
    found = [file for file in folder.rglob(".*") if file.is_file() and file.suffix[1:].isdigit()]
    return [file.name for file in found if ".claims" not in file.parts]

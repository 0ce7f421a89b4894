"""The report as one HTML file that needs no network: assembled here, worded in ``templates``."""

from __future__ import annotations

import json
from collections.abc import Hashable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from harness.report.definitions import definitions
from harness.report.entries import families, family
from harness.report.figures import CHARTS, Chart, first_lines, styles
from harness.report.figures.chart import GROUND, INK, PALETTES
from harness.report.finding import finding
from harness.report.first_order import NAME, USUAL, in_words
from harness.report.gaps import environments, gaps
from harness.report.page import rendered_page
from harness.report.published import published
from harness.report.sections import promises_by_task, promises_table, running_times_table, unlabelled_table
from harness.report.study import Study
from harness.report.tables import leaderboard
from harness.running.store import SWEEP

if TYPE_CHECKING:
    import pandas as pd

    from harness.running.results import Results


def html_report(results: Results, title: str | None = None) -> str:
    """The whole report of a sweep as HTML.

    Args:
        results: of a sweep, finished or not.
        title: of the page; the name of the folder by default.

    >>> from harness.report.example import example
    >>> page = html_report(example().results, "Two <tasks>")
    >>> "Two &lt;tasks&gt;" in page, "<tasks>" in page
    (True, False)
    """
    study = Study(results)
    charts = [make(study) for make in CHARTS]
    lines = leaderboard(study.results)
    board = _board(study, lines)
    return rendered_page(
        "report.html.j2",
        title=title or results.path.resolve().name or "results",
        study=study,
        finding=finding(study),
        standing=study.standing.to_dict("records"),
        board=board,
        published=published(results, board),
        promises=promises_table(study),
        promises_by_task=promises_by_task(study),
        missing=in_words(study.missing_first_order, len(study.tasks)),
        unlabelled=unlabelled_table(study),
        running_times=running_times_table(study),
        charts={chart.name: chart for chart in charts},
        data=_data(study, charts),
        algorithms=_algorithms(study, lines),
        gaps=gaps(study),
        definitions=definitions(study),
        environment=environments(results),
        sweep=_text(results, SWEEP),
    )


def _data(study: Study, charts: list[Chart]) -> dict[str, Any]:
    """What the page's script reads."""
    looks = styles(study.entries, study.references)
    return {
        "palettes": PALETTES,
        "ink": INK,
        "ground": GROUND,
        "styles": {entry: look._asdict() for entry, look in looks.items()},
        "shown": first_lines(study),
        "charts": {chart.name: asdict(chart) for chart in charts if chart.views},
    }


def _board(study: Study, lines: pd.DataFrame) -> list[dict[Hashable, Any]]:
    board = lines.to_dict("records")
    known = families(study.results.path)
    for line in board:
        name = USUAL if line["algorithm"] == NAME else line["algorithm"]
        line["family"] = known.get(name) or family(name)
    return board


def _algorithms(study: Study, board: pd.DataFrame) -> list[dict[Hashable, Any]]:
    known = families(study.results.path)
    found: list[dict[Hashable, Any]] = []
    for entry in study.entries:
        cells = study.runs[study.runs["entry"] == entry]
        first = cells.iloc[0]
        settings: dict[str, Any] = next((json.loads(text) for text in cells["settings"].dropna()), {})
        found.append(
            {
                "entry": entry,
                "reference": entry in study.references,
                "family": known.get(str(first["algorithm"])) or family(str(first["algorithm"])),
                "provider": next(iter(cells["provider"].dropna()), "unknown"),
                "inside": list(dict.fromkeys(cells["inside"].dropna())),
                "settings": settings,
                "lines": board[board["algorithm"] == entry].to_dict("records"),
                "statuses": {str(k): int(v) for k, v in cells["status"].value_counts().items()},
            }
        )
    return found


def _text(results: Results, name: str) -> str:
    try:
        return (results.path / name).read_text(encoding="utf-8")
    except OSError:
        return ""

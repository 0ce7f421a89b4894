"""A comparison as one HTML file that needs no network, worded in ``templates/compare.html.j2``."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import asdict
from typing import Any

import pandas as pd

from harness.report.compare.comparison import Comparison
from harness.report.compare.figures import changed_most, charts, curve_key, side_styles
from harness.report.compare.words import in_words
from harness.report.figures import Chart
from harness.report.figures.chart import GROUND, INK, PALETTES
from harness.report.page import rendered_page
from harness.report.study import LEVEL


def compare_report(found: Comparison, title: str | None = None) -> str:
    """The page of a comparison.

    Args:
        found: by ``compare``.
        title: of the page; the names of the folders by default.

    >>> from harness.report.compare import compare
    >>> from harness.report.example import example
    >>> page = compare_report(compare(example().results, example().results), "Before <and> after")
    >>> "Before &lt;and&gt; after" in page, "<and>" in page
    (True, False)
    """
    made = charts(found)
    return rendered_page(
        "compare.html.j2",
        title=title or (" and " if len(found.sides) == 2 else ", ").join(side.name for side in found.sides),
        found=found,
        finding=in_words(found),
        overall=_changed_first(found.overall),
        rows=_changed_first(found.rows),
        only=found.only.to_dict("records"),
        tasks=list(dict.fromkeys(found.rows["task"])),
        charts={chart.name: chart for chart in made},
        curves=[curve_key(*place) for place in changed_most(found)],
        level=LEVEL,
        data=_data(found, made),
    )


def _changed_first(rows: pd.DataFrame) -> list[dict[Hashable, Any]]:
    """In their order, but what is equal on both sides below what is not."""
    return rows.sort_values("verdict", key=lambda said: said == "equal", kind="stable").to_dict("records")


def _data(found: Comparison, made: list[Chart]) -> dict[str, Any]:
    """What the page's script reads."""
    looks = side_styles(found.sides)
    return {
        "palettes": PALETTES,
        "ink": INK,
        "ground": GROUND,
        "styles": {name: look._asdict() for name, look in looks.items()},
        "shown": list(looks),
        "charts": {chart.name: asdict(chart) for chart in made if chart.views},
    }

"""The report as one HTML file that needs no network: assembled here, worded in ``templates``."""

from __future__ import annotations

import base64
import gzip
import json
import math
from collections.abc import Hashable
from dataclasses import asdict
from functools import lru_cache
from importlib.metadata import version
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from harness.report.entries import family
from harness.report.figures import CHARTS, MOST_LINES, Chart, styles
from harness.report.figures.chart import GROUND, INK, PALETTES
from harness.report.finding import finding
from harness.report.published import published
from harness.report.study import LEVEL, Study
from harness.report.tables import leaderboard
from harness.running.files import DamagedError, read_json
from harness.running.store import ENVIRONMENT, SWEEP

if TYPE_CHECKING:
    from jinja2 import Environment

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
    board = _board(study)
    return (
        _templates()
        .get_template("report.html.j2")
        .render(
            title=title or results.path.resolve().name or "results",
            version=version("gradfree"),
            study=study,
            finding=finding(study),
            standing=study.standing.to_dict("records"),
            board=board,
            published=published(results, board),
            charts={chart.name: chart for chart in charts},
            data=_data(study, charts),
            algorithms=_algorithms(study),
            gaps=_gaps(study),
            level=LEVEL,
            environment=_json(results, ENVIRONMENT),
            sweep=_text(results, SWEEP),
            css=_static("report.css"),
            js=_static("report.js"),
            plotly=_plotly(),
            most=MOST_LINES,
        )
    )


def _data(study: Study, charts: list[Chart]) -> dict[str, Any]:
    """What the page's script reads."""
    first = [name for name in study.contestants if name in study.blocks.contestants]
    references = study.references[: MOST_LINES // 4]
    shown = [*(first or study.contestants)[: MOST_LINES - len(references)], *references]
    looks = styles(study.entries, study.references)
    return {
        "palettes": PALETTES,
        "ink": INK,
        "ground": GROUND,
        "styles": {entry: look._asdict() for entry, look in looks.items()},
        "shown": shown,
        "charts": {chart.name: asdict(chart) for chart in charts if chart.views},
    }


def _board(study: Study) -> list[dict[Hashable, Any]]:
    board = leaderboard(study.results).to_dict("records")
    for line in board:
        line["family"] = family(line["algorithm"])
    return board


def _algorithms(study: Study) -> list[dict[Hashable, Any]]:
    board = leaderboard(study.results)
    found: list[dict[Hashable, Any]] = []
    for entry in study.entries:
        cells = study.runs[study.runs["entry"] == entry]
        first = cells.iloc[0]
        settings: dict[str, Any] = next((json.loads(text) for text in cells["settings"].dropna()), {})
        found.append(
            {
                "entry": entry,
                "reference": entry in study.references,
                "family": family(str(first["algorithm"])),
                "provider": next(iter(cells["provider"].dropna()), "unknown"),
                "inside": list(dict.fromkeys(cells["inside"].dropna())),
                "settings": settings,
                "lines": board[board["algorithm"] == entry].to_dict("records"),
                "statuses": {str(k): int(v) for k, v in cells["status"].value_counts().items()},
            }
        )
    return found


def _gaps(study: Study) -> list[dict[str, Any]]:
    """Cells that have no clean result, grouped by what happened to them."""
    cells = study.runs[study.runs["status"] != "finished"]
    keys = ["status", "task", "entry", "reason"]
    grouped = cells.fillna({"reason": ""}).groupby(keys, sort=False)["repetition"].agg(list)
    return [
        {**dict(zip(keys, key, strict=True)), "repetitions": [str(each) for each in repetitions]}
        for key, repetitions in grouped.items()
        if isinstance(key, tuple)
    ]


@lru_cache
def _templates() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    templates = Environment(
        loader=PackageLoader("harness.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {"number": _number, "short": _short, "anchor": _anchor, "sortable": _sortable}
    templates.policies["json.dumps_kwargs"] = {
        "separators": (",", ":"),
        "ensure_ascii": False,
        "allow_nan": False,
    }
    return templates


def _number(value: float, digits: int = 3) -> str:
    """Fixed decimals for what is near one, significant digits for the rest; a dash for what is missing."""
    if math.isnan(value):
        return "–"
    return f"{value:.{digits}f}" if 0.001 <= abs(value) < 1000 or value == 0 else f"{value:.{digits}g}"


def _short(value: float) -> str:
    """Three digits and a letter for the power of a thousand; a dash for what is missing."""
    if math.isnan(value):
        return "–"
    for power, letter in ((12, "T"), (9, "G"), (6, "M"), (3, "k")):
        if abs(value) >= 10**power:
            return f"{value / 10**power:.3g} {letter}"
    return f"{value:.3g}"


def _anchor(place: int, kind: str) -> str:
    """Of a section: by number, since a name may hold anything."""
    return f"{kind}-{place}"


def _sortable(value: Any) -> str:
    """What a column is sorted by; empty for what is missing, which stands last either way."""
    return "" if isinstance(value, float) and math.isnan(value) else str(value)


@lru_cache
def _static(name: str) -> str:
    return (files("harness.report") / "static" / name).read_text(encoding="utf-8")


@lru_cache
def _plotly() -> str:
    """The plotly.js that comes with plotly, packed to a third of its size; the browser unpacks it."""
    from plotly.offline import get_plotlyjs

    return base64.b64encode(gzip.compress(get_plotlyjs().encode(), 9, mtime=0)).decode()


def _json(results: Results, name: str) -> dict[str, Any]:
    try:
        found = read_json(results.path / name)
    except DamagedError:
        return {}
    return found if isinstance(found, dict) else {}


def _text(results: Results, name: str) -> str:
    try:
        return (results.path / name).read_text(encoding="utf-8")
    except OSError:
        return ""

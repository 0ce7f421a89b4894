"""All figures of a report as files of a folder, with a caption for each."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from html import unescape
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from harness.core.errors import UserError
from harness.report.figures import CHARTS, Chart, View, first_lines, styles
from harness.report.formats import one_line
from harness.report.paper.drawing import MOST_BANDS, draw
from harness.report.paper.looks import SETTINGS
from harness.report.paper.marks import has_band
from harness.report.study import Study
from harness.running.files import write_bytes

if TYPE_CHECKING:
    from harness.running.results import Results

FORMATS = ("png", "svg", "pdf")

_NO_DATE = {"png": {"Software": None}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}


def write_figures(results: Results, form: str, folder: Path | None = None) -> list[Path]:
    """Write each figure of the report, for every answer to its choices, and ``captions.txt``.

    They are drawn on white, one column wide (3.35 inches; a large matrix two), with the page's colours,
    dashes and marks, at most a dozen lines each; what is cut off is said in the caption.

    Args:
        results: of a sweep, finished or not.
        form: ``png``, ``svg`` or ``pdf``.
        folder: by default ``figures`` beside the tables.

    Returns:
        The files of the figures.

    Raises:
        UserError: without matplotlib, for another format, or where they cannot be written.

    >>> import tempfile
    >>> from harness.report.example import example
    >>> files = write_figures(example().results, "svg", Path(tempfile.mkdtemp()))
    >>> [file.name for file in files if "topic" in file.name]
    ['convergence-topic-evaluations.svg', 'convergence-topic-tokens.svg', 'convergence-topic-seconds.svg']
    """
    if form not in FORMATS:
        raise UserError(f"--format: {form!r} is none of {', '.join(FORMATS)}")
    try:
        import matplotlib
    except ImportError:
        raise UserError(f"--format {form}: matplotlib draws it: pip install 'gradfree[figures]'") from None

    study, target = Study(results), folder or results.path / "figures"
    looks, shown = styles(study.entries, study.references), first_lines(study)
    written, captions = [], []
    try:
        target.mkdir(parents=True, exist_ok=True)
        for chart in (make(study) for make in CHARTS):
            for stem, view, answers in _views(chart):
                name = f"{stem}.{form}"
                content = BytesIO()
                with warnings.catch_warnings(), matplotlib.rc_context(SETTINGS):
                    # A letter that the font lacks is a box, not a message.
                    warnings.filterwarnings("ignore", message="Glyph .* missing")
                    figure = draw(view, looks, shown, _title(view, answers))
                    figure.savefig(content, format=form, metadata=_NO_DATE[form])
                write_bytes(target / name, content.getvalue(), sync=False)
                written.append(target / name)
                captions.append(f"{name}\n{_caption(chart, view, answers, shown)}\n")
            if not chart.views:
                captions.append(f"{chart.name}: no figure\n{one_line(chart.why_not)}.\n")
        write_bytes(target / "captions.txt", "\n".join(captions).encode())
    except OSError as error:
        raise UserError(
            f"{target}: cannot be written ({error.strerror}); name another folder with --to"
        ) from error
    return written


def _views(chart: Chart) -> Iterator[tuple[str, View, list[str]]]:
    """The views with a file's name for each and the wording of its answers."""
    known: set[str] = set()
    options = [dict(choice.options) for choice in chart.choices]
    for key, view in chart.views.items():
        if not _spread(view):  # such as tokens of a task that has none
            continue
        answers = _answers(key, len(options))
        # A name may hold anything; of a file it may not.
        parts = [re.sub(r"[^A-Za-z0-9.]+", "-", answer).strip("-.")[:60] for answer in answers]
        stem = "-".join([chart.name, *filter(None, parts)])
        number = next(place for place in range(1, len(known) + 2) if _numbered(stem, place) not in known)
        known.add(_numbered(stem, number))
        wording = [words.get(answer, answer) for words, answer in zip(options, answers, strict=True)]
        yield _numbered(stem, number), view, wording


def _spread(view: View) -> bool:
    """Whether any line leaves the place where nothing is spent."""
    return not view.traces or any(trace["type"] != "scatter" or any(trace["x"]) for trace in view.traces)


def _numbered(stem: str, number: int) -> str:
    return stem if number == 1 else f"{stem}-{number}"


def _answers(key: str, count: int) -> list[str]:
    """Of a view's key; only the first, a task's name, may hold the bar that joins them."""
    return key.rsplit("|", count - 1) if count else []


def _title(view: View, answers: list[str]) -> str:
    """The answers that the axes do not show."""
    axes = [view.layout.get(axis, {}).get("title", {}).get("text") for axis in ("xaxis", "yaxis")]
    return ", ".join(
        answer if len(answer) <= 60 else f"{answer[:59]}…" for answer in answers if answer not in axes
    )


def _caption(chart: Chart, view: View, answers: list[str], shown: list[str]) -> str:
    about = f" ({', '.join(answers)})" if answers else ""
    said = f"{chart.title}{about}. {chart.says}"
    if view.note:
        said += f" {view.note[0].upper()}{view.note[1:]}."
    lines = [trace for trace in view.traces if has_band(trace) and unescape(trace.get("meta", "")) in shown]
    if len(lines) > MOST_BANDS:
        said += f" Intervals are drawn of the first {MOST_BANDS}."
    if left := len([entry for entry in chart.entries if entry not in shown]):
        said += f" {len(chart.entries) - left} of {len(chart.entries)} entries are drawn."
    return one_line(said)

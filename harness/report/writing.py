"""Putting reports down as files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.core.errors import UserError
from harness.report.paper import FORMATS as FIGURES
from harness.report.paper import write_figures
from harness.running.files import write_bytes

if TYPE_CHECKING:
    from harness.running.results import Results

FORMATS = ("html", "markdown", *FIGURES)


def write_report(
    results: Results, target: Path | None = None, title: str | None = None, form: str = "html"
) -> Path:
    """Write the report of a sweep; returns where it is.

    Args:
        results: of a sweep, finished or not.
        target: the file, or for figures the folder; by default ``report.html``, ``report.md`` or
            ``figures`` beside the tables.
        title: of the page; the name of the folder by default. Figures have none.
        form: ``html`` and ``markdown`` are one file; ``png``, ``svg`` and ``pdf`` a folder of figures.

    Raises:
        UserError: for another format, where it cannot be written, or without the library that draws it.

    >>> import tempfile
    >>> from harness.report.example import example
    >>> write_report(example().results, Path(tempfile.mkdtemp()) / "mine.html").name
    'mine.html'
    """
    if form in FIGURES:
        folder = target or results.path / "figures"
        write_figures(results, form, folder)
        return folder
    if form == "html":
        from harness.report.html import html_report

        return _written(target or results.path / "report.html", html_report(results, title))
    if form == "markdown":
        from harness.report.markdown import markdown_report

        return _written(target or results.path / "report.md", markdown_report(results, title))
    raise UserError(f"--format: {form!r} is none of {', '.join(FORMATS)}")


def write_comparison(
    sources: Sequence[Results | Path | str],
    target: Path | None = None,
    title: str | None = None,
    pairs: Sequence[tuple[str, str]] = (),
) -> Path:
    """Write results beside results as one HTML file; returns where it is.

    Args:
        sources: two or more, or their folders; the first is what the others are compared with.
        target: the file; by default ``compare.html`` in the last folder.
        title: of the page; the names of the folders by default.
        pairs: of two folders, names in the first and what they have become in the second.

    Raises:
        UserError: where one cannot be read, for pairs that are none, or where the page cannot be written.

    >>> import tempfile
    >>> from harness.report.example import example
    >>> two = [example().results, example().results]
    >>> write_comparison(two, Path(tempfile.mkdtemp()) / "both.html").name
    'both.html'
    """
    from harness.report.compare import compare, compare_report

    found = compare(*sources, pairs=pairs)
    return _written(target or found.sides[-1].results.path / "compare.html", compare_report(found, title))


def _written(file: Path, text: str) -> Path:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(file, text.encode())
    except OSError as error:
        raise UserError(
            f"{file}: cannot be written ({error.strerror}); name another file with --to"
        ) from error
    return file

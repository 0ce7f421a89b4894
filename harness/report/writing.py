"""Putting a report down as files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.core.errors import UserError
from harness.report.html import html_report
from harness.running.files import write_bytes

if TYPE_CHECKING:
    from harness.running.results import Results


def write_report(results: Results, target: Path | None = None, title: str | None = None) -> Path:
    """Write the report as one HTML file; returns where it is.

    Args:
        results: of a sweep, finished or not.
        target: the file; ``report.html`` beside the tables by default.
        title: of the page; the name of the folder by default.

    Raises:
        UserError: where it cannot be written.

    >>> import tempfile
    >>> from harness.report.example import example
    >>> write_report(example().results, Path(tempfile.mkdtemp()) / "mine.html").name
    'mine.html'
    """
    file = target or results.path / "report.html"
    page = html_report(results, title)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(file, page.encode())
    except OSError as error:
        raise UserError(
            f"{file}: cannot be written ({error.strerror}); name another file with --to"
        ) from error
    return file

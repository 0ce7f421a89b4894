"""Which lines a figure begins with, where there are more than can be told apart."""

from __future__ import annotations

from harness.report.figures.chart import MOST_LINES
from harness.report.study import Study


def first_lines(study: Study, most: int = MOST_LINES) -> list[str]:
    """Entries that are shown at first, the best of those that could be compared, and a few references.

    >>> from harness.report.example import example
    >>> first_lines(example()), first_lines(example(), most=2)
    (['mezo', 'random', 'adam', 'zero-shot'], ['mezo', 'random'])
    """
    first = [name for name in study.contestants if name in study.blocks.contestants]
    references = study.references[: most // 4]
    return [*(first or study.contestants)[: most - len(references)], *references]

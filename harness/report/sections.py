"""Tables of the page whose columns are measures: the promises, and expected running times."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from harness.report.columns import Value, flat, promises_of, running_times_of
from harness.report.first_order import NAME
from harness.report.formats import measure_text
from harness.report.promises import PROMISES, Promises, unlabelled
from harness.report.statistics import Interval
from harness.report.study import Study


class Measured(NamedTuple):
    """A table of the page.

    Args:
        headings: of the measures.
        rows: with ``task`` (empty where it is over all), ``entry``, ``reference``, and ``cells``: what each
            is sorted by, and its text.
        note: what holds for all of it; may be empty.
    """

    headings: list[str]
    rows: list[dict[str, Any]]
    note: str = ""


def promises_table(study: Study) -> Measured:
    """The promises of each entry over all tasks.

    >>> from harness.report.example import example
    >>> promises_table(example()).rows[0]["cells"][0]
    (1.0, '1.000 [1.000, 1.000] n=6')
    """
    promises = Promises(study)
    table = _table(study, PROMISES, (("", entry, promises.of(entry)) for entry in study.entries))
    return _with_missing(table, [""] if study.no_first_order else [])


def promises_by_task(study: Study) -> dict[str, Measured]:
    """The promises of each task by itself.

    >>> from harness.report.example import example
    >>> table = promises_by_task(example())["topic"]
    >>> table.rows[0]["entry"], table.rows[0]["cells"][0], table.note
    ('mezo', (1.0, '1.000 [1.000, 1.000] n=3'), 'multiples are of adam')
    """
    columns, found = promises_of(study), {}
    for task in study.tasks:
        known = [(task, entry, columns.values.get((task, entry))) for entry in study.entries]
        table = _table(study, columns.headings, [(task, entry, own) for _, entry, own in known if own])
        table = _with_missing(table, study.missing_first_order)
        found[task] = table._replace(note=columns.notes[task])
    return found


def unlabelled_table(study: Study) -> Measured:
    """What searching without labels gains over zero-shot, by task and entry; no rows without such a task.

    Of the references only first-order ones are there: the others follow no objective, and may read labels.

    >>> from harness.report.example import example
    >>> unlabelled_table(example()).rows
    []
    """
    found = []
    for task in study.tasks:
        if unlabelled(task):
            part = Promises(study.part(study.runs["task"] == task))
            roles = dict(zip(part.study.runs["entry"], part.study.runs["role"], strict=True))
            found += [
                (task, entry, part.of(entry))
                for entry in part.study.entries
                if roles[entry] in ("contestant", "first-order")
            ]
    table = _table(study, {"over_zero_shot": PROMISES["over_zero_shot"]}, found)
    return _with_missing(table, study.missing_first_order)


def running_times_table(study: Study) -> Measured:
    """Expected running times by task and entry; no rows where there is no target.

    >>> from harness.report.example import example
    >>> [text for _, text in running_times_table(example()).rows[0]["cells"]][3:5]
    ['∞ [–] 0/3', '∞ [–] 0/3']
    """
    columns = running_times_of(study)
    ordered = (
        (task, entry, columns.values[task, entry])
        for task in study.tasks
        for entry in study.entries
        if (task, entry) in columns.values
    )
    return _with_missing(_table(study, columns.headings, ordered), study.missing_first_order)


def _table(
    study: Study, headings: Mapping[str, str], found: Iterable[tuple[str, str, Mapping[str, Value]]]
) -> Measured:
    references, rows = set(study.references), []
    for task, entry, values in found:
        cells = []
        for name in headings:
            value, row = values[name], flat(name, values[name])
            text = measure_text(row, name, -1 if isinstance(value, Interval) else int(row[f"{name}_n"]))
            text = text.replace("(n=", "n=").removesuffix(")")
            cells.append((1e300 if math.isinf(value[0]) else value[0], text))
        rows.append({"task": task, "entry": entry, "reference": entry in references, "cells": cells})
    return Measured(list(headings.values()), rows)


def _with_missing(table: Measured, tasks: Iterable[str]) -> Measured:
    """The table, with the row of a first-order reference that was not run behind the others of its task."""
    missing, rows = set(tasks), []
    for place, row in enumerate(table.rows):
        rows.append(row)
        following = table.rows[place + 1]["task"] if place + 1 < len(table.rows) else None
        if row["task"] in missing and row["task"] != following:
            cells = [(math.nan, "–")] * len(table.headings)
            rows.append({"task": row["task"], "entry": NAME, "reference": True, "cells": cells})
    return table._replace(rows=rows)

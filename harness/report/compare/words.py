"""What a comparison says, in sentences that claim no more than the tests allow."""

from __future__ import annotations

import math
from typing import Any

from harness.report.compare.comparison import Comparison
from harness.report.compare.figures import changed_most
from harness.report.compare.pairs import APART, NO_DIFFERENCE, NOT_ENOUGH
from harness.report.page import number
from harness.report.study import LEVEL
from harness.report.wording import listed, many, plain

MOST_NAMED = 3
"""Of the largest differences, in words."""


def in_words(found: Comparison) -> list[str]:
    """The finding of a comparison.

    >>> from harness.report.compare import compare
    >>> from harness.report.example import example
    >>> print(in_words(compare(example().results, example().results))[1])
    B: equal to A in every block: random, mezo, adam, zero-shot.
    """
    said = [_scope(found)]
    if found.pairs:
        together = listed(f"{plain(pair.old)} of A with {plain(pair.new)} of B" for pair in found.pairs)
        said.append(f"Paired by hand: {together}.")
    smoke = [side.letter for side in found.sides if side.results.runs["smoke"].fillna(False).any()]
    if smoke:
        said.append(f"Smoke runs of tiny models and few rows, whose figures mean nothing: {listed(smoke)}.")
    for side in found.sides[1:]:
        said += _side(found, side.letter)
    said += _largest(found)
    apart = found.rows[found.rows["verdict"] == APART]
    for why, rows in apart.groupby("why_not", sort=False):
        names = dict.fromkeys(
            f"{row['task']} ({row['side']})" if len(found.sides) > 2 else row["task"]
            for row in rows.to_dict("records")
        )
        said.append(f"Not compared on {listed(names)}: {plain(str(why), 200)}.")
    if len(found.differences):
        said.append(
            f"Not the same on all sides: {listed(each.what for each in found.differences)}; see below."
        )
    for letters, rows in found.only.groupby("sides", sort=False):
        alone = [
            f"{name} ({many(count, 'task')})"
            for name, count in rows["entry"].value_counts(sort=False).items()
        ]
        said.append(f"Only in {letters}: {listed(alone)}.")
    return said


def _scope(found: Comparison) -> str:
    names = "; ".join(f"{side.letter} is {plain(side.name)}" for side in found.sides)
    compared = found.rows[found.rows["verdict"] != APART]
    return (
        f"{names}. Compared with A: {many(compared['entry'].nunique(), 'entry', 'entries')} on "
        f"{many(compared['task'].nunique(), 'task')}, over "
        f"{many(int(compared['difference_n'].sum()), 'pair')} of cells of one task, repetition and split."
    )


def _side(found: Comparison, letter: str) -> list[str]:
    rows = found.overall[found.overall["side"] == letter]
    if not len(rows):
        return [f"{letter} has nothing that can be compared with A."]
    by_verdict = {verdict: cells["entry"].tolist() for verdict, cells in rows.groupby("verdict", sort=False)}
    parts = []
    tested = f"paired signed-rank tests over all blocks, Holm-corrected, p < {LEVEL:g}"
    for verdict in ("better", "worse"):
        if names := by_verdict.get(verdict):
            parts.append(f"{verdict} than A: {listed(names)} ({tested})")
    if names := by_verdict.get("equal"):
        parts.append(f"equal to A in every block: {listed(names)}")
    if names := by_verdict.get(NO_DIFFERENCE):
        parts.append(f"no difference shown over all blocks: {listed(names)}")
    if names := by_verdict.get(NOT_ENOUGH):
        parts.append(f"too few blocks for a test: {listed(names)}")
    costs = [words for row in rows.to_dict("records") if (words := _cost(row))]
    return [f"{letter}: {'; '.join(parts)}."] + (
        [f"{letter} has another cost: {listed(costs)}."] if costs else []
    )


def _cost(row: dict[Any, Any]) -> str:
    """Tokens are counted, so a ratio other than 1 is a change; seconds stand in the table only."""
    ratio = row["tokens_ratio"]
    if math.isnan(ratio) or abs(ratio - 1) < 0.005:
        return ""
    return f"{plain(row['entry'])} {number(ratio, 2)} times the tokens"


def _largest(found: Comparison) -> list[str]:
    places = changed_most(found, MOST_NAMED)
    said = []
    for task, entry in places:
        rows = found.rows[(found.rows["task"] == task) & (found.rows["entry"] == entry)]
        rows = rows[rows["difference_n"] > 0]
        row = max(rows.to_dict("records"), key=lambda row: abs(row["difference"]))
        interval = (
            ""
            if math.isnan(row["difference_low"])
            else f" [{number(row['difference_low'])}, {number(row['difference_high'])}]"
        )
        p = "" if math.isnan(row["p"]) else f", p = {row['p']:.2g}"
        said.append(
            f"{plain(entry)} on {plain(task)}: {row['difference']:+.3g}{interval} {plain(row['metric'])} in "
            f"{row['side']}, better in {row['better']} of {many(row['difference_n'], 'block')}{p}"
        )
    return [f"Largest by their own intervals: {'; '.join(said)}."] if said else []

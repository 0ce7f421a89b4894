"""The rows of leaderboards over several tasks, and what ran in the cells of a row."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from harness.report.columns import flat
from harness.report.first_order import NAME, NOT_RUN, in_words
from harness.report.promises import Promises
from harness.report.study import Study

TEXTS = ("options", "provider", "reason")
"""Columns of what ran: options that hold, versions, and why some did not finish."""


def standing(study: Study, group: Mapping[str, str], columns: str) -> list[dict[str, Any]]:
    """A row for each entry: rank and tie over blocks, and its measures over all tasks of the study.

    Where no first-order reference was run, the last row says so.

    Args:
        study: over whose tasks.
        group: that each entry stands in, and a first-order reference would.
        columns: ``results`` (gain and level), ``promises``, or anything else for none.
    """
    about = about_cells(study.runs, ["entry"])
    planned = study.runs["entry"].value_counts()
    ranks = dict(zip(study.blocks.contestants, study.ranks.ranks, strict=True))
    promises = Promises(study) if columns == "promises" else None
    rows = []
    for entry in study.entries:
        row = {
            "group": group[entry],
            "algorithm": entry,
            "reference": entry in study.references,
            "rank": float(ranks.get(entry, math.nan)),
            "tie": study.tie(entry),
            "metric": study.common_metric or "",
            "planned": int(planned[entry]),
            **about[(entry,)],
        }
        if columns == "results":
            row |= flat("gain", study.gain(entry)) | flat("level", study.level(entry))
        for name, value in (promises.of(entry) if promises else {}).items():
            row |= flat(name, value)
        rows.append(row)
    if reason := study.no_first_order:
        place = {"group": group[NAME], "algorithm": NAME, "kind": "", "reference": True, "rank": math.nan}
        texts = dict.fromkeys(TEXTS, "") | {"reason": reason}
        rows.append({**place, "tie": NOT_RUN, "metric": study.common_metric or "", "planned": 0, **texts})
    return rows


def note(study: Study) -> str:
    """What ranks are over, how near they may be, and what was left out."""
    blocks = len(study.blocks.scores)
    tasks = f"{len(study.tasks)} task{'s' * (len(study.tasks) != 1)}"
    parts = [f"{tasks}, ranks over {blocks} blocks of task and repetition"]
    if not math.isnan(distance := study.ranks.difference):
        parts.append(f"ranks closer than {distance:.2f} cannot be told apart (Nemenyi, 5 %)")
    parts += filter(None, [study.blocks.note])
    if not study.no_first_order:  # else there is a row that says it
        parts += filter(None, [in_words(study.missing_first_order, len(study.tasks))])
    return "; ".join(parts)


def about_cells(cells: pd.DataFrame, keys: list[str]) -> dict[Any, dict[str, Any]]:
    """What ran in the cells of a row: kind, options that hold, versions, and why some did not finish.

    ``effort`` counts the evaluations of all trials by which its options were chosen.
    """
    found: dict[Any, dict[str, dict[str, None]]] = {}
    efforts: dict[Any, dict[str, int]] = {}
    for cell in cells.to_dict("records"):
        key = tuple(cell[key] for key in keys)
        about = found.setdefault(key, {name: {} for name in ("kind", *TEXTS)})
        spent = cell["effort"]
        efforts.setdefault(key, {})[cell["task"]] = 0 if pd.isna(spent) else int(spent)
        for name, text in (
            ("kind", _text(cell["kind"]) or "default"),
            ("options", _options(_text(cell["options"]))),
            ("provider", _text(cell["provider"])),
            ("reason", _text(cell["reason"]) if cell["status"] != "finished" else ""),
        ):
            if text:
                about[name][text] = None
    return {
        key: {name: " | ".join(texts) for name, texts in about.items()}
        | {"effort": sum(efforts[key].values())}
        for key, about in found.items()
    }


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _options(stored: str) -> str:
    try:
        return ", ".join(f"{name}={value}" for name, value in json.loads(stored).items())
    except (ValueError, AttributeError):
        return ""

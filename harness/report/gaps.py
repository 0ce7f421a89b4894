"""What has no clean result, and where the rest was measured: lists at the end of every report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.running.files import DamagedError, read_json
from harness.running.store import ENVIRONMENT

if TYPE_CHECKING:
    from harness.report.study import Study
    from harness.running.results import Results


def gaps(study: Study) -> list[dict[str, Any]]:
    """Cells that have no clean result, grouped by what happened to them.

    Returns:
        ``status``, ``task``, ``entry``, ``reason`` (empty where there is none) and ``repetitions`` of each.

    >>> from harness.report.example import example
    >>> gaps(example())
    []
    """
    cells = study.runs[study.runs["status"] != "finished"]
    keys = ["status", "task", "entry", "reason"]
    grouped = cells.fillna({"reason": ""}).groupby(keys, sort=False)["repetition"].agg(list)
    return [
        {**dict(zip(keys, key, strict=True)), "repetitions": [str(each) for each in repetitions]}
        for key, repetitions in grouped.items()
        if isinstance(key, tuple)
    ]


def environments(results: Results) -> dict[str, dict[str, str]]:
    """Machines and libraries by the key that the table of runs has for them; empty where not recorded.

    >>> from harness.report.example import example
    >>> environments(example().results)
    {}
    """
    try:
        found = read_json(results.path / ENVIRONMENT)
    except DamagedError:  # nothing hangs on it
        return {}
    known = found.items() if isinstance(found, dict) else ()
    return {str(key): facts for key, facts in known if isinstance(facts, dict)}

"""The sides of a comparison: results under a letter, and how their sweeps, tasks and machines differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from harness.core.errors import UserError
from harness.core.task import Signature
from harness.report.formats import one_line
from harness.report.gaps import environments
from harness.report.study import Study
from harness.running.files import DamagedError, read_json
from harness.running.fragments import CellFolder
from harness.running.results import Results, load_results
from harness.running.schema import SCHEMA_VERSION, mapping_of
from harness.running.store import CELLS, PLAN

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


_SWEEP = ("dtype", "device", "smoke", "objective", "budget")


class Difference(NamedTuple):
    """Something that is not the same on all sides: what it is, and its value on each."""

    what: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Side:
    """Results that are set beside others.

    Args:
        letter: by which columns and lines name it; ``A`` is what the others are compared with.
        name: of its folder.
        results: of a sweep, finished or not.
        labels: of its entries that the comparison lists under another name.
    """

    letter: str
    name: str
    results: Results
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """Letter and name, for a legend."""
        return f"{self.letter}: {self.name}"

    @cached_property
    def study(self) -> Study:
        """What a report of this side alone is made of."""
        study = Study(self.results)
        if not self.labels:
            return study
        return Study(self.results, study.runs.assign(entry=study.runs["entry"].replace(dict(self.labels))))

    def under(self, labels: Mapping[str, str]) -> Side:
        """This side with some of its entries under other names."""
        return replace(self, labels=labels)

    @cached_property
    def sweep(self) -> dict[str, Any]:
        """What was asked for, as far as it is known; keys of mappings with a dot."""
        try:
            found = read_json(self.results.path / PLAN)["sweep"]
            flat = {key: found[key] for key in _SWEEP if key in found}
            return flat | {f"protocol.{key}": value for key, value in found.get("protocol", {}).items()}
        except (DamagedError, KeyError, TypeError, AttributeError):
            return {}

    @cached_property
    def schemas(self) -> list[int]:
        """Versions of the schema among its rows."""
        return sorted({int(each) for each in self.results.runs["schema_version"].dropna()})

    @cached_property
    def signatures(self) -> dict[str, Signature]:
        """Of each task that has run: from its cells where they are there, else the hash in the table."""
        found: dict[str, Signature] = {}
        runs = self.results.runs
        known = runs[runs["task_signature"].notna()]
        for task, cells in known.groupby("task", sort=False):
            digest = " ".join(sorted(set(cells["task_signature"])))
            found[str(task)] = Signature(digest, self._losses(str(cells["id"].iloc[0])))
        return found

    def _losses(self, cell: str) -> tuple[float, ...]:
        try:
            state = CellFolder(self.results.path / CELLS / cell).state()
        except DamagedError:  # the table holds the hash in any case
            return ()
        return state.signature.losses if state else ()


def sides(sources: Sequence[Results | Path | str]) -> list[Side]:
    """Results under letters, named by as much of their paths as tells them apart.

    Raises:
        UserError: for fewer than two or more than twenty-six, or where one cannot be read.

    >>> from harness.report.example import example
    >>> [side.label for side in sides([example().results, example().results])]
    ['A: results', 'B: results']
    """
    if not 2 <= len(sources) <= len(LETTERS):
        raise UserError(f"name two folders of results to compare, or up to {len(LETTERS)}")
    found = [each if isinstance(each, Results) else opened(Path(each)) for each in sources]
    parts = [results.path.resolve().parts[1:] if results.path != Path() else () for results in found]
    for depth in range(1, max(map(len, parts), default=0) + 1):
        names = ["/".join(part[-depth:]) for part in parts]
        if len(set(names)) == len(names):
            break
    else:
        names = [part[-1] if part else "" for part in parts]
    return [
        Side(letter, one_line(name) or "results", results)
        for letter, name, results in zip(LETTERS, names, found, strict=False)
    ]


def opened(folder: Path) -> Results:
    """``load_results``, but tables of another schema are told by their version.

    Raises:
        UserError: as ``load_results``.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = folder / "runs.parquet"
    if file.is_file():
        try:
            stored = (pq.read_schema(file).metadata or {}).get(b"gradfree_schema")
        except (OSError, pa.ArrowException):
            stored = None  # damaged: load_results says how
        if stored is not None and stored != str(SCHEMA_VERSION).encode():
            version = stored.decode("ascii", "replace")
            raise UserError(
                f"{folder}: has tables of schema {version}, and this version of gradfree reads schema "
                f"{SCHEMA_VERSION}; run its sweep again with this version"
            )
    return load_results(folder)


def differences(compared: Sequence[Side]) -> list[Difference]:
    """What is not the same on all sides: schema, sweep (protocol, dtype, ...) and machines; empty if nothing.

    >>> from harness.report.example import example
    >>> differences(sides([example().results, example().results]))
    []
    """
    tables: list[list[Mapping[str, Any]]] = [
        [_stored(side) for side in compared],
        [side.sweep for side in compared],
        [_machine(side) for side in compared],
    ]
    found = []
    for facts in tables:
        for what in dict.fromkeys(key for each in facts for key in each):
            values = tuple(_said(each.get(what)) for each in facts)
            if len(set(values)) > 1:
                found.append(Difference(what, values))
    return found


def _stored(side: Side) -> dict[str, Any]:
    return {"schema": side.schemas, "repetitions": int(side.results.runs["repetition"].nunique())}


def _machine(side: Side) -> dict[str, list[str]]:
    facts: dict[str, dict[str, None]] = {}
    for each in environments(side.results).values():
        for key, value in each.items():
            facts.setdefault(f"machine: {key}", {})[str(value)] = None
    return {key: sorted(values) for key, values in facts.items()}


def _said(value: Any) -> str:
    if value is None or value == []:
        return "–"
    return one_line(", ".join(map(str, value)) if isinstance(value, list) else str(value))


def why_apart(first: Side, other: Side, task: str) -> str:
    """Why a task's cells of two sides may not be compared; empty where they may."""
    if first.schemas != other.schemas and first.schemas and other.schemas:
        return f"schema {_said(first.schemas)} and {_said(other.schemas)}"
    mine, theirs = first.signatures.get(task), other.signatures.get(task)
    if mine is None or theirs is None:
        return ""
    if mine.digest != theirs.digest:
        return "its data, model, templates or protocol are not the same (unequal signatures)"
    if mine.losses and theirs.losses and not mine.agrees(theirs):
        return (
            "its losses at fixed points are not the same: other weights or other numbers (unequal signatures)"
        )
    return ""


def changes(first: Sequence[Mapping[Any, Any]], other: Sequence[Mapping[Any, Any]]) -> str:
    """What holds for an entry's cells on one side and not on the other: versions, settings, budget.

    Args:
        first: rows of the table of runs.
        other: those of the other side.

    >>> changes([{"settings": '{"sigma": 1.0, "n": 2}'}], [{"settings": '{"sigma": 0.3, "n": 2}'}])
    'sigma 1.0 → 0.3'
    """
    facts = [_facts(first), _facts(other)]
    said = [
        f"{key} {values[0]} → {values[1]}"
        for key in dict.fromkeys([*facts[0], *facts[1]])
        if (values := [each.get(key, "–") for each in facts])[0] != values[1]
    ]
    return one_line("; ".join(said))


def _facts(cells: Sequence[Mapping[Any, Any]]) -> dict[str, str]:
    texts = (text for cell in cells if isinstance(text := cell.get("settings"), str))
    settings = mapping_of(next(texts, "{}")) or {}
    found = {str(key): str(value) for key, value in settings.items()}
    for name in ("provider", "budget"):
        known = dict.fromkeys(str(value) for cell in cells if isinstance(value := cell.get(name), (str, int)))
        if known:
            found[name] = " | ".join(known)
    return found

"""Every option of every registered thing: wrong, out of range, misspelt."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from pydantic import ConfigDict, TypeAdapter

from harness.core import UserError
from harness.core.algorithm_spec import AlgorithmSpec
from harness.plugins import options as reader
from harness.plugins.registry import ALGORITHMS, DATASETS, MODELS, OBJECTIVES, TASKS, TUNINGS

MAY_BE_NEGATIVE: dict[str, tuple[str, ...]] = {}
"""Numbers that have no lower end, by their plugin; all others must be told so by their annotation."""

NEEDED = {"transformers": f"path={resources.files('tasks.reference') / 'model'}"}
"""Options without which a plugin is not to be had, right ones."""


def _loaded(registry: Any) -> dict[str, Any]:
    """The plugins of a group; one that cannot be imported is the matter of other tests."""
    found = {}
    for name in registry.names():
        try:
            found[name] = registry.load(name)
        except UserError:
            continue
    return found


def _hints(factory: Any) -> dict[str, Any]:
    return reader._hints(reader._parameters(factory), "plugin")


def _schema(hint: Any) -> list[dict[str, Any]]:
    if AlgorithmSpec in reader._members(hint):
        return [{"type": "algorithm"}]
    schema = TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True)).json_schema()
    return [{"type": "string", **each} for each in schema.get("anyOf", [schema])]


def _wrong(hint: Any, negative: bool) -> Iterator[str]:
    """Texts of an option's value that its annotation does not allow."""
    alternatives = _schema(hint)
    kinds = {each["type"] for each in alternatives}
    closed = "enum" in str(alternatives) or "const" in str(alternatives)
    if closed or not kinds & {"string", "array", "object"}:
        yield from ("nothing", "[1]", "1 2", "\u221e", "a=b", "nan!")
    if kinds & {"integer", "number"} and not kinds & {"string", "array"}:
        yield from ("nan", "-nan", "inf", "-inf", "1e999", "9" * 5000, "true")
        yield from () if negative else ("-1", "-1000000000000")
    if "integer" in kinds and "number" not in kinds and not kinds & {"string", "array"}:
        yield from ("1.5", "1e3", "0x10", "9" * 30)
    if "boolean" in kinds:
        yield from ("2", "maybe", "-1", "nan")
    if "algorithm" in kinds:
        yield from ("nobody", "spsa[sgma=1]", "spsa[sigma=nan]", "[]", '""')
    if "array" in kinds and "integer" in str(alternatives):
        yield from ("a", "1.5", "nan", "1+a")
    if "null" not in kinds and not kinds & {"string", "array"}:
        yield "none"
    for each in alternatives:
        if "minimum" in each:
            yield str(each["minimum"] - 1)
        if "exclusiveMinimum" in each:
            yield from (str(each["exclusiveMinimum"]), str(each["exclusiveMinimum"] - 1))
        if "maximum" in each:
            yield str(each["maximum"] + 1)
        if "exclusiveMaximum" in each:
            yield str(each["exclusiveMaximum"])


def _misspelt(option: str) -> str:
    return option[:-1] + "_x" if len(option) > 1 else "xx"


@pytest.fixture
def judged(plan_faults, faults):
    """The faults of the answers to all wrong values of all options of a plugin, in its place in a sweep."""

    def look(name: str, factory: Any, tasks: str, algorithms: str) -> list[str]:
        def answer(given: str, *names: str) -> list[str]:
            others = "," + NEEDED[name] if name in NEEDED else ""
            text = f"{name}[{given}{others}]"
            return plan_faults(tasks.replace("?", text), algorithms.replace("?", text), (name, *names))

        wrong = (tasks.replace("?", f"{name}[zzz=1]"), algorithms.replace("?", f"{name}[zzz=1]"))
        words = ("--tasks", wrong[0], "--algorithms", wrong[1], "--out", "out")
        bad = faults("sweep", "--executor", "inline", *words, names=(name, "zzz"))
        for option, hint in _hints(factory).items():
            if option in NEEDED.get(name, ""):
                continue
            bad += answer(f"{_misspelt(option)}=1", _misspelt(option))
            bad += answer(option, option)
            bad += answer(f"{option}=", option)
            for value in dict.fromkeys(_wrong(hint, option in MAY_BE_NEGATIVE.get(name, ()))):
                bad += answer(f"{option}={value}", option)
        return bad

    return look


@pytest.mark.parametrize("name", _loaded(ALGORITHMS))
def test_a_wrong_option_of_an_algorithm_is_refused(judged, name):
    bad = judged(name, ALGORITHMS.load(name), "sphere[dimension=2]", "?")
    assert not bad, "\n".join(bad)


@pytest.mark.parametrize("name", _loaded(TASKS))
def test_a_wrong_option_of_a_task_is_refused(judged, name):
    bad = judged(name, TASKS.load(name), "?", "random")
    assert not bad, "\n".join(bad)


@pytest.mark.parametrize("name", _loaded(TUNINGS))
def test_a_wrong_option_of_a_tuning_is_refused(judged, name):
    bad = judged(name, TUNINGS.load(name), "sentiment/reference/?", "random")
    assert not bad, "\n".join(bad)


def _told_apart(found: dict[str, Any]) -> list[str]:
    """One name for each factory: the published sets share one; ``files`` is had through a sweep file only."""
    codes = {getattr(factory, "__code__", factory): name for name, factory in found.items()}
    return sorted(set(codes.values()) - {"files"})


@pytest.mark.parametrize("name", DATASETS.names())
def test_an_unknown_option_of_a_data_set_is_refused(plan_faults, name):
    bad = plan_faults(f"{name}[zzz=1]/reference/prompt", "random", (name, "zzz"))
    assert not bad, "\n".join(bad)


@pytest.mark.parametrize("name", _told_apart(_loaded(DATASETS)))
def test_a_wrong_option_of_a_data_set_is_refused(judged, name):
    bad = judged(name, DATASETS.load(name), "?/reference/prompt", "random")
    assert not bad, "\n".join(bad)


@pytest.mark.parametrize("name", _loaded(MODELS))
def test_a_wrong_option_of_a_model_is_refused(judged, name):
    bad = judged(name, MODELS.load(name), "sentiment/?/prompt", "random")
    assert not bad, "\n".join(bad)


@pytest.mark.parametrize("name", OBJECTIVES.names())
def test_a_misspelt_objective_is_answered_with_the_nearest(faults, name):
    words = ("sweep", "--tasks", "sphere", "--algorithms", "random", "--out", "out")
    bad = faults(*words, "--objective", f"{name}x", names=("--objective", name))
    bad += faults(
        "sweep", "--tasks", f"sentiment/reference/prompt[objective={name}x]", *words[3:],
        names=("--tasks", "objective", name),
    )  # fmt: skip
    assert not bad, "\n".join(bad)


def test_paths_are_among_the_kinds_of_options():
    assert Path in {
        member for hint in _hints(DATASETS.load("sst2")).values() for member in reader._members(hint)
    }

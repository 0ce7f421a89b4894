"""Any text and any values: specifications and sweep files are read, or refused in one line."""

# ruff: noqa: E501, a case a line

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness import Sweep, UserError
from harness.plugins.build import algorithm_class
from harness.plugins.registry import ALGORITHMS
from harness.plugins.spec import DEEPEST, Spec, parse_task, split_list
from harness.running.sweep_file import LARGEST, MOST

fuzzed = settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
"""The same examples every time."""

TEXT = st.text(max_size=30) | st.text(st.sampled_from("ab[]=,/'\" .-_0\n\t\0é\u202e"), max_size=40)
"""Any text, and text of the characters that mean something in a specification."""


def _refusal(call: Any, *given: Any) -> str:
    """What is said where a call refuses; nothing else than a UserError is raised."""
    try:
        call(*given)
    except UserError as error:
        return str(error)
    return ""


def _is_one_line(said: str) -> bool:
    return len(said.splitlines()) <= 1 and len(said) < 2000


@fuzzed
@given(TEXT)
def test_any_text_is_a_specification_or_refused_in_one_line(text):
    for call in (Spec.parse, parse_task, split_list):
        assert _is_one_line(_refusal(call, text))


@fuzzed
@given(TEXT)
def test_a_specification_that_was_read_is_written_and_read_as_the_same(text):
    for call in (Spec.parse, parse_task):
        try:
            found = call(text)
        except UserError:
            continue
        assert call(str(found)) == found
        assert str(call(str(found))) == str(found)


NAMES = (
    st.text(st.sampled_from("ab[]=,/'\" .-_é\\"), min_size=1, max_size=12).filter(str.strip).map(str.strip)
)


@fuzzed
@given(
    NAMES, st.dictionaries(st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,5}", fullmatch=True), NAMES, max_size=3)
)
def test_any_name_and_any_values_can_be_written_as_a_specification(name, options):
    spec = Spec(name, tuple(options.items()))
    assert Spec.parse(str(spec)) == spec


@fuzzed
@given(st.sampled_from(ALGORITHMS.names()), TEXT)
def test_any_text_in_the_brackets_of_an_algorithm_is_taken_or_refused(name, text):
    assert _is_one_line(_refusal(algorithm_class, f"{name}[{text}]"))


@pytest.mark.parametrize("depth", [DEEPEST, DEEPEST + 1, 10**6])
def test_brackets_may_stand_so_deep_and_no_deeper(depth):
    said = _refusal(Spec.parse, "a[b=" + "[" * (depth - 1) + "]" * (depth - 1) + "]")
    assert (said == "") == (depth <= DEEPEST)
    assert _is_one_line(said)


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.just("\0")
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=6) | st.none() | st.integers(), inner, max_size=3)
    ),
    max_leaves=6,
)
GOOD: dict[str, Any] = {
    "tasks": ["sphere"],
    "algorithms": ["random"],
    "protocol": {"per_class": 2},
    "datasets": {"news": {"train": "a.csv", "test": "b.csv", "words": {"0": "no"}}},
    "models": {"stories": {"path": "stories"}},
    "exceptions": [{"tasks": ["sphere"], "budget": 4}],
    "published": [{"task": "sphere", "algorithm": "random", "metric": "loss", "value": 1, "source": "them"}],
    "tuning": {"trials": 2},
    "origin": {"folder": ".", "file": "mine.yaml", "flags": ["budget"]},
}
PLACES = st.sampled_from(
    [
        (),
        *[(key,) for key in (*GOOD, *Sweep.model_fields, "x")],
        *[(key, inner) for key, each in GOOD.items() if isinstance(each, dict) for inner in (*each, "x")],
        *[("datasets", "news", key) for key in ("train", "text", "words", "columns", "alternatives", "x")],
        *[(key, 0) for key in ("exceptions", "published", "tasks")],
        *[("exceptions", 0, key) for key in ("tasks", "budget", "algorithms", "x")],
        *[("published", 0, key) for key in ("task", "value", "x")],
    ]
)


def _with(place: tuple[Any, ...], value: Any) -> Any:
    if not place:
        return value
    document = holder = copy.deepcopy(GOOD)
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = value
    return document


@fuzzed
@given(PLACES, VALUES)
def test_any_value_at_any_place_of_plain_data_is_taken_or_refused(place, value):
    document = _with(place, value)
    said = _refusal(Sweep.from_dict, document)
    assert _is_one_line(said)
    if not said and "origin" not in place:
        made = Sweep.from_dict(document)
        assert Sweep.from_dict(made.to_dict()) == made


@fuzzed
@given(PLACES, VALUES)
def test_any_value_at_any_place_of_a_file_is_taken_or_refused(tmp_path_factory, place, value):
    folder = tmp_path_factory.getbasetemp() / "fuzzing"
    folder.mkdir(exist_ok=True)
    document = _with(place, value)
    if isinstance(document, dict):
        document.pop("origin", None)
    file = folder / "mine.yaml"
    file.write_text(yaml.safe_dump(document, allow_unicode=True), "utf-8")
    said = _refusal(Sweep.load, file)
    assert _is_one_line(said)
    assert str(file) in said or not said


@fuzzed
@given(
    st.binary(max_size=40)
    | st.text(st.sampled_from("ab:[]{},-&*!<#%@|>?\"' \n\t~"), max_size=60).map(str.encode)
)
def test_any_bytes_of_a_file_are_refused_in_one_line(tmp_path_factory, content):
    folder = tmp_path_factory.getbasetemp() / "fuzzing"
    folder.mkdir(exist_ok=True)
    file = folder / "bytes.yaml"
    file.write_bytes(content)
    said = _refusal(Sweep.load, file)
    assert said
    assert _is_one_line(said)


def _bomb(depth: int) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, depth)]
    return "\n".join([*lines, f"tasks: *a{depth - 1}", "algorithms: random"])


HOSTILE = {
    "aliases that grow": (_bomb(9), f"{MOST:,} values"),
    "an alias of itself": ("tasks: &a [*a]\nalgorithms: random", "alias"),
    "a mapping of itself": ("&a tasks: *a\nprotocol: &b {per_class: *b}", "alias"),
    "a million brackets": ("tasks: " + "[" * 10**6, "too deep"),
    "a million braces": ("tasks: " + "{a: " * 200_000, "too deep"),
    "a million dashes": ("- " * 400_000, "too deep"),
    "a million bytes and more": ("# " + "x" * LARGEST, f"{LARGEST:,} bytes"),
    "many values": ("a: &a [" + "x, " * 1000 + "]\ntasks: [" + "*a, " * (MOST // 1000) + "]", f"{MOST:,} values"),
    "a python object": ("tasks: !!python/object/apply:os.system ['true']\nalgorithms: random\nbudget: x", "budget"),
    "an unknown tag": ("!mine\ntasks: [sphere]", "algorithms"),
    "a key that is a list": ("[a, b]: 3", "unhashable"),
    "an empty key": ("? \n: 3\n", "key is empty"),
    "a long key": ("x" * 100_000 + ": 3", "mapping values"),
    "digits without end": ("tasks: a\nalgorithms: b\nbudget: " + "9" * 100_000, "budget"),
    "an escape": ('tasks: a\nalgorithms: b\n"\\e[31mred": 3', "red"),
    "a line break in a key": ('tasks: a\nalgorithms: b\n"a\\nb": 3', "\\n"),
    "two documents": ("tasks: a\n---\nalgorithms: b", "another document"),
    "a time": ("2001-12-14", "no keys"),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_sweep_file_is_refused_in_one_line(faults, tmp_path, case):
    text, named = HOSTILE[case]
    (tmp_path / "mine.yaml").write_text(text, "utf-8")
    bad = faults("plan", "mine.yaml", names=("mine.yaml", named))
    assert not bad, "\n".join(bad)


@fuzzed
@given(st.floats() | st.integers())
def test_any_number_of_a_range_is_kept_or_refused(number):
    try:
        made = Sweep.from_flags(tasks="sphere", algorithms="random", protocol={"timeout": number})
    except UserError:
        assert not (0 < number < math.inf)
        return
    assert made.protocol.timeout == number

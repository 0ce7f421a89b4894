"""Every key of a sweep file: missing, of a wrong type, out of range, misspelt."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from harness.running.sweep_file import Sweep

SCHEMA = Sweep.model_json_schema()
GOOD: dict[str, Any] = {
    "tasks": ["sphere[dimension=2]"],
    "algorithms": ["random"],
    "repetitions": 1,
    "budget": 20,
    "objective": "cross-entropy",
    "protocol": {
        "per_class": 2,
        "minibatch": 4,
        "dev_points": 2,
        "test_rows": 8,
        "seed": 1,
        "timeout": 60,
        "train_rows": 8,
        "dev_rows": 8,
    },
    "datasets": {
        "news": {
            "train": "news.csv",
            "test": "news.csv",
            "dev": "news.csv",
            "text": "text",
            "label": "label",
            "template": "{text} It was",
            "words": {0: "bad", 1: "good"},
            "columns": ["text", "label"],
            "max_tokens": 64,
            "alternatives": ["{text} So it was"],
        }
    },
    "models": {"stories": {"path": "stories"}},
    "tuning": {"trials": 2},
    "exceptions": [
        {
            "tasks": ["sphere[dimension=2]"],
            "budget": 10,
            "algorithms": ["random"],
            "train_rows": 4,
            "dev_rows": 4,
        }
    ],
    "published": [
        {
            "task": "sphere[dimension=2]",
            "algorithm": "random",
            "metric": "loss",
            "value": 0.5,
            "source": "them",
        }
    ],
    "smoke": False,
    "out": "out",
    "relative_to": ".",
    "device": "cpu",
    "dtype": "float32",
}
"""A sweep file with every key."""

BEYOND = 10**400
"""Larger than any float."""


def _resolved(schema: dict[str, Any]) -> dict[str, Any]:
    return SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


def _alternatives(schema: dict[str, Any]) -> list[dict[str, Any]]:
    return [_resolved(each) for each in schema.get("anyOf", [schema])]


def _keys(value: Any, schema: dict[str, Any], place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The place of every key of GOOD, with what the schema says of it and whether it has to be there."""
    alternatives = _alternatives(schema)
    kind = next((each for each in alternatives if each.get("type") in ("object", "array")), alternatives[0])
    if isinstance(value, dict):
        for name, inner in value.items():
            known = kind.get("properties", {})
            own = known[name] if name in known else kind.get("additionalProperties")
            if isinstance(own, dict):
                yield (*place, name), own, name in kind.get("required", ())
                yield from _keys(inner, own, (*place, name))
    elif isinstance(value, list) and isinstance(value[0], dict):
        yield from _keys(value[0], kind["items"], (*place, 0))


def _wrong(schema: dict[str, Any]) -> list[Any]:
    """Values that the schema does not allow; text that says a number is one, as elsewhere in a sweep file."""
    alternatives = _alternatives(schema)
    kinds = {each.get("type", "string") for each in alternatives}
    wrong: list[Any] = [] if "null" in kinds else [None]
    wrong += [] if "object" in kinds else [{"a": "b"}]
    wrong += [] if "array" in kinds else [["a"], []]
    if not kinds & {"object", "string", "array"}:
        wrong += ["", "many", "1 2", "[1]", "é"]
    if kinds & {"integer", "number"}:
        wrong += [True, "nan", "-nan", "inf", "-inf", "1e999", BEYOND, -BEYOND]
    if "integer" in kinds:
        wrong += [1.5, "0x10", "1e3"]
    if "boolean" in kinds:
        wrong += [2, -1, 0.5, "nan"]
    if "object" in kinds:
        wrong += ["many", 3, True]
    if "array" in kinds:
        wrong += [[{"a": "b"}], [["a"]], [None], {"a": "b"}] + [[]] * ("minItems" in str(alternatives))
    for each in alternatives:
        wrong += [each["minimum"] - 1] if "minimum" in each else []
        wrong += (
            [each["exclusiveMinimum"], each["exclusiveMinimum"] - 1] if "exclusiveMinimum" in each else []
        )
        wrong += [each["maximum"] + 1] if "maximum" in each else []
        wrong += ["", "nothing", "float16"] if "enum" in each or "pattern" in each else []
    return wrong


def _changed(place: tuple[Any, ...], change: Any) -> dict[str, Any]:
    """GOOD with another value at a place, or, where the change is the class ``KeyError``, without it."""
    document = yaml.safe_load(yaml.safe_dump(GOOD))
    holder = document
    for key in place[:-1]:
        holder = holder[key]
    if change is KeyError:
        del holder[place[-1]]
    else:
        holder[place[-1]] = change
    return document


KEYS = {".".join(str(part) for part in place if part != 0): (place, schema, needed)
        for place, schema, needed in _keys(GOOD, SCHEMA)}  # fmt: skip


@pytest.fixture
def answer(faults, tmp_path):
    """The faults of the answer to a sweep file."""
    (tmp_path / "news.csv").write_text("text,label\na,0\nb,1\n")

    def look(document: Any, *names: str, legal: bool = False) -> list[str]:
        text = document if isinstance(document, str) else yaml.safe_dump(document, allow_unicode=True)
        (tmp_path / "mine.yaml").write_text(text)
        said = faults("sweep", "mine.yaml", names=("mine.yaml", *names), legal=legal)
        return said

    return look


def test_the_sweep_file_of_the_table_holds_every_key():
    missing = [
        f"{name}.{key}"
        for name, schema in {"": SCHEMA, **SCHEMA["$defs"]}.items()
        for key in schema["properties"]
        if not any(key in place for place, _, _ in KEYS.values())
    ]
    assert missing == []


@pytest.mark.parametrize("key", KEYS)
def test_a_wrong_value_of_a_key_is_refused_with_file_key_and_remedy(answer, key):
    place, schema, needed = KEYS[key]
    shown = key.replace(".0", "")
    bad = []
    for value in _wrong(schema):
        bad += [f"{value!r:.40} <- {fault}" for fault in answer(_changed(place, value), shown)]
    bad += answer(_changed(place, KeyError), shown) if needed else []
    bad += answer(_changed((*place[:-1], f"{place[-1]}x"), 1), f"{shown}x") if _closed(place) else []
    assert not bad, "\n".join(bad)


def _closed(place: tuple[Any, ...]) -> bool:
    """Whether only known names stand beside a key."""
    return place[:-1] not in {("datasets",), ("models",), ("models", "stories")} and "words" not in place

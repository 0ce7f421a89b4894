"""Every flag and argument of every verb: unknown, without its value, of a wrong type, out of range."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args, get_type_hints

import pytest
import typer

from harness import cli

ROOT: Any = typer.main.get_command(cli.app)
VERBS: dict[str, Any] = ROOT.commands
HINTS = {
    info.name or info.callback.__name__: get_type_hints(info.callback, include_extras=True)
    for info in cli.app.registered_commands
    if info.callback is not None
}


def _numbers(hint: Any) -> list[str]:
    """Texts that are no such number, or beyond its ends; none for a flag of another type."""
    kinds, said = str(get_args(hint)[0]), get_args(hint)[1]
    if "int" not in kinds and "float" not in kinds:
        return []
    wrong = ["many", "", "1 2", "0x10"]
    wrong += ["1.5", "nan", "1e3"] if "int" in kinds else []
    wrong += [str(said.min - 1)] if said.min is not None else []
    wrong += [str(said.max + 1)] if said.max is not None else []
    return wrong


def _wrong(verb: str, option: Any) -> Iterator[tuple[str, ...]]:
    """Wrong uses of one flag."""
    flag = max(option.opts, key=len)
    yield (f"{flag}x",)
    if option.is_flag:
        yield (f"{flag}=many",)
        return
    yield (flag,)
    yield from ((f"{flag}={value}",) for value in _numbers(HINTS[verb][option.name]))


def _flags(verb: Any) -> list[Any]:
    return [each for each in verb.params if each.param_type_name == "option" and each.name != "help"]


def _needed(verb: Any) -> tuple[str, ...]:
    arguments = [each for each in verb.params if each.param_type_name == "argument" and each.required]
    return tuple("nowhere" for _ in arguments)


@pytest.mark.parametrize("name", VERBS)
def test_a_wrong_flag_of_a_verb_is_refused_with_its_name(faults, name):
    verb = VERBS[name]
    bad = []
    for flag in _flags(verb):
        for words in _wrong(name, flag):
            bad += faults(name, *_needed(verb), *words, names=(max(flag.opts, key=len),))
    bad += faults(name, *_needed(verb), "--zzz", names=("--zzz",))
    bad += faults(name, *["nowhere"] * 9, "--zzz=1", names=("--zzz",))
    assert not bad, "\n".join(bad)


@pytest.mark.parametrize("name", [name for name in VERBS if _needed(VERBS[name])])
def test_a_verb_without_its_arguments_is_refused(faults, name):
    bad = faults(name)
    assert not bad, "\n".join(bad)


SWEEP = {
    "--repetitions": ("0", "-1", "1000000000"),
    "--budget": ("0", "-1", str(10**30)),
    "--trials": ("0", "-1", "1000000000"),
    "--objective": ("", "nothing", "cross-entropi"),
    "--device": ("", "gpu", "cuda:x", "cuda:99", "CPU", "mps"),
    "--dtype": ("", "float16", "int8"),
    "--executor": ("", "cloud"),
    "--out": ("/proc/nowhere/out", "taken", "x" * 300),
    "--tasks": ("", ",", "spere"),
    "--algorithms": ("", ",", "rndom"),
}


@pytest.mark.parametrize("flag", SWEEP)
def test_a_flag_of_a_sweep_that_is_out_of_range_is_refused(faults, tmp_path, flag):
    (tmp_path / "taken").write_text("mine")
    given = {
        "--tasks": "sphere[dimension=2]",
        "--algorithms": "random",
        "--budget": "4",
        "--repetitions": "1",
    }
    bad = []
    for value in SWEEP[flag]:
        words = {**given, "--out": "out", "--executor": "inline", flag: value}
        named = flag if flag not in ("--out", "--trials") else ""
        bad += faults("sweep", "-q", *(f"{key}={each}" for key, each in words.items()), names=(named,))
    assert not bad, "\n".join(bad)


OTHERS = {
    ("plan", "--tasks", "sphere", "--algorithms", "random", "--peak-flops", "0"): "--peak-flops",
    ("plan", "--tasks", "sphere", "--algorithms", "random", "--peak-flops", "-1"): "--peak-flops",
    ("plan", "--tasks", "sphere", "--algorithms", "random", "--peak-flops", "nan"): "--peak-flops",
    ("plan", "--tasks", "sphere", "--algorithms", "random", "--utilisation", "0"): "--utilisation",
    ("plan", "--tasks", "sphere", "--algorithms", "random", "--utilisation", "nan"): "--utilisation",
    ("plan", "quick", "--tasks", ""): "--tasks",
    ("plan", "nowhere.yaml"): "nowhere.yaml",
    ("list", "nothing"): "nothing",
    ("check", "nothing"): "nothing",
    ("check", "random[sigma=0]"): "sigma",
    ("check", "sphere[dimension=0]"): "dimension",
    ("check", ""): "name",
    ("bench", "nothing"): "nothing",
    ("bench", "sphere"): "no model",
    ("bench", "sentiment/reference/prompt", "--device", "gpu"): "device",
    ("bench", "sentiment/reference/prompt", "--dtype", "int8"): "dtype",
    ("new", ""): "name",
    ("new", "../mine"): "../mine",
    ("new", "my optimizer"): "my optimizer",
    ("new", "1st"): "1st",
    ("new", "import"): "import",
    ("new", "random"): "random",
    ("new", "x" * 300): "x",
    ("new", "mine", "--into", "taken"): "taken",
    ("new", "mine", "--into", "/proc/nowhere"): "nowhere",
}


@pytest.mark.parametrize("words", OTHERS, ids=lambda words: ascii(" ".join(words)[-40:]))
def test_words_of_other_verbs_that_cannot_be_meant_are_refused(faults, tmp_path, words):
    (tmp_path / "taken").write_text("mine")
    bad = faults(*words, names=(OTHERS[words],))
    assert not bad, "\n".join(bad)

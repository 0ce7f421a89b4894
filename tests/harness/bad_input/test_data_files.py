"""Data files of a user's own and of published sets: empty, broken, of another kind, not to be read."""

# ruff: noqa: E501, a case a line

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

ROWS = [(f"a text of number {i}", i % 2) for i in range(24)]
CSV = "text,label\n" + "".join(f"{text},{label}\n" for text, label in ROWS)
TSV = CSV.replace(",", "\t")
JSONL = "".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in ROWS)

# What stands in the file, and what the line has to name beside the file and its key.
CSV_FILES: dict[str, tuple[str | bytes, tuple[str, ...]]] = {
    "empty": ("", ()),
    "blank": ("\n\n  \n", ()),
    "header only": ("text,label\n", ("holds no rows",)),
    "binary": (bytes(range(256)) * 8, ()),
    "UTF-16": (CSV.encode("utf-16"), ("UTF-8",)),
    "latin-1": (CSV.replace("text of", "texté of").encode("latin-1"), ("UTF-8",)),
    "no label column": (CSV.replace("label", "lable"), ("'label'", "did you mean 'lable'")),
    "no text column": (CSV.replace("text,", "sentence,"), ("'text'", "sentence")),
    "header twice": (CSV.replace("text,label", "text,label,text", 1).replace("\n", ",x\n"), ()),
    "columns twice": ("text,label,label\n" + "a,0,1\n" * 24, ("label", "twice")),
    "too few fields": (CSV + "a text alone\n", ("line 26",)),
    "too many fields": (CSV + "a,0,b,c\n", ("line 26",)),
    "too many fields throughout": ("text,label\n" + "a,0,b\n" * 24, ("line 2",)),
    "open quote": (CSV + '"a text,0\n', ("line 26",)),
    "label not in words": (CSV + "a text,2\n", ("'2'", "words")),
    "label with blanks": (CSV.replace(",1\n", ", one\n"), ("one", "words")),
    "empty label": (CSV + "a text,\n", ("words",)),
    "semicolons": (CSV.replace(",", ";"), ("';'",)),
    "tabs": (TSV, ("'\\t'",)),
    "NUL": (CSV.replace("number 3", "num\0ber 3"), ("NUL",)),
    "carriage returns": (CSV.replace("\n", "\r").replace("label", "lable"), ("label",)),
    "gigantic line": ("text" * 2_000_000, ("holds no rows",)),
    "gigantic header": ("text" * 2_000_000 + "\na\n", ("'text'",)),
    "gigantic field": (CSV + '"' + "a" * 2_000_000, ("line 26",)),
    "one class": (CSV.replace(",1\n", ",0\n"), ("great", "per_class")),
    "HTML": ("<!DOCTYPE html>\n<html><body>Not found</body></html>\n", ("'text'",)),
}
TSV_FILES: dict[str, tuple[str | bytes, tuple[str, ...]]] = {
    "commas": (CSV, ("','",)),
    "ragged": (TSV + "a text alone\n", ("line 26",)),
    "too many": (TSV + "a\t0\tb\n", ("line 26",)),
    "empty": ("", ()),
    "NUL": (TSV.replace("number 3", "num\0ber 3"), ("NUL",)),
}
JSONL_FILES: dict[str, tuple[str | bytes, tuple[str, ...]]] = {
    "empty": ("", ()),
    "broken line": (JSONL + '{"text": \n', ("line 25",)),
    "not an object": (JSONL + "[1, 2]\n", ("line 25",)),
    "a number": ("3\n", ("line 1",)),
    "other keys": (JSONL + '{"text": "a"}\n', ("line 25", "'label'")),
    "a list as text": (JSONL + '{"text": ["a"], "label": 0}\n', ("line 25", "'text'")),
    "an object as label": (JSONL + '{"text": "a", "label": {}}\n', ("line 25", "'label'")),
    "key twice": (JSONL + '{"text": "a", "text": "b", "label": 0}\n', ("line 25", "'text'")),
    "nan": (JSONL + '{"text": "a", "label": NaN}\n', ("line 25",)),
    "deep": (JSONL + '{"text": ' + "[" * 100_000 + "\n", ("line 25",)),
    "a list in one": (json.dumps([{"text": "a", "label": 0}]) + "\n", ("line 1",)),
    "latin-1": (JSONL.encode() + '{"text": "é", "label": 0}\n'.encode("latin-1"), ("UTF-8",)),
    "huge number": (JSONL + '{"text": "a", "label": ' + "9" * 5000 + "}\n", ("line 25",)),
    "lone surrogate": (JSONL + '{"text": "\\ud800", "label": 0}\n', ("line 25",)),
}
EVERY = {
    f"{name}.{suffix}": (f"train.{suffix}", *case)
    for suffix, files in (("csv", CSV_FILES), ("tsv", TSV_FILES), ("jsonl", JSONL_FILES))
    for name, case in files.items()
}
CLASSES = ("one class.csv",)
GOOD = {"csv": CSV, "tsv": TSV, "jsonl": JSONL}


@pytest.fixture
def answer(faults, tmp_path):
    """The faults of the answer to a sweep over a data set whose training file is the one named."""
    (tmp_path / "test.csv").write_text(CSV)

    def look(train: str, *names: str, legal: bool = False, **keys: object) -> list[str]:
        news = {"train": train, "test": "test.csv", "words": {0: "terrible", 1: "great"}, **keys}
        protocol = {"per_class": 2, "minibatch": 2, "dev_points": 1, "test_rows": 4}
        sweep = {"tasks": ["news/reference/prompt"], "algorithms": ["random"], "budget": 2, "repetitions": 1}
        document = {**sweep, "datasets": {"news": news}, "protocol": protocol, "out": "out"}
        (tmp_path / "mine.yaml").write_text(yaml.safe_dump(document))
        words = ("sweep", "mine.yaml", "--executor", "inline", "-q")
        return faults(*words, names=("mine.yaml", "news", *names), legal=legal)

    return look


@pytest.mark.parametrize("case", EVERY)
def test_a_malformed_data_file_is_refused_with_file_and_line(answer, tmp_path, case):
    name, content, names = EVERY[case]
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    whole = case in CLASSES  # the file can be read, and its rows are too few
    bad = answer(name, *([] if whole else [name]), *names)
    assert not bad, "\n".join(bad)


@pytest.mark.parametrize("suffix", GOOD)
def test_a_byte_order_mark_and_line_ends_of_windows_are_no_fault(answer, tmp_path, suffix):
    content = GOOD[suffix].replace("\n", "\r\n").encode("utf-8-sig")
    (tmp_path / f"train.{suffix}").write_bytes(content)
    bad = answer(f"train.{suffix}", legal=True)
    assert not bad, "\n".join(bad)


def _folder(path: Path) -> None:
    path.mkdir()


def _dangling(path: Path) -> None:
    path.symlink_to("nowhere.csv")


def _circle(path: Path) -> None:
    path.symlink_to(path.name)


def _unreadable(path: Path) -> None:
    path.symlink_to("/proc/self/mem")  # the kernel refuses its first byte, to root too


@pytest.mark.parametrize("make", [_folder, _dangling, _circle, _unreadable])
def test_what_is_no_file_to_read_is_refused(answer, tmp_path, make):
    make(tmp_path / "train.csv")
    bad = answer("train.csv", "train.csv")
    assert not bad, "\n".join(bad)


@pytest.mark.parametrize(
    ("keys", "names"),
    [
        ({"train": "nowhere.csv"}, ("nowhere.csv", "train")),
        ({"train": "x" * 300 + ".csv"}, ("train",)),
        ({"train": "~nobody/train.csv"}, ("train", "nobody")),
        ({"train": "test.csv", "test": "test.xlsx"}, ("test",)),
        ({"train": "notes.txt"}, ("notes.txt", ".csv")),
        ({"text": "title"}, ("title",)),
        ({"text": ["text", "title"]}, ("title",)),
        ({"text": []}, ("text",)),
        ({"label": "text"}, ("words",)),
        ({"label": "class"}, ("class",)),
        ({"template": "no place"}, ("template",)),
        ({"template": "{title} It was"}, ("title",)),
        ({"template": "{text It was"}, ("template",)),
        ({"template": "{0} It was"}, ("template",)),
        ({"template": "{text.real} It was"}, ("template",)),
        ({"template": "{text!r} It was"}, ("template",)),
        ({"template": "{text:>10} It was"}, ("template",)),
        ({"words": {0: "terrible"}}, ("words",)),
        ({"words": {}}, ("words",)),
        ({"words": {0: "great", 1: "great"}}, ("words", "great")),
        ({"words": {0: "great", 1: "great news"}}, ("words", "great")),
        ({"words": {0: " ", 1: "great"}}, ("words",)),
        ({"words": {0: "terrible", 1: "zzqqj"}}, ("words",)),
        ({"words": {0: "terrible", 2: "great"}}, ("words", "'1'")),
        ({"columns": ["text"]}, ("columns",)),
        ({"columns": ["text", "label", "more"]}, ("columns",)),
        ({"columns": ["text", "text"]}, ("columns", "twice")),
        ({"max_tokens": 3}, ("max_tokens",)),
        ({"alternatives": ["no place"]}, ("alternatives",)),
        ({"alternatives": ["{title}"]}, ("title",)),
    ],
)  # fmt: skip
def test_a_definition_that_does_not_fit_its_files_is_refused(answer, tmp_path, keys, names):
    (tmp_path / "notes.txt").write_text(CSV)
    own = {"train": "test.csv", **keys}
    bad = answer(own.pop("train"), *names, **own)
    assert not bad, "\n".join(bad)


SST2 = "sentence\tlabel\n" + "".join(f"a text of number {i}\t{i % 2}\n" for i in range(24))
FOLDERS: dict[str, tuple[dict[str, str | bytes], tuple[str, ...]]] = {
    "empty": ({}, ("train",)),
    "no train file": ({"test.tsv": SST2}, ("train",)),
    "no test file": ({"train.tsv": SST2}, ("test",)),
    "empty file": ({"train.tsv": "", "test.tsv": SST2}, ("train.tsv",)),
    "header only": ({"train.tsv": "sentence\tlabel\n", "test.tsv": SST2}, ("train.tsv",)),
    "binary": ({"train.tsv": bytes(range(256)), "test.tsv": SST2}, ("train.tsv", "UTF-8")),
    "no header and NUL": ({"train.tsv": SST2 + "a\0b\t0\n", "test.tsv": SST2}, ("train.tsv", "NUL")),
    "ragged": ({"train.tsv": SST2 + "a text\n", "test.tsv": SST2}, ("train.tsv", "line 26")),
    "columns twice": ({"train.tsv": SST2.replace("sentence\tl", "label\tl", 1), "test.tsv": SST2}, ("train.tsv",)),
    "unknown label": ({"train.tsv": SST2 + "a text\tnine\n", "test.tsv": SST2}, ("train.tsv", "line 26", "nine")),
    "other columns": ({"train.tsv": SST2.replace("label", "gold", 1), "test.tsv": SST2}, ("train.tsv",)),
    "two files": ({"train.tsv": SST2, "train.csv": SST2, "test.tsv": SST2}, ("train.csv and train.tsv",)),
    "no labels": ({"train.tsv": SST2.replace("\t1\n", "\t-1\n").replace("\t0\n", "\t-1\n"), "test.tsv": SST2}, ("train",)),
    "open quote": ({"train.csv": 'sentence,label\n"a,0\n', "test.tsv": SST2}, ("train.csv", "line")),
    "broken JSON": ({"train.jsonl": '{"sentence": \n', "test.tsv": SST2}, ("train.jsonl: line 1",)),
    "deep JSON": ({"train.jsonl": "[" * 100_000, "test.tsv": SST2}, ("train.jsonl: line 1",)),
    "JSON lines of lists": ({"train.jsonl": "[1]\n", "test.tsv": SST2}, ("train.jsonl: line 1",)),
    "rows without a key": ({"train.jsonl": '{"sentence": "a", "label": 0}\n{"label": 0}\n', "test.tsv": SST2}, ("train.jsonl: line 2",)),
    "numbers as text": ({"train.jsonl": '{"sentence": {"a": 1}, "label": [0]}\n', "test.tsv": SST2}, ("train.jsonl: line 1",)),
    "no list": ({"train.json": '{"a": 3}', "test.tsv": SST2}, ("train.json",)),
    "list of numbers": ({"train.json": "[3]", "test.tsv": SST2}, ("train.json",)),
    "empty list": ({"train.json": "[]", "test.tsv": SST2}, ("train.json",)),
    "deep list": ({"train.json": "[" * 100_000, "test.tsv": SST2}, ("train.json",)),
    "label alone": ({"train.txt": "0\n", "test.tsv": SST2}, ("train.txt: line 1",)),
    "shots of two sizes": ({"16-13/train.tsv": SST2, "8-13/train.tsv": SST2}, ("per_class",)),
    "empty shots": ({"16-13/notes": ""}, ("16-13", "train")),
    "other test rows": ({f"16-{seed}/{split}.tsv": SST2 + f"a\t{seed % 2}\n" for seed in (13, 42) for split in ("train", "dev", "test")}, ("test rows",)),
}  # fmt: skip


@pytest.mark.parametrize("case", FOLDERS)
def test_a_malformed_folder_of_a_published_set_is_refused(faults, tmp_path, case):
    files, names = FOLDERS[case]
    (tmp_path / "own").mkdir()
    for name, content in files.items():
        (tmp_path / "own" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "own" / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    words = ("--algorithms", "random", "--budget", "2", "--out", "out", "--executor", "inline", "-q")
    task = "sst2[path=own,words=terrible+great]/reference/prompt"
    bad = faults("sweep", "--tasks", task, *words, names=("sst2", *names))
    assert not bad, "\n".join(bad)


PROBLEM = '{"numbers": [3, 8, 1], "target": 24}\n'
PROBLEMS = {
    "empty": "",
    "broken": PROBLEM * 9 + '{"numbers": \n',
    "no object": PROBLEM * 9 + "[3]\n",
    "no target": PROBLEM * 9 + '{"numbers": [3, 8]}\n',
    "text for numbers": PROBLEM * 9 + '{"numbers": "many", "target": 24}\n',
    "no numbers": PROBLEM * 9 + '{"numbers": [], "target": 24}\n',
    "many numbers": PROBLEM * 9 + '{"numbers": ' + str([2] * 40) + ', "target": 2001}\n',
    "huge target": PROBLEM * 9 + '{"numbers": [3, 8], "target": 1e999}\n',
    "no solution": PROBLEM * 9 + '{"numbers": [1, 1], "target": 999}\n',
    "deep": PROBLEM * 9 + "[" * 100_000,
    "binary": bytes(range(128, 256)),
}


@pytest.mark.parametrize("case", PROBLEMS)
def test_a_malformed_file_of_countdown_is_refused(faults, tmp_path, case):
    content = PROBLEMS[case]
    (tmp_path / "own.jsonl").write_bytes(content if isinstance(content, bytes) else content.encode())
    words = ("--algorithms", "random", "--budget", "2", "--out", "out", "--executor", "inline", "-q")
    bad = faults(
        "sweep", "--tasks", "countdown[path=own.jsonl]/reference/prompt[objective=reward]", *words,
        names=("countdown", "own.jsonl", *(("line 10",) if PROBLEM in str(content)[:40] else ())),
    )  # fmt: skip
    assert not bad, "\n".join(bad)

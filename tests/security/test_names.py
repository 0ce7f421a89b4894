"""Names of tasks, algorithms, data sets, models and suites: none becomes a path that it should not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Answers = Callable[..., tuple[int, str, str]]

NAMES = (
    *("../victim", "../../victim", "/etc/passwd", "/", "..", ".", "~", "~root", "a/../../victim"),
    *("a\0b", "a\nb", "a\rb", "\x1b[31m", "-rf", "--help", "$HOME", "$(touch victim)", "`id`", "a;b", "a|b"),
    *(
        "x" * 300,
        "x" * 5000,
        "\u202egnp.exe",
        "\u2066a",
        "CON",
        "C:\\victim",
        "\\\\host\\share",
        "file:///etc",
    ),
    *("https://stranger/model", "%2e%2e%2fvictim", "{0.__class__}", "{text.__class__}", "%s%n", "'", '"'),
)


def quoted(name: str) -> str:
    """As one name, whatever it holds."""
    return '"' + name.replace('"', '""') + '"'


def files(folder: Path) -> set[str]:
    """What lies in a folder."""
    return {file.relative_to(folder).as_posix() for file in folder.rglob("*")}


@pytest.mark.parametrize(
    "place", ["task", "dataset", "model", "tuning", "algorithm", "objective", "suite", "kind"]
)
def test_a_name_that_nobody_has_is_answered_in_one_line_and_nothing_is_written(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: Answers
) -> None:
    monkeypatch.chdir(tmp_path)
    task, algorithm = "sphere", "random"
    # A model may be a folder or a name on the hub: each is looked for, which takes a second.
    for name in NAMES if place != "model" else NAMES[:20:6]:
        text = quoted(name)
        words = {
            "task": ["sweep", "--tasks", text, "--algorithms", algorithm],
            "dataset": ["sweep", "--tasks", f"{text}/reference/prompt", "--algorithms", algorithm],
            "model": ["sweep", "--tasks", f"sentiment/{text}/prompt", "--algorithms", algorithm],
            "tuning": ["sweep", "--tasks", f"sentiment/reference/{text}", "--algorithms", algorithm],
            "algorithm": ["sweep", "--tasks", task, "--algorithms", text],
            "objective": ["sweep", "--tasks", task, "--algorithms", algorithm, "--objective", name],
            "suite": ["sweep", "--", name],
            "kind": ["list", "--", name],
        }[place]
        code, out, err = answers(*words)
        assert (code, out, err.count("\n")) == (2, "", 1), name
        assert err.startswith("gradfree: error: "), name
        assert not any(letter in err for letter in "\0\r\x1b\u202e\u2066"), name
        assert files(tmp_path) == set(), name


@pytest.mark.parametrize("verb", ["status", "leaderboard", "report", "show"])
def test_a_folder_that_is_none_is_answered_in_one_line(verb: str, answers: Answers) -> None:
    for name in NAMES:
        if name in ("..", ".", "/"):  # folders, but of no results
            continue
        code, out, err = answers(verb, "--", name)
        assert (code, out, err.count("\n")) == (2, "", 1), name


def test_a_package_of_a_name_that_leads_elsewhere_is_not_written(tmp_path: Path, answers: Answers) -> None:
    (tmp_path / "here").mkdir()
    for name in NAMES:
        assert answers("new", "--into", tmp_path / "here", "--", name)[0] == 2, name
    assert files(tmp_path) == {"here"}


def test_a_data_set_s_rows_are_no_templates(tmp_path: Path) -> None:
    # Places in braces are the template's alone: a row's text is put in as it stands.
    from tasks.data_files import files as data_of

    hostile = "{label} {text.__class__.__mro__} {0} %s"
    for split in ("train", "test"):
        (tmp_path / f"{split}.csv").write_text(f'text,label\n"{hostile}",0\n"fine",1\n')
    data = data_of(
        train=str(tmp_path / "train.csv"),
        test=str(tmp_path / "test.csv"),
        template="{text} it was",
        words={"0": "bad", "1": "good"},
    )
    assert data.splits["train"][0].fields["text"] == hostile


@pytest.mark.parametrize("place", ["{text.__class__}", "{text[0]}", "{0}", "{}"])
def test_a_template_s_places_are_names_of_columns_only(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: Answers
) -> None:
    monkeypatch.chdir(tmp_path)
    for split in ("train", "test"):
        (tmp_path / f"{split}.csv").write_text("text,label\nfine,1\ndull,0\n")
    (tmp_path / "sweep.yaml").write_text(
        "tasks: [mine/reference/prompt]\nalgorithms: [random]\ndatasets:\n"
        f"  mine: {{train: train.csv, test: test.csv, template: '{place} it was', "
        "words: {0: bad, 1: good}}\n"
    )
    code, out, err = answers("plan", "sweep.yaml")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "<class" not in err

"""Reading a user's files, splitting them, and turning rows into tokens."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import transformers

from harness.core import Protocol, UserError
from tasks.data_files import files
from tasks.datasets import Row, TextData
from tasks.encoding import check_template, encode
from tasks.families.causal import label_tokens
from tasks.reference import model_path
from tasks.reference.registered import sentiment
from tasks.splits import few_shot, minibatch

WORDS = {"0": "bad", "1": "good"}


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return transformers.AutoTokenizer.from_pretrained(model_path())


def write(folder: Path, name: str, text: str) -> str:
    (folder / name).write_text(text, encoding="utf-8")
    return str(folder / name)


def test_csv_tsv_and_jsonl_give_the_same_rows(tmp_path: Path) -> None:
    csv = write(tmp_path, "a.csv", 'label,text\n1,"fine, really"\n0,poor\n')
    tsv = write(tmp_path, "a.tsv", "text\tlabel\nfine, really\t1\npoor\t0\n")
    lines = [{"text": "fine, really", "label": 1}, {"text": "poor", "label": 0}]
    jsonl = write(tmp_path, "a.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    for path in (csv, tsv, jsonl):
        rows = files(train=path, test=path, words=WORDS).splits["train"]
        assert [(row.fields["text"], row.label) for row in rows] == [("fine, really", 1), ("poor", 0)]


def test_files_without_a_header_are_read_by_the_given_columns(tmp_path: Path) -> None:
    path = write(tmp_path, "a.tsv", 'a "quoted\t0\nplain\t1\n')
    data = files(train=path, test=path, columns=["text", "label"], words=WORDS)
    assert data.splits["test"][0].fields["text"] == 'a "quoted'


def test_the_only_text_column_may_be_called_text_in_the_template(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "headline,label\nshares fall,0\n")
    data = files(train=path, test=path, text="headline", words=WORDS, template="{text} : {headline}")
    assert data.filled(data.splits["test"][0]) == "shares fall : shares fall"


@pytest.mark.parametrize(
    ("content", "changes", "answer"),
    [
        ("label,txt\n0,a\n", {}, "no column 'text'; did you mean 'txt'?"),
        ("label,text\n7,a\n", {}, "line 2: label '7' has no word"),
        ("label,text\n", {}, "no rows"),
        ("", {}, "holds no rows"),
        ("label,text\n0,a\n", {"template": "It was"}, "has no {field}"),
        ("label,text\n0,a\n", {"template": "{tekst} It was"}, "no field 'tekst'"),
        ("label,text\n0,a\n", {"template": "{} It was"}, "names no field"),
        ("label,text\n0,a\n", {"template": "{text It was"}, "template"),
        ("label,text\n0,a\n", {"words": {"0": "bad"}}, "two classes at least"),
    ],
)
def test_bad_files_get_one_line_that_names_the_place(
    tmp_path: Path, content: str, changes: dict[str, Any], answer: str
) -> None:
    path = write(tmp_path, "a.csv", content)
    with pytest.raises(UserError) as error:
        files(**{"train": path, "test": path, "words": WORDS, "name": "news", **changes})
    assert answer in str(error.value)
    assert "news" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("lines", "answer"),
    [
        (
            '{"text": "a", "label": 0}\n{"text": "b"}\n',
            "line 2: it and the first row do not both have 'label'",
        ),
        ('["a", 0]\n', "line 1: is no object"),
        ('{"text": "a"', "malformed JSON"),
        ('{"text": "a", "label": null}\n', "line 1: label '' has no word"),
    ],
)
def test_bad_lines_of_jsonl_are_named(tmp_path: Path, lines: str, answer: str) -> None:
    path = write(tmp_path, "a.jsonl", lines)
    with pytest.raises(UserError) as error:
        files(train=path, test=path, words=WORDS)
    assert answer in str(error.value)


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    for name, text in (("a.csv", "text,label\nfine,1\n"), ("a.jsonl", '{"text": "fine", "label": 1}\n')):
        path = write(tmp_path, name, "\ufeff" + text)
        assert files(train=path, test=path, words=WORDS).splits["train"][0].fields["text"] == "fine"


def test_missing_files_folders_and_other_formats_are_named(tmp_path: Path) -> None:
    for path, answer in (
        (str(tmp_path / "no.csv"), "no such file"),
        (str(tmp_path), "files end in"),
        (write(tmp_path, "a.txt", "x"), "files end in .csv"),
    ):
        with pytest.raises(UserError, match=answer):
            files(train=path, test=path, words=WORDS)
    latin = tmp_path / "latin.csv"
    latin.write_bytes("label,text\n0,caf\xe9\n".encode("latin-1"))
    with pytest.raises(UserError, match="not UTF-8"):
        files(train=str(latin), test=str(latin), words=WORDS)


def test_splits_are_balanced_disjoint_and_differ_between_repetitions() -> None:
    data = sentiment()
    first, second = (few_shot(data, Protocol(per_class=8), repetition) for repetition in (0, 1))
    assert Counter(data.splits["train"][i].label for i in first.train) == {0: 8, 1: 8}
    assert Counter(data.splits["dev"][i].label for i in first.dev) == {0: 8, 1: 8}
    assert set(first.train) != set(second.train)
    assert first.test == second.test, "everybody reports on the same rows"
    assert first == few_shot(data, Protocol(per_class=8), 0)


def test_without_a_dev_split_dev_rows_are_train_rows_that_are_not_trained_on() -> None:
    rows = [Row({"text": str(i)}, i % 2) for i in range(40)]
    split = few_shot(
        TextData("toy", {"train": rows, "test": rows}, "{text} is", ("a", "b")), Protocol(per_class=10), 0
    )
    assert not set(split.train) & set(split.dev)
    assert len(split.train) == len(split.dev) == 20


def test_too_few_rows_name_the_class_and_the_remedy() -> None:
    rows = [Row({"text": str(i)}, int(i == 0)) for i in range(40)]
    data = TextData("toy", {"train": rows, "test": rows}, "{text} is", ("a", "b"))
    with pytest.raises(
        UserError, match=r"class 'b' has 1 rows, the protocol needs 32; lower protocol.per_class"
    ):
        few_shot(data, Protocol(), 0)


def test_every_training_row_is_used_equally_often() -> None:
    counts = Counter(row for generation in range(10) for row in minibatch(range(16), 8, "k", generation))
    assert set(counts.values()) == {5}
    assert minibatch(range(4), 8, "k", 0) != minibatch(range(4), 8, "k", 1)


def test_sequences_are_padded_to_one_length_and_cut_inside_the_text_only(tokenizer: Any) -> None:
    text = "the film was dull and the plot was slow"
    rows = [Row({"text": text}, 0), Row({"text": "the film was dull"}, 1)]
    data = TextData("toy", {"train": rows, "test": rows}, "{text} . it was", ("bad", "good"), max_tokens=9)
    encoded = encode(data, tokenizer, longest=64)["train"]
    whole = tokenizer("the film was dull . it was")["input_ids"]
    assert encoded.lengths.tolist() == [9, len(whole)]
    assert encoded.ids.shape[1] == 16
    assert encoded.ids[1, : encoded.lengths[1]].tolist() == whole
    assert tokenizer.decode(encoded.ids[0, : encoded.lengths[0]]).endswith(". it was")


def test_a_template_that_leaves_no_room_for_text_is_refused(tokenizer: Any) -> None:
    rows = [Row({"text": "the film was dull"}, 0)]
    template = "the film was dull and slow and {text} . it was"
    data = TextData("toy", {"train": rows, "test": rows}, template, ("bad", "good"), max_tokens=11)
    with pytest.raises(UserError, match="the template alone takes the 11 tokens"):
        check_template(data, tokenizer, limit=64)


def test_label_words_are_single_distinct_known_tokens(tokenizer: Any) -> None:
    data = sentiment()
    tokens = label_tokens(data, tokenizer)
    assert [tokenizer.decode([token]).strip() for token in tokens] == list(data.words)
    rows = data.splits["train"][:4]
    first = data.words[0]
    for words, answer in (((first, first), "same token"), ((first, "zyzzyva"), "unknown")):
        broken = TextData("toy", {"train": rows, "test": rows}, data.template, words)
        with pytest.raises(UserError, match=answer):
            label_tokens(broken, tokenizer)


def test_other_templates_of_a_users_set_are_kept_for_the_agreement_between_them(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "label,text\n1,fine\n0,poor\n")
    plain = files(train=path, test=path, words=WORDS)
    data = files(train=path, test=path, words=WORDS, alternatives=["{text} so it was"])
    assert data.alternatives == ("{text} so it was",)
    assert data.digest != plain.digest

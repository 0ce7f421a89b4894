"""Published sets from local folders, in the layouts in which they are passed on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.core import Protocol, UserError
from tasks.answers.data import AnswerData
from tasks.datasets import TextData
from tasks.published.registered import FACTORIES
from tasks.splits import few_shot


def put(folder: Path, **files: str | bytes) -> Path:
    """Files by name, with ``__`` for the dot."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        data = content if isinstance(content, bytes) else content.encode()
        (folder / name.replace("__", ".")).write_bytes(data)
    return folder


def texts(name: str, path: Path, **options: Any) -> TextData:
    data = FACTORIES[name](path=path, **options)
    assert isinstance(data, TextData)
    return data


def pairs(data: TextData, split: str = "train") -> list[tuple[str, int]]:
    field = next(iter(data.splits[split][0].fields))
    return [(row.fields[field], row.label) for row in data.splits[split]]


FINE = [("a fine, quiet film", 1), ("it 's poor", 0)]


@pytest.mark.parametrize(
    "files",
    [
        {"train__tsv": "sentence\tlabel\na fine, quiet film\t1\nit 's poor\t0\n"},
        {"train__tsv": "a fine, quiet film\t1\nit 's poor\t0\n"},
        {"train__tsv": "1\ta fine, quiet film\r\n0\tit 's poor\r\n"},
        {"train__csv": 'label,text\n1,"a fine, quiet film"\n0,it \'s poor\n'},
        {"train__csv": '1,"a fine, quiet film"\n0,it \'s poor\n'},
        {"train__jsonl": "".join(json.dumps({"sentence": s, "label": i}) + "\n" for s, i in FINE)},
        {"train__txt": "1 a fine, quiet film\n0 it 's poor\n"},
        {"train__txt": "a fine, quiet film\t1\nit 's poor\t0\n"},
        {"train__tsv": "a fine, quiet film\tpositive\nit 's poor\tnegative\n"},
        {"train__csv": '2,"a fine, quiet film"\n1,it \'s poor\n'},
    ],
    ids=[
        "GLUE",
        "tab, text first",
        "tab, label first",
        "CSV",
        "CSV without header",
        "JSON lines",
        "label first",
        "tabs in txt",
        "names of labels",
        "labels from 1",
    ],
)
def test_every_layout_gives_the_same_rows(tmp_path: Path, files: dict[str, str]) -> None:
    (content,) = files.values()
    (name,) = files
    path = put(tmp_path, **files, **{name.replace("train", "test"): content})
    assert pairs(texts("sst2", path)) == FINE


def test_quotes_are_no_quoting_in_tab_files_and_rare_line_breaks_are_text(tmp_path: Path) -> None:
    path = put(tmp_path, train__tsv='"fine\t1\npoor" \x85 film\t0\n', test__tsv="fine\t1\n")
    assert pairs(texts("sst2", path)) == [('"fine', 1), ('poor" \x85 film', 0)]


def test_glue_keeps_its_test_labels_so_dev_is_reported_on(tmp_path: Path) -> None:
    rows = "sentence\tlabel\nfine\t1\npoor\t0\n"
    path = put(tmp_path, train__tsv=rows, dev__tsv=rows, test__tsv="index\tsentence\n0\tunknown\n")
    data = texts("sst2", path)
    assert sorted(data.splits) == ["test", "train"]
    assert pairs(data, "test") == [("fine", 1), ("poor", 0)]


def test_three_splits_are_train_dev_and_test(tmp_path: Path) -> None:
    path = put(tmp_path, train__tsv="a\t1\n", validation__tsv="b\t0\n", test__tsv="c\t1\n")
    data = texts("sst2", path)
    assert {split: pairs(data, split) for split in data.splits} == {
        "train": [("a", 1)],
        "dev": [("b", 0)],
        "test": [("c", 1)],
    }


def test_title_and_description_are_one_text_counted_from_one(tmp_path: Path) -> None:
    rows = '"3","Wall St.","Shares fell."\n"4","Chips","New ones."\n"1","World","Talks."\n'
    path = put(tmp_path, train__csv=rows, test__csv=rows)
    assert pairs(texts("ag-news", path)) == [
        ("Wall St. Shares fell.", 2),
        ("Chips New ones.", 3),
        ("World Talks.", 0),
    ]
    kaggle = "Class Index,Title,Description\n3,Wall St.,Shares fell.\n4,Chips,New ones.\n"
    data = texts("ag-news", put(tmp_path / "kaggle", train__csv=kaggle, test__csv=kaggle))
    assert pairs(data) == [("Wall St. Shares fell.", 2), ("Chips New ones.", 3)]


def test_trec_labels_stand_before_the_question_in_an_old_encoding(tmp_path: Path) -> None:
    rows = "DESC:manner How did it end ?\nNUM:date When was Caf\xe9 Noir shot ?\n".encode("latin-1")
    path = put(tmp_path, train_5500__label=rows, **{"test": b"no suffix, no split"}, TREC_test__label=rows)
    assert pairs(texts("trec", path)) == [("How did it end ?", 0), ("When was Caf\xe9 Noir shot ?", 5)]


def test_pairs_are_read_by_their_column_names(tmp_path: Path) -> None:
    head = "index\tsentence1\tsentence2\tlabel\n"
    rows = head + "0\tA man sleeps.\tHe rests.\tentailment\n1\tIt rains.\tIt snows.\tnot_entailment\n"
    data = texts("rte", put(tmp_path, train__tsv=rows, dev__tsv=rows))
    first = data.splits["train"][0]
    assert data.worded("masked").filled(first, mask="<mask>") == "A man sleeps? <mask>, he rests."
    assert [row.label for row in data.splits["train"]] == [0, 1]


def test_rows_that_annotators_did_not_agree_on_are_left_out(tmp_path: Path) -> None:
    lines = [
        {"sentence1": "A man sleeps.", "sentence2": "He rests.", "gold_label": label}
        for label in ("entailment", "-", "contradiction")
    ]
    content = "".join(json.dumps(line) + "\n" for line in lines)
    path = put(tmp_path)
    for split in ("train", "dev", "test"):
        (path / f"snli_1.0_{split}.jsonl").write_text(content)
    assert [row.label for row in texts("snli", path).splits["test"]] == [0, 2]


def test_superglue_labels_may_be_true_and_objects_may_nest(tmp_path: Path) -> None:
    target = {"span1_text": "Mark", "span2_text": "He"}
    line = json.dumps({"text": "Mark sang. He bowed.", "target": target, "label": True}) + "\n"
    unlabelled = json.dumps({"text": "Mark sang.", "target": target}) + "\n"
    path = put(tmp_path, train__jsonl=line, val__jsonl=line, test__jsonl=unlabelled)
    row = texts("wsc", path).splits["test"][0]
    assert (row.fields["pronoun"], row.fields["noun"], row.label) == ("he", "Mark", 1)


def test_choices_are_asked_as_published(tmp_path: Path) -> None:
    line = {
        "premise": "My body cast a shadow over the grass.",
        "question": "cause",
        "choice1": "The sun was rising.",
        "choice2": "I cut the grass.",
        "label": 0,
    }
    path = put(tmp_path, train__jsonl=json.dumps(line), val__jsonl=json.dumps(line))
    data = FACTORIES["copa"](path=path)
    assert isinstance(data, AnswerData)
    row = data.splits["test"][0]
    assert data.filled(row) == "My body cast a shadow over the grass because"
    assert row.choices == ("the sun was rising.", "I cut the grass.")
    assert row.answers == ("the sun was rising.",)


def test_the_answer_of_gsm8k_is_the_number_at_its_end(tmp_path: Path) -> None:
    line = json.dumps({"question": "How much?", "answer": "6 * 250 = <<6*250=1500>>1500\n#### 1,500"})
    data = FACTORIES["gsm8k"](path=put(tmp_path, train__jsonl=line, test__jsonl=line))
    assert isinstance(data, AnswerData)
    assert data.splits["test"][0].answers == ("1,500",)
    broken = put(
        tmp_path / "b", train__jsonl=json.dumps({"question": "Q", "answer": "five"}), test__jsonl=line
    )
    with pytest.raises(UserError, match=r"train.jsonl: line 1: no answer that fits"):
        FACTORIES["gsm8k"](path=broken)


def test_squad_is_read_in_its_own_nesting_and_by_lines(tmp_path: Path) -> None:
    question = {"question": "Who sang?", "answers": [{"text": "Mark"}, {"text": "Mark"}, {"text": "he"}]}
    nested = json.dumps(
        {"data": [{"title": "T", "paragraphs": [{"context": "Mark sang.", "qas": [question]}]}]}
    )
    flat = {
        "title": "T",
        "context": "Mark sang.",
        "question": "Who sang?",
        "answers": {"text": ["Mark", "he"]},
    }
    path = put(tmp_path, **{"train-v1.1__json": nested, "dev__jsonl": json.dumps(flat)})
    data = FACTORIES["squad"](path=path)
    assert isinstance(data, AnswerData)
    assert data.splits["train"] == data.splits["test"]
    assert data.splits["train"][0].answers == ("Mark", "he")


def shots(folder: Path, seeds: tuple[int, ...] = (100, 13, 21, 42, 87), k: int = 2) -> Path:
    for seed in seeds:
        rows = "".join(f"text {seed} {i}\t{i % 2}\n" for i in range(2 * k))
        head = "sentence\tlabel\n"
        put(folder / f"{k}-{seed}", train__tsv=head + rows, dev__tsv=head + rows, test__tsv=head + "t\t1\n")
    return folder


def test_published_splits_are_taken_as_they_are(tmp_path: Path) -> None:
    data = texts("sst2", shots(tmp_path))
    assert [train for train, _ in data.shots] == [f"train-{seed}" for seed in (13, 21, 42, 87, 100)]
    split = few_shot(data, Protocol(), repetition=2)
    assert (split.train_from, split.train) == ("train-42", (0, 1, 2, 3))
    assert (split.dev_from, split.dev, split.test) == ("dev-42", (0, 1, 2, 3), (0,))
    assert data.splits["train-42"][0].fields["sentence"] == "text 42 0"
    assert data.per_class == 2
    with pytest.raises(
        UserError, match="has 5 published splits, one for each repetition; lower repetitions to 5"
    ):
        few_shot(data, Protocol(), repetition=5)


def test_of_several_k_one_is_chosen(tmp_path: Path) -> None:
    shots(shots(tmp_path), k=4)
    assert len(texts("sst2", tmp_path, per_class=4).splits["train-13"]) == 8
    with pytest.raises(UserError, match=r"splits of 2, 4 rows per class; choose one"):
        texts("sst2", tmp_path)
    with pytest.raises(UserError, match="no splits of 16 rows per class, but of 2, 4"):
        texts("sst2", tmp_path, per_class=16)


def test_seeds_that_differ_in_their_test_rows_are_refused(tmp_path: Path) -> None:
    put(shots(tmp_path) / "2-87", test__tsv="sentence\tlabel\nanother\t1\n")
    with pytest.raises(UserError, match="2-87: its test rows are not those of 2-13"):
        texts("sst2", tmp_path)


def test_a_large_split_is_drawn_from_a_fixed_part_of_it(tmp_path: Path) -> None:
    rows = "".join(f"text {i}\t{i % 2}\n" for i in range(50))
    path = put(tmp_path, train__tsv=rows, test__tsv=rows)
    data = texts("sst2", path, rows=10)
    assert len(data.splits["train"]) == 10
    assert pairs(data) != [(f"text {i}", i % 2) for i in range(10)], "files are often sorted"
    assert data.digest == texts("sst2", path, rows=10).digest
    assert len(texts("sst2", path).splits["train"]) == 50


GOOD = "fine\t1\npoor\t0\n"


@pytest.mark.parametrize(
    ("files", "answer"),
    [
        ({}, "has no train file"),
        ({"train__tsv": GOOD}, "has neither a test nor a dev file with labels"),
        (
            {"train__tsv": GOOD, "train__csv": "1,a\n", "test__tsv": GOOD},
            "both train.csv and train.tsv could be",
        ),
        ({"train__tsv": "", "test__tsv": GOOD}, "train.tsv: holds no rows"),
        ({"train__tsv": "fine\t7\n", "test__tsv": GOOD}, "train.tsv: line 1: neither its first nor its last"),
        (
            {"train__tsv": GOOD + "odd\t0\t0\n", "test__tsv": GOOD},
            "line 3: has 3 columns where the first line has 2",
        ),
        (
            {"train__tsv": "sentence\tlabel\nfine\t3\n", "test__tsv": GOOD},
            "line 2: label '3' is unknown; the classes are 0, 1",
        ),
        (
            {"train__tsv": "sentence\tmark\nfine\t1\n", "test__tsv": GOOD},
            "line 2: no column 'label'; it has sentence, mark",
        ),
        (
            {"train__csv": "review,label\nfine,1\n", "test__tsv": GOOD},
            "line 2: no column 'sentence'; it has review, label",
        ),
        ({"train__csv": '1,"open\n', "test__tsv": GOOD}, "malformed CSV"),
        ({"train__jsonl": '{"sentence": "a"\n', "test__tsv": GOOD}, "train.jsonl: line 1: malformed JSON"),
        ({"train__jsonl": '["a", 1]\n', "test__tsv": GOOD}, "line 1: is not an object"),
        (
            {"train__json": '{"a": 1}', "test__tsv": GOOD},
            "is neither a list of objects nor in the layout of SQuAD",
        ),
        ({"train__txt": "0\n", "test__tsv": GOOD}, "train.txt: line 1: has no text after its label"),
        ({"train__tsv": b"caf\xe9\t1\n", "test__tsv": GOOD}, "train.tsv: is not UTF-8; convert it"),
    ],
)
def test_what_is_missing_or_malformed_is_named_in_one_line(
    tmp_path: Path, files: dict[str, str | bytes], answer: str
) -> None:
    with pytest.raises(UserError) as error:
        texts("sst2", put(tmp_path, **files))
    assert answer in str(error.value)
    assert str(tmp_path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="sst2: there is no folder"):
        texts("sst2", tmp_path / "no")

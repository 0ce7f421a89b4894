"""Published sets from the hub, without a hub: from a cache written here, and from a library that plays it."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.core import UserError
from tasks.datasets import TextData
from tasks.published.card import card
from tasks.published.registered import FACTORIES

REVISION = str(card("sst2").hub.revision)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the library, which is offline."""
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    for library in (datasets.config, importlib.import_module("huggingface_hub.constants")):
        monkeypatch.setattr(library, "HF_HUB_OFFLINE", True)
    return tmp_path


def fill(cache: Path, revision: str, rows: int = 4) -> None:
    """SST-2 as the library caches it."""
    import datasets
    import pyarrow as pa

    folder = cache / "nyu-mll___glue" / "sst2" / "0.0.0" / revision
    folder.mkdir(parents=True)
    label = datasets.ClassLabel(names=["negative", "positive"])
    features = datasets.Features({"sentence": datasets.Value("string"), "label": label})
    content = {"sentence": [f"text {i} " for i in range(rows)], "label": [i % 2 for i in range(rows)]}
    splits = {}
    for split in ("train", "validation"):
        table = datasets.Dataset.from_dict(content, features=features).data.table
        with (
            pa.OSFile(str(folder / f"glue-{split}.arrow"), "wb") as file,
            pa.ipc.new_stream(file, table.schema) as stream,
        ):
            stream.write_table(table)
        splits[split] = datasets.SplitInfo(name=split, num_examples=rows, dataset_name="glue")
    datasets.DatasetInfo(
        features=features,
        builder_name="parquet",
        dataset_name="glue",
        config_name="sst2",
        version="0.0.0",
        splits=datasets.SplitDict(splits),
    ).write_to_directory(str(folder))


def sst2(**options: Any) -> TextData:
    data = FACTORIES["sst2"](**options)
    assert isinstance(data, TextData)
    return data


def test_cached_rows_need_no_network(cache: Path) -> None:
    fill(cache, REVISION)
    data = sst2()
    assert {split: len(rows) for split, rows in data.splits.items()} == {"train": 4, "test": 4}
    assert [(row.fields["sentence"], row.label) for row in data.splits["test"][:2]] == [
        ("text 0", 0),
        ("text 1", 1),
    ]


def test_another_revision_in_the_cache_is_not_taken_for_the_pinned_one(cache: Path) -> None:
    fill(cache, "0" * 40)
    with pytest.raises(UserError, match=f"the cache holds revision {'0' * 40} .* pinned to {REVISION}"):
        sst2()


def test_offline_without_a_cache_says_what_to_do(cache: Path) -> None:
    with pytest.raises(UserError) as error:
        sst2()
    assert "nyu-mll/glue cannot be had from the hub" in str(error.value)
    assert "go online once, or give a local folder: sst2[path=...]" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_plan_takes_the_cached_rows_or_a_sample_but_never_downloads(cache: Path) -> None:
    assert len(sst2(planning=True).splits["train"]) > 1000
    fill(cache, REVISION)
    assert len(sst2(planning=True).splits["train"]) == 4


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UserError, match=r'pip install "gradfree\[hub\]", or give a local folder'):
        sst2()
    assert len(sst2(planning=True).splits["train"]) > 1000


class PlayedHub:
    """A library that has what it is asked for, and remembers what that was."""

    __version__ = "4.0.0"

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.rows, self.asked = rows, []

    def load_dataset_builder(self, *names: Any, revision: str | None) -> PlayedHub:
        self.asked.append((*names, revision))
        return self

    def download_and_prepare(self) -> None: ...

    def as_dataset(self, split: str) -> PlayedHub:
        return self

    def __len__(self) -> int:
        return len(self.rows)

    def select(self, numbers: Any) -> list[dict[str, Any]]:
        return [self.rows[i] for i in numbers]


@pytest.mark.parametrize(
    ("name", "rows", "fields", "labels"),
    [
        # Rows as the hub's viewers show them: labels as numbers, names or truth.
        ("boolq", [{"passage": "P.", "question": "is it so", "answer": True}], {"asked": "Is it so?"}, [1]),
        ("subj", [{"text": "fine", "label": 1, "label_text": "subjective"}], {"sentence": "fine"}, [0]),
        (
            "trec",
            [{"text": "Who ?", "label_coarse": 3, "label_coarse_original": "HUM"}],
            {"question": "Who ?"},
            [3],
        ),
        ("yelp", [{"text": "Good.\\nVery.", "label": 1}], {"text": "Good. Very."}, [1]),
        (
            "snli",
            [{"premise": "A.", "hypothesis": "B.", "label": each} for each in (2, -1)],
            {"premise_open": "A", "hypothesis_low": "b."},
            [2],
        ),
        ("dbpedia", [{"label": 13, "title": "T", "content": " A book."}], {"content": "A book."}, [13]),
    ],
)
def test_rows_of_the_hub_are_asked_for_at_the_pinned_revision(
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    rows: list[dict[str, Any]],
    fields: dict[str, str],
    labels: list[int],
) -> None:
    hub = PlayedHub(rows)
    monkeypatch.setitem(sys.modules, "datasets", hub)  # type: ignore[arg-type]
    data = FACTORIES[name]()
    assert isinstance(data, TextData)
    own = card(name).hub
    assert hub.asked == [(own.name, own.config, own.revision)]
    assert [row.label for row in data.splits["train"]] == labels
    assert fields.items() <= data.splits["train"][0].fields.items()

"""Whole sweeps over text tasks: what is stored runs again, and goes on."""

from __future__ import annotations

import pandas as pd
import pytest

from harness.core import UserError
from harness.running.observer import Observer
from harness.running.plan import make_plan
from harness.running.sweep_file import Sweep
from harness.running.sweeping import sweep

NEWS = """\
tasks: [news/reference/prompt]
algorithms: [random]
repetitions: 1
budget: 10
device: cpu
protocol: {per_class: 2, minibatch: 2, dev_points: 1}
datasets:
  news:
    train: news/train.csv
    test: news/test.csv
    text: text
    label: label
    template: "{text} . it was"
    words: {0: great, 1: terrible}
"""


ROWS = ["random", "zero-shot", "majority-class", "in-context", "linear-probe"]
GOOD = ["charming", "clever", "funny", "fresh", "gripping", "lovely", "moving", "sharp"]
BAD = ["awful", "boring", "clumsy", "dull", "flat", "lame", "messy", "poor"]


class Watching(Observer):
    """Notes which cells run, and which were done."""

    def __init__(self):
        self.done, self.ran = [], []

    def begin(self, cells, done):
        self.done = [cell.id for cell in done]

    def ended(self, cell, status, reason):
        self.ran.append(cell.id)


@pytest.fixture
def news(tmp_path, monkeypatch):
    """A sweep file with relative paths, in a folder that is not the current one."""
    (tmp_path / "mine" / "news").mkdir(parents=True)
    kinds = [GOOD, BAD]
    for split in ("train", "test"):
        lines = [f"{row % 2},the {kinds[row % 2][row // 2]} film was long" for row in range(16)]
        (tmp_path / "mine" / "news" / f"{split}.csv").write_text("\n".join(["label,text", *lines]) + "\n")
    (tmp_path / "mine" / "news.yaml").write_text(NEWS)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return tmp_path / "mine" / "news.yaml"


def test_the_stored_sweep_file_runs_again_where_the_paths_were_relative(news, tmp_path):
    out = tmp_path / "out"
    first = sweep(news, out=out)
    assert first.runs["status"].tolist() == ["finished"] * len(ROWS)
    assert first.runs["algorithm"].tolist() == ROWS
    again, watching = sweep(out / "sweep.yaml"), Watching()
    assert again.path.resolve() == tmp_path / "elsewhere" / "results" / "sweep"
    for table in ("losses", "metrics"):
        pd.testing.assert_frame_equal(getattr(first, table), getattr(again, table), check_exact=True)
    sweep(out / "sweep.yaml", out=out, progress=watching)
    assert (len(watching.done), watching.ran) == (len(ROWS), [])


def test_the_stored_sweep_file_goes_on_in_the_folder_that_the_first_one_named(news, tmp_path):
    news.write_text(NEWS + "out: found\n")
    first, watching = sweep(news), Watching()
    assert first.path == tmp_path / "mine" / "found"
    assert sweep(first.path / "sweep.yaml", progress=watching).path == first.path
    assert watching.ran == []


def test_more_repetitions_and_another_timeout_leave_finished_cells_alone(tmp_path):
    words = Sweep.from_flags(
        tasks="sentiment/reference/prompt[tokens=1]",
        algorithms="random",
        budget=10,
        repetitions=1,
        device="cpu",
        protocol={"per_class": 2, "minibatch": 2, "dev_points": 1, "test_rows": 4},
    )
    first = sweep(words, out=tmp_path)
    watching = Watching()
    more = sweep(words, out=tmp_path, repetitions=2, protocol={"timeout": 300.0}, progress=watching)
    ids = first.runs["id"].tolist()
    assert more.runs["status"].tolist() == ["finished"] * 2 * len(ROWS)
    assert watching.done == ids
    assert sorted(watching.ran) == sorted(set(more.runs["id"]) - set(ids))
    kept = more.runs[more.runs["id"].isin(ids)].reset_index(drop=True)
    pd.testing.assert_frame_equal(first.runs, kept, check_exact=True)  # to the last measured second


def test_a_subspace_larger_than_the_space_is_refused_by_the_plan():
    words = Sweep.from_flags(tasks="sentiment/reference/prompt[subspace=100000]", algorithms="mezo")
    with pytest.raises(UserError, match=r"^--tasks: sentiment/reference/prompt.*subspace"):
        make_plan(words)


def test_the_untouched_model_is_planned_to_spend_nothing():
    cells = make_plan(Sweep.from_flags(tasks="sphere", algorithms="random", budget=70, repetitions=1)).cells
    assert [(c.algorithm, c.budget, c.evaluations) for c in cells] == [
        ("random", 70, 70),
        ("zero-shot", 70, 0),
    ]

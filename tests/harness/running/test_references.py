"""References that tune nothing, from the plan to the report, beside what they are the references of."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from harness import Sweep, UserError, load_results, sweep
from harness.core import Untuned
from harness.report.entries import entries
from harness.report.study import Study
from harness.running.export import export
from harness.running.merging import merge
from harness.running.observer import Observer
from harness.running.plan import builder_of
from harness.running.results import Results

PROMPT, FULL = "sentiment/reference/prompt[tokens=2]", "sentiment/reference/full"
UNTUNED = ["majority-class", "in-context", "linear-probe"]
PROTOCOL = {"per_class": 4, "minibatch": 4, "dev_points": 2, "test_rows": 24}


def words(**keys: object) -> Sweep:
    usual = {"tasks": f"{PROMPT},{FULL},sphere", "algorithms": "mezo", "budget": 8, "repetitions": 2}
    return Sweep.from_flags(**{**usual, "device": "cpu", "protocol": PROTOCOL, **keys})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return sweep(words(), out=tmp_path_factory.mktemp("references") / "out")


class Watching(Observer):
    """Notes what runs."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    def ended(self, cell: object, status: str, reason: str | None) -> None:
        self.ran.append(status)


def test_every_text_task_has_them_and_no_other_task(results: Results) -> None:
    runs = results.runs
    assert set(runs["status"]) == {"finished"}
    for task in (PROMPT, FULL):
        own = runs[runs["task"] == task]
        assert own["algorithm"].unique().tolist() == ["mezo", "zero-shot", *UNTUNED]
    assert runs.loc[runs["task"] == "sphere", "algorithm"].unique().tolist() == ["mezo", "zero-shot"]
    untuned = runs[runs["algorithm"].isin(UNTUNED)]
    assert untuned["reference"].all()
    assert set(untuned["evaluations"]) == {0}
    assert not set(results.curve["id"]) & set(untuned["id"])


def test_their_metrics_are_the_tasks_own(results: Results) -> None:
    task = builder_of(words()).task(PROMPT)
    for cell in results.runs[results.runs["task"] == PROMPT].to_dict("records"):
        kind = {name: way for name, way in WAYS.items() if name == cell["algorithm"]}
        for way in kind.values():
            for split in ("train", "dev", "test"):
                (score,) = task.score([(way, cell["repetition"])], split)  # type: ignore[arg-type]
                assert cell[f"{split}_metric"] == score["accuracy"]


def _ways() -> dict[str, Untuned]:
    from harness.plugins.build import algorithm_class

    found = {name: algorithm_class(name)[0].untuned for name in UNTUNED}
    return {name: way for name, way in found.items() if way is not None}


WAYS = _ways()


def test_they_do_not_depend_on_the_tuning(results: Results) -> None:
    columns = ["algorithm", "repetition", "train_metric", "dev_metric", "test_metric", "score_tokens"]
    sides = [
        results.runs[(results.runs["task"] == task) & results.runs["algorithm"].isin(UNTUNED)][columns]
        for task in (PROMPT, FULL)
    ]
    pd.testing.assert_frame_equal(*[side.reset_index(drop=True) for side in sides], check_exact=True)


def test_what_they_read_is_counted_as_scoring(results: Results) -> None:
    runs = results.runs[(results.runs["task"] == FULL) & (results.runs["repetition"] == 0)]
    read = runs.set_index("algorithm")["score_sequences"].to_dict()
    assert {name: read[name] for name in UNTUNED} == {
        "majority-class": 0,
        "in-context": 8 + 8 + 24,
        "linear-probe": 8 + 8 + 24,
    }
    tokens = runs.set_index("algorithm")["score_tokens"]
    assert tokens["linear-probe"] == tokens["zero-shot"]
    assert tokens["in-context"] > 5 * tokens["zero-shot"]
    assert runs.set_index("algorithm")["tokens"][UNTUNED].eq(0).all()


def test_what_is_done_is_not_run_again_and_what_is_lost_comes_back_the_same(
    results: Results, tmp_path: Path
) -> None:
    watching = Watching()
    sweep(words(), out=results.path, progress=watching)
    assert watching.ran == []
    sweep(words(algorithms="random"), out=tmp_path)
    again = sweep(words(), out=tmp_path).runs
    columns = ["id", "train_metric", "dev_metric", "test_metric", "score_tokens", "score_flops"]
    kept = [
        each[each["algorithm"].isin(UNTUNED)][columns].reset_index(drop=True)
        for each in (results.runs, again)
    ]
    pd.testing.assert_frame_equal(*kept, check_exact=True)


def test_the_search_beside_them_goes_as_it_went(results: Results, tmp_path: Path) -> None:
    listed = ["mezo", "in-context[shots=1]"]
    other = sweep(words(tasks=PROMPT, algorithms=listed, repetitions=1), out=tmp_path)
    ids = other.runs.loc[other.runs["algorithm"] == "mezo", "id"]
    losses = [each.losses[each.losses["id"].isin(ids)].reset_index(drop=True) for each in (other, results)]
    assert len(losses[0])
    pd.testing.assert_frame_equal(*losses, check_exact=True)


def test_their_rows_can_be_merged(results: Results, tmp_path: Path) -> None:
    sweep(words(tasks=PROMPT, algorithms="random"), out=tmp_path / "other")
    merged = merge([results.path, tmp_path / "other"], tmp_path / "merged").runs
    own = merged[merged["task"] == PROMPT]
    assert own["algorithm"].value_counts()[UNTUNED].tolist() == [2, 2, 2]
    assert sorted(set(merged["algorithm"])) == sorted(["mezo", "random", "zero-shot", *UNTUNED])


def test_reports_take_them_for_references_that_spend_nothing(results: Results) -> None:
    roles = entries(results.runs).groupby("entry")["role"].first().to_dict()
    assert roles == {
        "mezo": "contestant",
        "zero-shot": "untuned",
        **dict.fromkeys(UNTUNED, "reference"),
    }
    study = Study(load_results(results.path))
    assert study.contestants == ["mezo"]
    assert study.references == ["zero-shot", *UNTUNED]
    assert not study.first_order


@pytest.mark.parametrize("algorithm", UNTUNED)
def test_there_is_nothing_to_export(results: Results, tmp_path: Path, algorithm: str) -> None:
    run = results.runs[results.runs["algorithm"] == algorithm].iloc[0]["id"]
    with pytest.raises(UserError, match=f"{algorithm} reported the untouched model; there is nothing"):
        export(results.path / str(run), tmp_path / "out")


def test_one_that_does_not_fit_is_a_skipped_row_where_it_was_asked_for(tmp_path: Path) -> None:
    runs = sweep(words(tasks="sphere", algorithms="in-context", repetitions=1), out=tmp_path).runs
    assert runs[["algorithm", "status"]].to_numpy().tolist() == [
        ["in-context", "skipped"],
        ["zero-shot", "finished"],
    ]
    assert runs["reason"][0] == "it is no task of texts with labels"


def test_a_chain_cannot_go_on_from_one(tmp_path: Path) -> None:
    listed = ["chain[first=linear-probe,then=mezo,share=0]"]
    runs = sweep(words(tasks=PROMPT, algorithms=listed, repetitions=1), out=tmp_path).runs
    skipped = runs[runs["algorithm"].str.startswith("chain")].iloc[0]
    assert skipped["status"] == "skipped"
    assert "linear-probe: it reports no point of the space that another could go on from" in skipped["reason"]


def test_a_smoke_run_and_a_tuned_one_have_them(tmp_path: Path) -> None:
    runs = sweep(words(tasks=PROMPT, smoke=True, tuning={"trials": 2}), out=tmp_path).runs
    assert set(runs["status"]) == {"finished"}
    assert set(UNTUNED) < set(runs["algorithm"])

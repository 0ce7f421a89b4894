"""Results beside results: what is paired with what, what is not compared, and what is said of it."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from harness import Signature, Sweep, UserError, sweep
from harness.report.compare import compare, compare_report
from harness.report.compare.figures import changed_most, charts
from harness.report.compare.sides import opened
from harness.report.compare.words import in_words
from harness.report.writing import write_comparison
from harness.running.fragments import CellFolder
from harness.running.results import Results
from harness.running.schema import FRAGMENTED, make_table
from tests.harness.report.test_browser import BROWSER, LOOKER, visit
from tests.harness.report.test_html import Page


@pytest.fixture
def side(tmp_path):
    """A side with the scores of {(task, algorithm): [one for each repetition]}, higher is better."""

    def make(name, scores, **more):
        rows = [
            {
                "id": f"{task}-{algorithm}-{repetition}",
                "schema_version": 3,
                "task": task,
                "task_signature": f"of {task}",
                "algorithm": algorithm,
                "repetition": repetition,
                "data_seed": repetition,
                "status": "finished" if value is not None else "failed",
                "reason": None if value is not None else "out of luck",
                "test_metric": value,
                "metric": "accuracy",
                "metric_direction": "max",
                "evaluations": 10,
                "budget": 10,
                "tokens": 100,
                **{f"seconds_{part}": 1.0 for part in ("ask", "evaluate", "tell")},
                **more,
            }
            for (task, algorithm), values in scores.items()
            for repetition, value in enumerate(values)
        ]
        curve = [
            {"id": row["id"], "evaluations": 10, "tokens": 100, "dev_metric": row["test_metric"]}
            | {f"seconds_{part}": 1.0 for part in ("ask", "evaluate", "tell")}
            for row in rows
            if row["test_metric"] is not None
        ]
        return Results(
            tmp_path / name, {"runs": make_table("runs", rows), "curve": make_table("curve", curve)}
        )

    return make


def test_a_difference_is_that_of_the_paired_blocks_and_tested_as_such(side):
    before = np.array([0.5, 0.6, 0.7, 0.4, 0.3, 0.8, 0.55])
    gains = np.array([0.1, 0.02, 0.05, 0.03, 0.12, 0.01, 0.04])
    found = compare(side("a", {("t", "es"): before}), side("b", {("t", "es"): before + gains}))
    row = found.rows.iloc[0]
    interval = stats.ttest_1samp(gains, 0).confidence_interval(0.95)
    assert row["difference"] == pytest.approx(gains.mean())
    assert (row["difference_low"], row["difference_high"]) == pytest.approx((interval.low, interval.high))
    assert row["p"] == pytest.approx(stats.wilcoxon(before + gains, before).pvalue)
    assert (row["better"], row["worse"], row["difference_n"], row["verdict"]) == (7, 0, 7, "better")


def test_where_lower_is_better_the_difference_is_of_the_metric_and_the_verdict_of_the_score(side):
    values = np.linspace(1, 2, 7)
    first = side("a", {("t", "es"): values}, metric_direction="min")
    other = side("b", {("t", "es"): values - 0.5}, metric_direction="min")
    row = compare(first, other).rows.iloc[0]
    assert row["difference"] == pytest.approx(-0.5)
    assert row["verdict"] == "better"


def test_only_blocks_that_both_sides_have_are_paired(side):
    first = side("a", {("t", "es"): [0.1, 0.2, None, 0.4]})
    other = side("b", {("t", "es"): [0.2, 0.4, 0.9, None, 0.9]})
    row = compare(first, other).rows.iloc[0]
    assert row["difference_n"] == 2
    assert row["difference"] == pytest.approx(0.15)
    assert (row["first_n"], row["other_n"]) == (3, 4)
    assert row["lost"] == "A: 1 failed (out of luck); B: 1 failed (out of luck)"


def test_under_six_blocks_nothing_is_tested(side):
    five = [0.1, 0.2, 0.3, 0.4, 0.5]
    found = compare(side("a", {("t", "es"): five}), side("b", {("t", "es"): [each + 0.1 for each in five]}))
    assert found.rows["verdict"].tolist() == ["not enough data"]
    assert math.isnan(found.rows["p"][0])
    assert "too few blocks for a test: es" in in_words(found)[1]


def test_tests_are_corrected_for_the_rows_that_are_tested_and_equal_ones_are_not(side):
    base = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    scores = {("t", name): base for name in ("one", "two", "same")}
    changed = {**scores, ("t", "one"): [x + 0.1 for x in base], ("t", "two"): [x + 0.2 for x in base]}
    rows = compare(side("a", scores), side("b", changed)).rows.set_index("entry")
    assert rows.loc["one", "p"] == pytest.approx(2 * 2 / 2**6)  # two rows are tested
    assert rows.loc["same", "verdict"] == "equal"
    assert math.isnan(rows.loc["same", "p"])


def test_cells_of_unequal_signatures_are_not_compared_and_the_reason_is_said(side):
    scores = {("t", "es"): [0.1] * 6, ("u", "es"): [0.1] * 6}
    other = side("b", scores)
    runs = other.tables["runs"].to_pylist()
    changed = [row | {"task_signature": "of others"} if row["task"] == "u" else row for row in runs]
    other.tables["runs"] = make_table("runs", changed)
    found = compare(side("a", scores), other)
    rows = found.rows.set_index("task")
    assert rows.loc["u", "verdict"] == "not compared"
    assert "unequal signatures" in rows.loc["u", "why_not"]
    assert math.isnan(rows.loc["u", "difference"])
    assert found.overall["tasks"].tolist() == [1]
    assert any("Not compared on u: its data" in sentence for sentence in in_words(found))


def test_losses_at_fixed_points_tell_other_weights_under_one_hash(tmp_path):
    words = Sweep.from_flags(tasks="sphere[dimension=2]", algorithms="random", budget=10, repetitions=1)
    made = [sweep(words, out=tmp_path / name) for name in ("a", "b")]
    for path in (tmp_path / "b" / "cells").iterdir():
        cell = CellFolder(path)
        state = cell.state()
        cell.tables(state)
        other = Signature(state.signature.digest, tuple(loss + 0.5 for loss in state.signature.losses))
        cell.commit(state.status, other, state.row, {name: [] for name in FRAGMENTED}, state.fragments)
    assert compare(*made).rows["verdict"].tolist() == ["not compared", "not compared"]
    assert "other weights" in compare(*made).rows["why_not"][0]


def test_splits_drawn_with_other_seeds_are_no_blocks(side):
    scores = {("t", "es"): [0.1] * 6}
    row = compare(side("a", scores), side("b", scores, data_seed=99)).rows.iloc[0]
    assert row["verdict"] == "not compared"
    assert "other seeds" in row["why_not"]


def test_another_schema_compares_nothing(side):
    scores = {("t", "es"): [0.1] * 6}
    found = compare(side("a", scores), side("b", scores, schema_version=2))
    assert found.rows["why_not"].tolist() == ["schema 3 and 2"]
    assert ("schema", ("3", "2")) in [tuple(each) for each in found.differences]


def test_tables_of_another_schema_are_refused_by_their_version(tmp_path):
    import pyarrow.parquet as pq

    table = make_table("runs", []).replace_schema_metadata({"gradfree_schema": "1"})
    pq.write_table(table, tmp_path / "runs.parquet")
    with pytest.raises(UserError, match="tables of schema 1, and this version of gradfree reads schema"):
        opened(tmp_path)


def test_ratios_of_cost_are_geometric_means_over_blocks(side):
    scores = {("t", "es"): [0.1, 0.2]}
    found = compare(side("a", scores, tokens=100), side("b", scores, tokens=250))
    assert found.rows["tokens_ratio"][0] == pytest.approx(2.5)
    assert any("es 2.50 times the tokens" in sentence for sentence in in_words(found))


def test_what_changed_of_an_algorithm_is_named(side):
    scores = {("t", "es"): [0.1, 0.2]}
    mine = side("a", scores, settings='{"sigma": 1.0, "n": 2}', provider="es==1.0")
    theirs = side("b", scores, settings='{"sigma": 0.3, "n": 2}', provider="es==1.1", budget=20)
    assert (
        compare(mine, theirs).rows["changed"][0]
        == "sigma 1.0 → 0.3; provider es==1.0 → es==1.1; budget 10 → 20"
    )


def test_protocol_dtype_and_machines_that_differ_are_listed(tmp_path):
    for name, dtype, torch in (("a", "float32", "2.6"), ("b", "float64", "2.7")):
        words = Sweep.from_flags(
            tasks="sphere[dimension=2]", algorithms="random", budget=10, repetitions=1, dtype=dtype
        )
        folder = sweep(words, out=tmp_path / name).path
        plan = json.loads((folder / "plan.json").read_text())
        plan["sweep"]["protocol"]["dev_points"] = len(name + dtype[-1])
        del plan["checksum"]
        (folder / "plan.json").write_text(json.dumps(plan))
        (folder / "environment.json").write_text(json.dumps({"k": {"torch": torch, "python": "3.11"}}))
    found = {each.what: each.values for each in compare(tmp_path / "a", tmp_path / "b").differences}
    assert found["dtype"] == ("float32", "float64")
    assert found["machine: torch"] == ("2.6", "2.7")
    assert "machine: python" not in found


def test_what_is_on_one_side_only_is_listed(side):
    found = compare(
        side("a", {("t", "es"): [0.1], ("t", "old"): [0.1]}),
        side("b", {("t", "es"): [0.1], ("t", "new"): [0.1]}),
    )
    assert found.only.values.tolist() == [["t", "old", "A"], ["t", "new", "B"]]
    assert in_words(found)[-2:] == ["Only in A: old (1 task).", "Only in B: new (1 task)."]


def test_a_third_side_is_compared_with_the_first(side):
    made = [side(name, {("t", "es"): [value] * 6}) for name, value in (("a", 0.1), ("b", 0.2), ("c", 0.3))]
    rows = compare(*made).rows
    assert rows[["side", "difference"]].round(6).values.tolist() == [["B", 0.1], ["C", 0.2]]


def test_no_mean_is_taken_over_tasks_of_several_metrics(side):
    scores = {("t", "es"): [0.1] * 6, ("u", "es"): [0.2] * 6}
    made = [side(name, scores) for name in "ab"]
    for each in made:
        runs = each.tables["runs"].to_pylist()
        each.tables["runs"] = make_table(
            "runs", [row | {"metric": "loss"} if row["task"] == "u" else row for row in runs]
        )
    assert math.isnan(compare(*made).overall["difference"][0])


def test_curves_are_of_what_changed_most_by_the_width_of_its_interval(side):
    base = np.linspace(0.2, 0.4, 6)
    steady, wild = base + 0.1 + 0.001 * np.arange(6), base + np.array([0.9, -0.8, 0.7, -0.3, 0.2, 0.4])
    scores = {("t", name): base for name in ("same", "wild", "steady")}
    found = compare(side("a", scores), side("b", {**scores, ("t", "wild"): wild, ("t", "steady"): steady}))
    assert changed_most(found) == [("t", "steady"), ("t", "wild")]
    view = charts(found)[1].views["steady on t|tokens"]
    assert [trace["name"] for trace in view.traces] == ["A: a", "B: b"]
    assert len({trace["line"]["dash"] for trace in view.traces}) == 2


def test_folders_of_one_name_are_told_apart_by_their_parents(side):
    scores = {("t", "es"): [0.1]}
    found = compare(side("old/quick", scores), side("new/quick", scores))
    assert [each.label for each in found.sides] == ["A: old/quick", "B: new/quick"]


def test_one_folder_alone_is_no_comparison(side):
    with pytest.raises(UserError, match="name two folders"):
        compare(side("a", {}))


def test_nothing_in_common_has_a_page(side):
    found = compare(side("a", {("t", "es"): [0.1]}), side("b", {("u", "es"): [0.1]}))
    text = Page(compare_report(found)).text
    assert "No task and algorithm is on both sides." in text
    assert "B has nothing that can be compared with A." in text


def test_nothing_planned_has_a_page(side):
    assert "Nothing can be compared." in compare_report(compare(side("a", {}), side("b", {})))


def test_the_page_fetches_nothing_and_keeps_hostile_names_as_names(hostile, names, tmp_path):
    found = compare(hostile, hostile)
    seen = Page(compare_report(found, names[1]))
    assert len(seen.scripts) == 3
    for tag, attributes in seen.tags:
        assert tag not in {"img", "iframe", "object", "embed", "base"}
        assert "src" not in attributes
        assert not [name for name in attributes if name.startswith("on")]
    for name in names:
        assert " ".join(name.split()) in " ".join(seen.text.split())


def test_every_link_within_the_page_leads_somewhere_and_every_table_has_a_caption(side):
    found = compare(side("a", {("t", "es"): [0.1, 0.2]}), side("b", {("t", "es"): [0.3, 0.2]}))
    seen = Page(compare_report(found))
    anchors = {a["id"] for _, a in seen.tags if "id" in a}
    assert {a["href"][1:] for tag, a in seen.tags if tag == "a"} <= anchors
    tags = [tag for tag, _ in seen.tags]
    assert tags.count("table") == tags.count("caption") > 2


def test_the_page_is_written_beside_the_last_results(side):
    made = [side(name, {("t", "es"): [0.1]}) for name in "ab"]
    assert write_comparison(made) == made[1].path / "compare.html"


@pytest.mark.skipif(BROWSER is None, reason="no Chromium here")
def test_a_browser_draws_and_sorts_the_page_without_a_request(side, tmp_path: Path):
    base = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    other = side("b", {("t", "es"): [x + 0.1 for x in base], ("t", "same"): base})
    page = compare_report(compare(side("a", {("t", "es"): base, ("t", "same"): base}), other))
    reader = """
  const table = document.getElementById("all-tasks");
  const heads = [...table.querySelectorAll("thead th")];
  heads.find((each) => each.innerText.startsWith("difference")).querySelector("button").click();
  seen.sorted = [...table.tBodies[0].rows].map((row) => row.cells[1].innerText.trim());
"""
    seen = visit(page, tmp_path, reader + LOOKER, "500,900")
    assert seen["problems"] == seen["console"] == seen["requests"] == []
    assert seen["sorted"] == ["same", "es"]
    assert seen["drawn"] == 2
    assert not seen["wide"]

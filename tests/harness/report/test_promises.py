"""The promises as columns: multiples of first-order, spread, lost runs, overfitting, examples, no labels."""

from __future__ import annotations

import io
import json
import math

import pytest
from rich.console import Console

from harness.core.errors import UserError
from harness.report.boards import board
from harness.report.figures import data_efficiency
from harness.report.formats import rendered
from harness.report.html import html_report
from harness.report.promises import Promises, unlabelled
from harness.report.sections import unlabelled_table
from harness.report.shots import shots
from harness.report.study import Study
from harness.report.terminal import show_board
from harness.running.schema import make_table

REFERENCE = {"reference": True}
IDLE = {"reference": True, "evaluations": 0}


def cells(task, name, values, **columns):
    """A finished run for each value; of columns that are lists, each run has its own."""
    return [
        (
            task,
            name,
            r,
            "finished",
            value,
            {k: v[r] if isinstance(v, list) else v for k, v in columns.items()},
        )
        for r, value in enumerate(values)
    ]


def of(results, entry, *rows):
    return Promises(Study(results(*rows))).of(entry)


def test_cost_is_a_geometric_mean_of_multiples_on_the_same_blocks(results):
    found = of(
        results,
        "a",
        *cells("t", "a", [0.5, 0.5], tokens=[200, 800], peak_memory=[50, 50]),
        *cells("t", "adam", [0.9, 0.9], tokens=[100, 100], peak_memory=[100, 100], **REFERENCE),
    )
    assert found["tokens_ratio"].mean == pytest.approx(4.0)  # sqrt(2 * 8)
    # log 2 and log 8 lie log 4 apart: t(.975, 1) = 12.7062, times log 4 / sqrt(2) / sqrt(2)
    assert math.log(found["tokens_ratio"].high / 4) == pytest.approx(12.7062 * math.log(4) / 2, rel=1e-5)
    assert found["memory_ratio"][::3] == (0.5, 2)
    assert math.isnan(found["flops_ratio"].mean)  # nobody counted any


def test_without_a_first_order_reference_there_are_no_multiples(results):
    found = of(results, "a", *cells("t", "a", [0.5, 0.6], tokens=10), *cells("t", "z", [0.5, 0.6], **IDLE))
    assert math.isnan(found["tokens_ratio"].mean)
    assert found["spread"].n == 2


def test_spread_is_the_standard_deviation_within_tasks(results):
    found = of(results, "a", *cells("s", "a", [0.4, 0.6]), *cells("t", "a", [0.7, 0.9]))
    assert found["spread"].mean == pytest.approx(math.sqrt(0.02))


def test_runs_that_failed_fell_below_the_untouched_model_or_met_nan_are_lost(results):
    found = of(
        results,
        "a",
        *cells("t", "zero-shot", [0.5] * 5, **IDLE),
        *cells("t", "a", [0.6, 0.4, 0.7, 0.5], failed_evaluations=[0, 0, 2, 0]),
        ("t", "a", 4, "failed", None),
    )
    # below: the second; nan: the third; failed: the fifth. As good as the untouched model is not below it.
    assert found["lost"].mean == pytest.approx(3 / 5)
    # Wilson: (p + z^2 / 2n -+ z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n)
    assert found["lost"][1:3] == pytest.approx((0.23072, 0.88238), abs=1e-5)


def test_of_a_metric_that_falls_above_the_untouched_model_is_worse(results):
    lower = {"metric_direction": "min"}
    rows = [*cells("t", "zero-shot", [2.0, 2.0], **IDLE, **lower), *cells("t", "a", [1.0, 3.0], **lower)]
    assert of(results, "a", *rows)["lost"].mean == 0.5


@pytest.mark.parametrize(("direction", "sign"), [("max", 1), ("min", -1)])
def test_overfitting_is_positive_whichever_way_the_metric_goes(results, direction, sign):
    found = of(
        results,
        "a",
        *cells(
            "t",
            "a",
            [0.5, 0.6],
            train_metric=[0.5 + sign * 0.2, 0.6 + sign * 0.2],
            metric_direction=direction,
        ),
        *cells(
            "t",
            "adam",
            [0.5, 0.6],
            train_metric=[0.5 + sign * 0.05, 0.6 + sign * 0.05],
            metric_direction=direction,
            **REFERENCE,
        ),
    )
    assert found["gap"].mean == pytest.approx(0.2)
    assert found["gap_difference"].mean == pytest.approx(0.15)


def test_over_several_tasks_a_promise_is_missing_where_a_task_is(results):
    rows = [
        *cells("s", "a", [0.5, 0.6], tokens=10),
        *cells("s", "adam", [0.9, 0.9], tokens=10, **REFERENCE),
        *cells("t", "adam", [0.9, 0.9], tokens=10, **REFERENCE),
        ("t", "a", 0, "skipped", None),
        ("t", "a", 1, "skipped", None),
    ]
    found = of(results, "a", *rows)
    assert all(math.isnan(value.mean) for value in found.values())


def test_a_spread_over_different_metrics_is_refused(results):
    rows = [*cells("s", "a", [0.5, 0.6]), *cells("t", "a", [0.5, 0.6], metric="f1")]
    assert math.isnan(of(results, "a", *rows)["spread"].mean)


def test_by_task_each_task_has_its_promises_and_what_is_searched_without_labels_says_so(results):
    labelled, without = "sst2/roberta-large/prompt", "sst2/roberta-large/prompt[objective=entropy]"
    made = board(
        results(
            *cells(labelled, "a", [0.7, 0.8], tokens=20),
            *cells(labelled, "adam", [0.9, 0.9], tokens=10, **REFERENCE),
            *cells(without, "a", [0.6, 0.7]),
            *cells(without, "zero-shot", [0.5, 0.5], **IDLE),
        ),
        columns="promises",
    )
    rows = made.rows.set_index(["group", "algorithm"])
    assert rows.loc[(labelled, "a"), "tokens_ratio"] == pytest.approx(2.0)
    assert rows.loc[(without, "a"), "over_zero_shot"] == pytest.approx(0.15)
    assert "searched without labels (entropy)" in made.notes[without]
    assert "multiples are of adam" in made.notes[labelled]
    assert unlabelled("sst2/roberta-large/prompt[objective=nobody]") is None


@pytest.mark.parametrize("by", ["tuning", "family"])
def test_promises_stand_by_tuning_and_family_too(results, by):
    made = board(results(*cells("t", "a", [0.5, 0.6]), *cells("t", "b", [0.5, 0.5])), by, "promises")
    assert made.rows.set_index("algorithm").loc["b", "spread"] == 0.0


def test_measures_that_do_not_fit_go_on_in_another_table(results):
    made = board(results(*cells("t", "a", [0.5, 0.6, 0.8])), columns="promises")
    stream = io.StringIO()
    show_board(made, Console(file=stream, width=80))
    lines = [line.rstrip() for line in stream.getvalue().splitlines()]
    assert max(map(len, lines)) <= 80
    shown = " ".join(lines)
    assert all(heading in shown for heading in made.headings.values())
    assert [line.split()[:2] for line in lines].count(["1*", "a"]) > 1


def at(results, folder, *ks, usual=16):
    """Results of one task at several numbers of examples; at none that is said, the protocol's."""
    base = "sst2/roberta-large/prompt"
    rows = []
    for k in ks:
        name = base if k is None else f"{base}[per_class={k}]"
        rows += cells(name, "a", [0.5 + 0.01 * (k or usual), 0.52 + 0.01 * (k or usual)])
        rows += cells(name, "adam", [0.9, 0.9], **REFERENCE)
    made = results(*rows)
    made.tables["curve"] = make_table("curve", [])
    (folder / "plan.json").write_text(json.dumps({"sweep": {"protocol": {"per_class": usual}}}))
    return made


def test_a_task_at_several_numbers_of_examples_has_a_column_for_each(results, tmp_path):
    made = board(at(results, tmp_path, 4, None, 2), columns="data")
    assert made.measures == ("k2", "k4", "k16")
    found = made.rows.set_index("algorithm").loc["a"]
    assert found[["k2", "k4", "k16"]].tolist() == pytest.approx([0.53, 0.55, 0.67])
    assert (found["k4_n"], found["planned"]) == (2, 2)
    assert "| k = 2 | k = 4 | k = 16 |" in rendered(made, "markdown")


def test_what_reads_labels_is_not_among_those_that_searched_without(results):
    task = "sst2/roberta-large/prompt[objective=entropy]"
    made = results(
        *cells(task, "a", [0.6, 0.7]),
        *cells(task, "adam", [0.7, 0.7], **REFERENCE),
        *cells(task, "linear-probe", [0.9, 0.9], **IDLE),
        *cells(task, "zero-shot", [0.5, 0.5], **IDLE),
    )
    table = unlabelled_table(Study(made))
    assert [(row["entry"], round(row["cells"][0][0], 2)) for row in table.rows] == [
        ("a", 0.15),
        ("adam", 0.2),
    ]


def test_what_spends_no_evaluations_has_no_cost_to_compare(results):
    rows = [
        *cells("t", "zero-shot", [0.5, 0.5], peak_memory=9, **IDLE),
        *cells("t", "adam", [0.9, 0.9], peak_memory=9, **REFERENCE),
    ]
    assert math.isnan(of(results, "zero-shot", *rows)["memory_ratio"].mean)


def test_the_number_may_stand_with_the_data_set(results):
    rows = [row for k in (4, 64) for row in cells(f"sst2[path=a,per_class={k}]/m/prompt", "a", [0.5])]
    assert {each.k for each in shots(results(*rows)).values()} == {4, 64}
    assert {each.base for each in shots(results(*rows)).values()} == {"sst2[path=a]/m/prompt"}


def test_one_number_of_examples_is_no_curve(results, tmp_path):
    assert shots(at(results, tmp_path, 16, None)) == {}
    with pytest.raises(UserError, match="no task was run at several numbers of examples"):
        board(at(results, tmp_path, 4), columns="data")


def test_where_rows_are_drawn_without_classes_the_protocol_has_no_number(results, tmp_path):
    made = at(results, tmp_path, 4, None)
    protocol = {"protocol": {"per_class": 16, "train_rows": 100}}
    (tmp_path / "plan.json").write_text(json.dumps({"sweep": protocol}))
    assert shots(made) == {}


def test_the_figure_has_a_line_with_intervals_for_each_entry(results, tmp_path):
    chart = data_efficiency(Study(at(results, tmp_path, 4, 16)))
    (view,) = chart.views.values()
    lines = {trace["meta"]: trace for trace in view.traces}
    assert lines["a"]["x"] == [4.0, 16.0]
    assert lines["a"]["y"] == pytest.approx([0.55, 0.67])
    # .54 and .56: .55 -+ 12.7062 * .01
    assert lines["a"]["customdata"][0] == pytest.approx([0.55 - 0.127062, 0.55 + 0.127062], abs=1e-5)


def test_the_page_has_the_promises_and_the_figure(results, tmp_path):
    page = html_report(at(results, tmp_path, 4, 16))
    assert 'id="promises"' in page
    assert 'data-chart="data-efficiency"' in page


def test_columns_that_stand_by_task_are_refused_for_other_groups(results):
    for columns in ("ert", "data"):
        with pytest.raises(UserError, match=f"{columns} stand task by task; leave out --by family"):
            board(results(), "family", columns)
    with pytest.raises(UserError, match="'speed' is none of results, promises, ert, data"):
        board(results(), columns="speed")

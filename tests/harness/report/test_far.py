"""What has diverged stands at the edge of a figure, so that the others can be told apart."""

from __future__ import annotations

import plotly.graph_objects as go
import pytest

from harness.report.figures import colours, pareto, stability, styles
from harness.report.figures.far import FAR, at_edge, diverged, limits
from harness.report.html import html_report
from harness.report.paper.drawing import draw
from harness.report.study import Study
from harness.running.schema import make_table
from tests.harness.report.test_browser import BROWSER, visit

LOSSES = {"near": (1.0, 1.2), "other": (2.0, 2.4), "still": (3.0, 3.0), "far": (1e40, 3e40)}


@pytest.fixture
def study(results):
    made = results(
        *[
            ("t", name, r, "finished", value, {"metric": "loss", "metric_direction": "min"})
            for name, values in LOSSES.items()
            for r, value in enumerate(values)
        ]
    )
    made.tables["curve"] = make_table("curve", [])
    return Study(made)


def test_the_middle_height_decides_and_what_draws_nothing_has_no_say():
    assert diverged({"a": 1.0, "b": FAR, "c": FAR + 1.0}) == ([], FAR * FAR)
    assert diverged({"a": 1.0, "b": 1.0, "c": FAR + 1.0}) == (["c"], FAR)
    # Of two in the middle the lower: half of the entries may diverge.
    assert diverged({"a": 1.0, "b": 1.0, "c": 1e9, "d": 1e60})[0] == ["c", "d"]
    # Three that never vary are no scale by which one that does is far.
    assert diverged({"a": 0.0, "b": 0.0, "c": 0.0, "d": 0.1})[0] == []
    assert diverged({})[0] == diverged({"a": float("inf")})[0] == []


def test_what_is_at_the_edge_lies_within_the_axis_and_beyond_all_others():
    ends = limits([2.0, 4.0])
    assert ends == [1.9, 4.1]
    assert at_edge(3.0, ends) == 3.0
    assert 4.0 < at_edge(1e40, ends) < ends[1]
    assert ends[0] < at_edge(-float("inf"), ends) < 2.0


def test_quality_has_its_axis_by_those_that_did_not_diverge(study):
    view = pareto(study).views["tokens"]
    low, high = view.layout["yaxis"]["range"]
    # The interquartile means of two values are their means; intervals reach to the values.
    assert 0 < low < 1.0
    assert 3.0 < high < 4
    (place,) = view.beyond
    trace = view.traces[place]
    assert trace["meta"] == "far"
    assert trace["marker"]["symbol"] == "triangle-up-open"
    assert 3.0 < trace["y"][0] < high
    assert view.beyond[place]["y"] == [2e40]
    assert "error_y" not in trace
    assert view.note == "on the front: near; has diverged, far beyond the axis: far"


def test_the_front_of_a_metric_that_is_better_when_lower_is_of_the_lowest(study):
    view = pareto(study).views["tokens"]
    assert view.note.startswith("on the front: near;")
    assert view.layout["yaxis"]["title"]["text"] == "lower is better: loss, interquartile mean"


def test_spread_has_its_axis_by_those_that_did_not_diverge(study):
    view = stability(study).views[""]
    low, high = view.layout["xaxis"]["range"]
    # Half of 2.4 - 2.0 is the largest spread of the others.
    assert (low, high) == pytest.approx((-0.22, 0.22))
    edge = [view.traces[place] for place in view.beyond]
    assert [trace["marker"]["symbol"] for trace in edge] == ["triangle-left-open", "triangle-right-open"]
    assert sorted(view.beyond[place]["x"][0] for place in view.beyond) == [-1e40, 1e40]
    assert all(low < x < high for trace in edge for x in trace["x"])
    assert view.note == "no cell failed or timed out; has diverged, far beyond the axis: far"


def test_without_anything_far_nothing_is_said_and_axes_are_as_wide_as_they_were(results):
    made = results(*[("t", name, r, "finished", 0.5 + 0.1 * r) for name in "ab" for r in range(2)])
    made.tables["curve"] = make_table("curve", [])
    for chart, axis in ((pareto, "yaxis"), (stability, "xaxis")):
        for view in chart(Study(made)).views.values():
            assert "range" not in view.layout[axis]
            assert not view.beyond
            assert "diverged" not in view.note


def test_plotly_and_paper_draw_it(study):
    looks = styles(study.entries, study.references)
    for chart in (pareto(study), stability(study)):
        for view in chart.views.values():
            go.Figure({"data": colours(view.traces, "light"), "layout": colours(view.layout, "light")})
            figure = draw(view, looks, list(LOSSES))
            axes = figure.axes[0]
            given = view.layout["yaxis" if chart.name == "pareto" else "xaxis"]["range"]
            ends = axes.get_ylim() if chart.name == "pareto" else axes.get_xlim()
            assert ends == pytest.approx(given)
            marks = {line.get_marker() for line in axes.get_lines()}
            assert marks >= ({"^"} if chart.name == "pareto" else {"<", ">"})


READER = """
  await wait(() => document.documentElement.dataset.ready);
  seen.rows = {};
  for (const name of ["pareto", "stability"]) {
    const figure = document.querySelector(`[data-chart="${name}"]`);
    figure.scrollIntoView();
    await wait(() => figure.querySelector(".main-svg"));
    figure.querySelector(".numbers").open = true;
    await wait(() => figure.querySelector(".numbers td"));
    seen.rows[name] = [...figure.querySelectorAll(".numbers tbody tr")]
      .map((row) => row.innerText.split("\\t")).filter((row) => row[0] === "far");
  }
"""


@pytest.mark.skipif(BROWSER is None, reason="no Chromium here")
def test_the_data_table_has_the_values_and_not_those_of_the_edge(study, tmp_path):
    seen = visit(html_report(study.results), tmp_path, READER)
    assert seen["problems"] == seen["console"] == []
    assert [float(each) for each in seen["rows"]["pareto"][0][2:]] == [2e40, 1e40, 3e40]
    assert sorted(float(row[1]) for row in seen["rows"]["stability"]) == [-1e40, 1e40]

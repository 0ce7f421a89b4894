"""Figures for papers: the page's data and colours, vectors, and names that stay names."""

from __future__ import annotations

import builtins
import json
import re
import struct

import pytest

from harness import UserError
from harness.report.example import example
from harness.report.figures import CHARTS, styles
from harness.report.figures.chart import PALETTES
from harness.report.figures.convergence import convergence
from harness.report.html import html_report
from harness.report.paper import write_figures
from harness.report.paper.drawing import draw
from harness.report.paper.looks import COLUMN
from harness.report.study import Study
from harness.running.schema import make_table
from tests.harness.report.test_html import Page


@pytest.fixture(scope="module")
def figures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("svg")
    return {file.name: file.read_text() for file in write_figures(example().results, "svg", folder)}, folder


def test_every_figure_that_the_page_has_is_written_with_a_caption(figures):
    files, folder = figures
    captions = (folder / "captions.txt").read_text()
    for chart in (make(example()) for make in CHARTS):
        mine = [name for name in files if name.startswith(chart.name)]
        assert len(mine) == len(chart.views)
        assert all(f"{name}\n{chart.title}" in captions for name in mine)
        assert chart.views or f"{chart.name}: no figure\n{chart.why_not}" in captions


def test_an_algorithm_has_the_colour_that_it_has_on_the_page():
    data = json.loads(Page(html_report(example().results)).scripts[0])
    view = convergence(example()).views["topic|evaluations"]
    drawn = draw(view, styles(example().entries, example().references), ["mezo", "random"])
    legend = drawn.legends[0]
    for handle, text in zip(legend.legend_handles, legend.get_texts(), strict=True):
        code = data["styles"][text.get_text()]["colour"]
        assert handle.get_color() == PALETTES["light"][int(code[1:])]


def test_lines_are_where_the_page_has_them():
    view = convergence(example()).views["topic|tokens"]
    drawn = draw(view, styles(example().entries, example().references), ["mezo"])
    trace = next(each for each in view.traces if each["meta"] == "mezo")
    (only,) = drawn.axes[0].lines
    assert only.get_xdata().tolist() == trace["x"]
    assert only.get_ydata().tolist() == trace["y"]


def test_figures_are_vectors_with_text_that_can_be_read(figures):
    files, _ = figures
    assert not [name for name, text in files.items() if "<image" in text]
    text = files["convergence-topic-tokens.svg"]
    assert ">dev accuracy<" in text
    assert ">topic<" in text


def test_the_same_results_give_the_same_bytes(figures, tmp_path, monkeypatch):
    monkeypatch.setattr("harness.report.paper.writing.CHARTS", (convergence,))
    again = write_figures(example().results, "svg", tmp_path)
    assert again
    assert all(file.read_text() == figures[0][file.name] for file in again)


@pytest.mark.parametrize(("form", "head"), [("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_other_formats_are_what_they_are_called_and_one_column_wide(form, head, tmp_path, monkeypatch):
    monkeypatch.setattr("harness.report.paper.writing.CHARTS", (convergence,))
    files = write_figures(example().results, form, tmp_path)
    assert all(file.read_bytes().startswith(head) for file in files)
    content = files[0].read_bytes()
    if form == "png":
        assert struct.unpack(">I", content[16:20]) == (round(COLUMN * 300),)
    else:
        box = re.search(rb"/MediaBox \[ *0 +0 +([\d.]+)", content).group(1)
        assert float(box) == pytest.approx(COLUMN * 72)


def test_at_most_a_dozen_lines_are_drawn_and_the_caption_says_of_how_many(results, tmp_path, monkeypatch):
    monkeypatch.setattr("harness.report.paper.writing.CHARTS", (convergence,))
    made = results(*[("t", f"a{place:02}", 0, "finished", 0.5, {"id": str(place)}) for place in range(40)])
    rows = [
        {"id": str(place), "evaluations": at, "tokens": at, "dev_metric": 0.5}
        for place in range(40)
        for at in (5, 10)
    ]
    made.tables["curve"] = make_table("curve", rows)
    text = write_figures(made, "svg", tmp_path)[0].read_text()
    assert len(re.findall(r">a\d\d<", text)) == 12
    assert "12 of 40 entries are drawn." in (tmp_path / "captions.txt").read_text()


def test_hostile_names_stay_names_in_files_and_their_names(hostile, tmp_path):
    files = write_figures(hostile, "svg", tmp_path)
    assert all(file.parent == tmp_path and re.fullmatch(r"[\w.-]+", file.name) for file in files)
    assert len({file.name for file in files}) == len(files)
    for file in files:
        assert "<script" not in file.read_text()


def test_limits_of_a_chart_leave_out_what_has_diverged_and_say_so(results):
    rows, curve = [], []
    for name, last in (("a", 0.4), ("b", 0.3), ("c", 1e60)):
        more = {"id": name, "metric_direction": "min", "metric": "loss"}
        rows.append(("t", name, 0, "finished", last, more))
        curve += [
            {"id": name, "evaluations": at, "tokens": at, "dev_metric": y} for at, y in ((5, 0.5), (10, last))
        ]
    made = results(*rows)
    made.tables["curve"] = make_table("curve", curve)
    view = convergence(Study(made)).views["t|evaluations"]
    low, high = view.layout["yaxis"]["range"]
    assert low < 0.3 < 0.5 < high < 1
    assert view.note == "has diverged, far beyond the axis: c"


def test_nothing_planned_has_captions_that_say_so(results, tmp_path):
    made = results()
    made.tables["curve"] = make_table("curve", [])
    assert write_figures(made, "svg", tmp_path) == []
    assert (
        "convergence: no figure\nno cell has been scored on dev." in (tmp_path / "captions.txt").read_text()
    )


def test_without_matplotlib_the_extra_is_named(monkeypatch, tmp_path):
    real = builtins.__import__

    def lacking(name, *rest):
        if name.split(".")[0] == "matplotlib":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", lacking)
    with pytest.raises(UserError, match=r"pip install 'gradfree\[figures\]'"):
        write_figures(example().results, "pdf", tmp_path)


def test_a_folder_that_cannot_be_made_is_the_users_to_mend(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="name another folder with --to"):
        write_figures(example().results, "svg", tmp_path / "file" / "figures")

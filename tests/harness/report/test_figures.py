"""Figures: that plotly takes them, how many lines they show, and that colours stay with their entries."""

from __future__ import annotations

import math

import plotly.graph_objects as go
import pytest

from harness.report.example import example
from harness.report.figures import CHARTS, MOST_LINES, PALETTES, colours, styles
from harness.report.figures.quality import _front
from harness.report.figures.reaching import reached
from harness.report.study import Study


@pytest.mark.parametrize("make", CHARTS, ids=lambda make: make.__name__)
@pytest.mark.parametrize("ground", ["light", "dark"])
def test_plotly_accepts_every_view(make, ground):
    chart = make(example())
    assert bool(chart.views) != bool(chart.why_not)
    for view in chart.views.values():
        go.Figure({"data": colours(view.traces, ground), "layout": colours(view.layout, ground)})


@pytest.mark.parametrize("make", CHARTS, ids=lambda make: make.__name__)
def test_without_results_a_figure_says_why_it_is_not_there(make, results):
    made = results(("t", "a", 0, "pending", None), ("t", "b", 0, "pending", None))
    made.tables["curve"] = example().results.tables["curve"].slice(0, 0)
    chart = make(Study(made))
    assert chart.why_not
    assert not chart.views


def test_every_choice_has_its_views():
    for make in CHARTS:
        chart = make(example())
        keys = [""]
        for place, choice in enumerate(chart.choices):
            keys = [f"{key}|{value}" if place else value for key in keys for value, _ in choice.options]
        assert not chart.views or set(keys) == set(chart.views)


def test_no_two_entries_look_the_same_until_four_dashes_of_every_hue_are_used():
    names = [f"a{place}" for place in range(4 * len(PALETTES["light"]))]
    looks = styles(names, [])
    assert len({(look.colour, look.dash) for look in looks.values()}) == len(names)
    assert len(names) > 2 * MOST_LINES


def contrast(first, second):
    """Of WCAG 2.1: relative luminances, lighter over darker."""

    def luminance(code):
        parts = [int(code[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(("ground", "code"), [("light", "#ffffff"), ("dark", "#15181d")])
def test_lines_stand_out_from_the_ground_by_3_to_1(ground, code):
    # WCAG 2.1, criterion 1.4.11
    assert min(contrast(colour, code) for colour in PALETTES[ground]) >= 3


def test_the_front_is_of_those_that_none_beats_in_both():
    points = {"cheap": (1.0, 0.5), "bad": (2.0, 0.4), "good": (3.0, 0.9), "dear": (4.0, 0.9)}
    assert _front(points) == ["cheap", "good"]


def test_targets_lie_between_zero_shot_and_the_best_of_all():
    # example(): zero-shot .5, adam .9 on dev; mezo ends at .7: half of the way, and no further
    times, spent = reached(example(), "evaluations")["topic", 0]["mezo"]
    assert spent == 100
    assert times.tolist()[:4] == [50, 100, 100, math.inf]

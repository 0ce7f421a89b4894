"""The page: complete, alone in the world, and safe with any name."""

from __future__ import annotations

import base64
import gzip
import json
import re
from html.parser import HTMLParser

import pytest

from harness.report.example import example
from harness.report.html import html_report
from harness.report.writing import write_report
from harness.running.schema import make_table


class Page(HTMLParser):
    """Collects what a browser would see."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.scripts, self._open = [], [], None
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._open = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag):
        self._open = None

    def handle_data(self, data):
        if self._open == "script":
            self.scripts[-1] += data
        elif self._open != "style":
            self.text += data


@pytest.fixture(scope="module")
def page():
    return html_report(example().results, "mine")


def test_nothing_is_fetched(page):
    seen = Page(page)
    for tag, attributes in seen.tags:
        assert tag not in {"img", "iframe", "object", "embed", "base"}
        assert "src" not in attributes
        assert not attributes.get("href", "#").startswith(("http", "//"))
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL).group(1)
    assert "url(" not in style
    assert "@import" not in style


def test_plotly_is_there_once_and_whole(page):
    packed = re.search(r'id="plotly-packed">([^<]*)<', page).group(1)
    source = gzip.decompress(base64.b64decode(packed)).decode()
    assert "plotly.js v" in source[:300]
    assert page.count("plotly-packed") == 2  # itself, and the script that unpacks it
    assert len(page) < 3e6


def test_the_page_is_the_same_every_time(page):
    assert html_report(example().results, "mine") == page


def test_every_table_has_a_caption_and_every_head_can_be_sorted(page):
    seen = Page(page)
    tables = [a for tag, a in seen.tags if tag == "table"]
    assert len(tables) == [tag for tag, _ in seen.tags].count("caption") > 3
    heads = [a for tag, a in seen.tags if tag == "th" and a.get("scope") == "col"]
    assert all(head["aria-sort"] == "none" for head in heads)


def test_every_figure_says_what_it_shows_and_has_a_data_table(page):
    seen = Page(page)
    drawn = [a for tag, a in seen.tags if tag == "div" and a.get("class") == "plot"]
    assert all(a["role"] == "img" and len(a["aria-label"]) > 60 for a in drawn)
    assert page.count('<details class="numbers">') == len(drawn)


def test_every_link_within_the_page_leads_somewhere(page):
    seen = Page(page)
    anchors = {a["id"] for _, a in seen.tags if "id" in a}
    assert len(anchors) == sum("id" in a for _, a in seen.tags)
    assert {a["href"][1:] for tag, a in seen.tags if tag == "a"} <= anchors


def test_at_most_a_dozen_lines_are_shown_at_first(results):
    made = results(*[("t", f"a{place}", 0, "finished", 0.5) for place in range(40)])
    made.tables["curve"] = make_table("curve", [])
    data = json.loads(Page(html_report(made)).scripts[0])
    assert len(data["shown"]) == 12
    assert len(data["styles"]) == 40


def test_hostile_names_stay_names(hostile, names):
    text = html_report(hostile, names[1])
    seen = Page(text)
    assert len(seen.scripts) == 3
    data = json.loads(seen.scripts[0])
    assert set(data["styles"]) == set(names)
    assert not [a for _, a in seen.tags if any(name.startswith("on") for name in a)]
    assert not [tag for tag, _ in seen.tags if tag == "img"]
    for name in names:
        assert " ".join(name.split()) in " ".join(seen.text.split())


def test_markup_in_a_name_is_no_markup_to_plotly(hostile):
    data = json.loads(Page(html_report(hostile)).scripts[0])
    for chart in data["charts"].values():
        for view in chart["views"].values():
            for trace in view["traces"]:
                assert "<" not in str(trace.get("name", ""))
                assert "<" not in str(trace.get("meta", ""))
            ticks = view["layout"].get("yaxis", {}).get("ticktext", [])
            assert not [tick for tick in ticks if "<" in tick or len(tick) > 80]


def test_a_sweep_that_has_not_begun_has_a_page(results):
    made = results(("t", "a", 0, "pending", None))
    made.tables["curve"] = make_table("curve", [])
    assert "No cell has a result yet." in html_report(made)


def test_nothing_planned_has_a_page(results):
    made = results()
    made.tables["curve"] = make_table("curve", [])
    assert "0 cells" in html_report(made)


def test_reasons_of_cells_without_a_result_are_listed(results):
    made = results(("t", "a", 0, "skipped", None, {"reason": "too large"}), ("t", "b", 0, "failed", None))
    made.tables["curve"] = make_table("curve", [])
    assert "too large" in Page(html_report(made)).text


def test_the_report_is_written_beside_the_tables(tmp_path):
    made = example().results
    made.path = tmp_path
    assert write_report(made) == tmp_path / "report.html"

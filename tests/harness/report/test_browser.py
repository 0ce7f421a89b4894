"""The page in a browser: skipped where there is no Chromium.

A copy of the page gets a script that uses it as a reader would and writes down what it saw.
"""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess

import pytest

from harness.report.example import example
from harness.report.html import html_report

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium here")

BEGIN = """
<script>
window.problems = [];
addEventListener("error", (event) => problems.push(String(event.message)));
addEventListener("unhandledrejection", (event) => problems.push(String(event.reason)));
addEventListener("load", async () => {
  const seen = {};
  const wait = (holds) => new Promise((done) => {
    const look = (left) => (holds() || !left ? done() : setTimeout(() => look(left - 1), 50));
    look(200);
  });
"""

READER = """
  const body = document.getElementById("all-tasks").tBodies[0];
  const shown = () => [...body.rows].filter((row) => !row.hidden);
  const column = (place) => shown().map((row) => row.cells[place].innerText.trim());
  const heads = [...document.querySelectorAll("#all-tasks thead th")];
  const head = heads.find((each) => each.innerText.startsWith("test"));
  head.querySelector("button").click();
  seen.rising = [head.getAttribute("aria-sort"), column(3).map(parseFloat)];
  head.querySelector("button").click();
  seen.falling = [head.getAttribute("aria-sort"), column(3).map(parseFloat)];
  const find = document.querySelector("[data-filter=text]");
  find.value = "topic mezo";
  find.dispatchEvent(new Event("input", { bubbles: true }));
  seen.filtered = [column(0), column(2), document.querySelector(".count").innerText];
  const figure = document.querySelector('[data-chart="convergence"]');
  figure.scrollIntoView();
  const drawn = () => figure.querySelectorAll(".scatterlayer .trace").length;
  await wait(drawn);
  seen.before = drawn();
  const boxes = [...figure.querySelectorAll(".legend input")];
  const box = boxes.find((each) => each.dataset.entry === "random");
  box.click();
  await wait(() => drawn() < seen.before);
  seen.after = drawn();
  seen.elsewhere = [...document.querySelectorAll('[data-chart="run-times"] .legend input')]
    .find((each) => each.dataset.entry === "random").checked;
  figure.querySelector(".numbers").open = true;
  await wait(() => figure.querySelector(".numbers td"));
  seen.numbers = figure.querySelectorAll(".numbers tbody tr").length;
  const ground = () => getComputedStyle(document.body).backgroundColor;
  seen.grounds = [ground()];
  document.getElementById("theme").click();
  seen.grounds.push(ground());
"""

LOOKER = """
  await wait(() => document.documentElement.dataset.ready);
  const plots = [...document.querySelectorAll("section > figure .plot")];
  dispatchEvent(new Event("beforeprint"));  // which draws all that can be seen
  seen.drawn = plots.filter((plot) => plot.querySelector(".main-svg")).length;
"""

END = """
  seen.hacked = window.hacked ?? null;
  const fetched = performance.getEntriesByType("resource").map((each) => each.name);
  seen.requests = fetched.filter((each) => !each.startsWith("blob:"));
  seen.wide = document.documentElement.scrollWidth > innerWidth;
  seen.problems = problems;
  const out = document.createElement("output");
  out.id = "seen";
  out.textContent = JSON.stringify(seen);
  document.body.append(out);
});
</script>
"""


def visit(page, tmp_path, reader, size="1200,900"):
    file = tmp_path / "page.html"
    file.write_text(page.replace("<head>", f"<head>{BEGIN}{reader}{END}", 1), encoding="utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=30000", "--dump-dom"]
    flags += ["--enable-logging=stderr", f"--window-size={size}", f"--user-data-dir={tmp_path / 'profile'}"]
    done = subprocess.run([BROWSER, *flags, file.as_uri()], capture_output=True, text=True, timeout=120)
    found = re.search(r'<output id="seen">(.*?)</output>', done.stdout, re.DOTALL)
    assert found, done.stderr[-2000:]
    seen = json.loads(html.unescape(found.group(1)))
    seen["console"] = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return seen


def test_a_reader_sorts_filters_hides_a_line_and_changes_the_colours(tmp_path):
    seen = visit(html_report(example().results, "mine"), tmp_path, READER)
    assert seen["problems"] == seen["console"] == seen["requests"] == []
    assert seen["rising"] == ["ascending", sorted(seen["rising"][1])]
    assert seen["falling"] == ["descending", sorted(seen["rising"][1], reverse=True)]
    assert seen["filtered"] == [["topic"], ["mezo"], "1 of 8 rows"]
    assert seen["after"] < seen["before"]
    assert seen["elsewhere"] is False
    assert seen["numbers"] > 4
    assert seen["grounds"][0] != seen["grounds"][1]


def test_hostile_names_run_nothing_and_are_drawn_within_a_narrow_window(hostile, tmp_path):
    seen = visit(html_report(hostile), tmp_path, LOOKER, "500,900")
    assert seen["problems"] == seen["console"] == seen["requests"] == []
    assert seen["hacked"] is None
    assert seen["drawn"] >= 3
    assert not seen["wide"]

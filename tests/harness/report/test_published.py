"""Published figures stand beside those of the sweep."""

from __future__ import annotations

import math
from pathlib import Path

from harness import Sweep, sweep
from harness.report.html import html_report
from harness.report.published import published
from harness.report.tables import leaderboard


def test_a_published_figure_stands_beside_the_sweeps_own_of_the_same_name(tmp_path: Path) -> None:
    task = "sphere[noise=0.5, dimension=3]"  # written otherwise than tables write it
    figures = [
        {"task": task, "algorithm": "random", "metric": "loss", "value": 0.25, "source": "A & B <1999>"},
        {"task": task, "algorithm": "fine-tuning", "metric": "loss", "value": 0.5, "source": "C 2000"},
    ]
    words = Sweep.from_flags(tasks=[task], algorithms=["random"], repetitions=2, budget=20, published=figures)
    results = sweep(words, out=tmp_path / "out")
    board = leaderboard(results)
    random, other = published(results, board.to_dict("records"))
    assert random["task"] == board["task"].iloc[0] != task
    assert random["mean"] == board.loc[board["algorithm"] == "random", "test_mean"].iloc[0]
    assert (random["n"], random["value"]) == (2, 0.25)
    assert math.isnan(other["mean"])
    assert other["n"] == 0
    page = html_report(results)
    assert "A &amp; B &lt;1999&gt;" in page
    assert "A & B <1999>" not in page

"""One run: what ran, how it went, why it ended."""

from __future__ import annotations

import pytest

from harness import Sweep, UserError, sweep
from harness.report.show import POINTS, describe, in_lines


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    words = Sweep.from_flags(tasks="sphere[dimension=2]", algorithms="spsa[lr=0.2]", budget=60, repetitions=1)
    return sweep(words, out=tmp_path_factory.mktemp("show") / "out")


def test_a_run_shows_its_options_and_a_curve_from_first_to_last(results):
    found = describe(results.path / results.runs["id"][0])
    curve = results.curve[results.curve["id"] == results.runs["id"][0]]
    assert found["run"]["options"] == {"lr": "0.2"}
    assert found["run"]["settings"]["lr"] == 0.2
    assert len(found["curve"]) == POINTS < len(curve)
    assert found["curve"][0]["evaluations"] == curve["evaluations"].iloc[0]
    assert found["curve"][-1]["loss_lowest"] == curve["loss_lowest"].iloc[-1]
    text = "\n".join(in_lines(found))
    assert "options: lr=0.2" in text
    assert "loss_lowest" in text


def test_a_failure_shows_its_traceback(results):
    identity = results.runs["id"][0]
    trace = results.path / "cells" / identity / "traceback.txt"
    trace.write_text("Traceback\n  boom\n")
    try:
        assert in_lines(describe(results.path / identity[:8]))[-2:] == ["", "Traceback\n  boom"]
    finally:
        trace.unlink()


def test_a_run_that_has_not_begun_says_so(results, tmp_path):
    for name in ("plan.json", "sweep.yaml"):
        (tmp_path / name).write_bytes((results.path / name).read_bytes())
    found = describe(tmp_path / results.runs["id"][0])
    assert (found["run"]["status"], found["curve"]) == ("pending", [])


def test_a_run_that_is_not_there_is_the_users_to_mend(results):
    with pytest.raises(UserError, match="none of its runs has this id"):
        describe(results.path / "zzz")
    with pytest.raises(UserError, match=r"name one of its runs as .*/ID"):
        describe(results.path)

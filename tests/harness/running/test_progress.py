"""What is shown while a sweep runs."""

from __future__ import annotations

import io

from harness.running import progress
from harness.running.progress import Bars, Lines, watching


def test_there_are_bars_on_a_terminal_lines_elsewhere_and_nothing_when_quiet(monkeypatch):
    stream = io.StringIO()
    assert isinstance(watching(stream=stream), Lines)
    monkeypatch.setattr(stream, "isatty", lambda: True)
    assert isinstance(watching(stream=stream), Bars)
    assert not isinstance(watching(quiet=True, stream=stream), (Bars, Lines))


def test_lines_tell_how_much_there_is_and_what_failed(tmp_path, toys):
    stream = io.StringIO()
    toys.run(tmp_path, [toys.cell("walk"), toys.cell("raises")], observer=Lines(stream))
    lines = stream.getvalue().splitlines()
    assert lines[0] == "2 cells, 0 of them done, 80 evaluations to go"
    assert lines[1] == "quadratic: 2 cells"
    assert lines[2].startswith("failed: quadratic, raises, repetition 0: RuntimeError in ask")
    assert len(lines) == 3


def test_lines_come_now_and_then(tmp_path, toys, monkeypatch):
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    stream = io.StringIO()
    toys.run(tmp_path, [toys.cell("walk", budget=8)], observer=Lines(stream))
    assert "quadratic: 4/8 evaluations" in stream.getvalue()


def test_bars_reach_the_end_although_cells_stop_early(tmp_path, toys):
    bars = Bars(io.StringIO())
    toys.run(tmp_path, [toys.cell("walk"), toys.cell("early"), toys.cell("raises")], observer=bars)
    assert bars.spent == bars.total == 120
    assert all(task.finished for task in bars.progress.tasks)


def test_what_is_done_is_not_counted_again(tmp_path, toys):
    toys.run(tmp_path, [toys.cell("walk")])
    bars = Bars(io.StringIO())
    toys.run(tmp_path, [toys.cell("walk"), toys.cell("walk", 1)], observer=bars)
    assert bars.spent == bars.total == 40

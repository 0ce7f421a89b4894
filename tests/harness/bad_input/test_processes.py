"""The same in real processes: what a shell sees."""

from __future__ import annotations

import subprocess
import sys

import pytest

CASES = {
    ("sweep", "mine.yaml"): "mine.yaml: budget: must be at least 1",
    ("status", "nowhere"): "nowhere: there is no such folder",
    ("sweep", "--budgt", "3"): "--budget",
}


@pytest.mark.parametrize("words", CASES, ids=lambda words: " ".join(words))
def test_a_refusal_is_one_line_exit_code_2_and_nothing_on_disk(tmp_path, words):
    (tmp_path / "mine.yaml").write_text("tasks: [sphere]\nalgorithms: [random]\nbudget: -3\nout: out\n")
    done = subprocess.run(
        [sys.executable, "-m", "harness.cli", *words], cwd=tmp_path, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("gradfree: error: ")
    assert done.stderr.count("\n") == 1
    assert CASES[words] in done.stderr
    assert [each.name for each in tmp_path.iterdir()] == ["mine.yaml"]

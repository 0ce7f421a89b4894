"""Throughput of populations beside plain inference, and the size it recommends."""

from __future__ import annotations

import json

import pytest

from harness.cli import main
from harness.core import UserError
from harness.plugins.build import Builder
from harness.running.bench import Pace, bench, recommended


def test_a_full_tuning_is_measured_with_dense_and_with_low_rank_noise() -> None:
    paces = list(bench(Builder().task("topic/reference/full"), [2, 4], rounds=1))
    assert [(pace.noise, pace.population) for pace in paces] == [
        ("dense", 2),
        ("dense", 4),
        ("low-rank", 2),
        ("low-rank", 4),
    ]
    assert all(pace.tokens > 0 and pace.ratio > 0 for pace in paces)


def test_a_population_that_does_not_fit_ends_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    task = Builder().task("topic/reference/lora")
    real = task.evaluate

    def small(requests):  # type: ignore[no-untyped-def]
        if len(requests[0].population) > 2:
            raise MemoryError("4 candidates do not fit into memory")
        return real(requests)

    monkeypatch.setattr(task, "evaluate", small)
    assert [pace.population for pace in bench(task, [2, 4, 8], rounds=1)] == [2]


def test_a_task_without_a_model_is_refused() -> None:
    with pytest.raises(UserError, match="no model"):
        list(bench(Builder().task("sphere[dimension=2]")))


def test_of_equally_fast_populations_the_smallest_is_recommended() -> None:
    paces = [Pace("dense", n, tokens, 1.0) for n, tokens in ((2, 60.0), (4, 96.0), (8, 100.0))]
    assert recommended(paces).population == 4


def test_the_command_says_which_size_to_use(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["bench", "topic/reference/prompt", "--population", "2", "--device", "cpu"]
    assert run(*words) == 0
    assert "use a population of 2 or more" in capsys.readouterr().out
    assert run(*words, "--json") == 0
    listed = json.loads(capsys.readouterr().out)
    assert [pace["population"] for pace in listed["topic/reference/prompt"]] == [2]


def run(*words: str) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["gradfree", *words])
        with pytest.raises(SystemExit) as ended:
            main()
    return int(ended.value.code or 0)

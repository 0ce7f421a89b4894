"""The scripts that set our algorithms beside others count, rank and time rightly; peers are not needed."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

import compare_with_references
import time_ask_tell
from reference_comparison import trajectories
from reference_comparison.contestants import Contestant, run
from reference_comparison.pairs import PAIRS, Pair, Schedule
from reference_comparison.problems import OWN, Problem, own
from reference_comparison.tables import HITS, compare, fill, holm, places
from reference_comparison.trial import TARGETS, FinishedError, Trial


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def first_coordinate(points: np.ndarray) -> np.ndarray:
    return points[:, 0].copy()


def test_a_trial_notes_the_evaluation_that_reached_each_target_and_ends_at_the_last() -> None:
    trial = Trial(Problem("line", 1, 1, first_coordinate), budget=100)
    trial(np.array([[500.0], [50.0], [20.0]]))
    with pytest.raises(FinishedError):
        trial(np.array([[0.5], [1e-4], [0.0]]))
    assert len(TARGETS) == 5
    assert trial.reached == [2, 4, 4, 5, 5]
    assert (trial.evaluations, trial.best) == (6, 0.0)


def test_a_trial_never_evaluates_beyond_its_budget() -> None:
    trial = Trial(Problem("line", 1, 1, first_coordinate), budget=4)
    trial(np.full((3, 1), 9.0))
    with pytest.raises(FinishedError):
        trial(np.array([[5.0], [0.0]]))  # of which the second is one too many
    assert (trial.evaluations, trial.best) == (4, 5.0)


@pytest.mark.parametrize("name", OWN)
def test_our_functions_are_least_at_a_place_away_from_zero_and_worth_1000_at_the_start(name: str) -> None:
    problem = own(name, 50, 3)
    optimum = np.random.default_rng([3, 50]).standard_normal((1, 50))
    assert problem.excess(optimum) == pytest.approx(0)
    assert problem.excess(np.zeros((1, 50))) == pytest.approx(1000)
    assert (problem.excess(optimum + 1e-3 * np.eye(50)) > 0).all()
    assert own(name, 50, 4).excess(optimum) > 1


def test_unsuccessful_runs_rank_behind_all_successful_ones_by_their_final_value() -> None:
    solved = [math.nan, 900.0, math.nan, 20.0, math.nan]
    best = [0.002, 9e-4, 7.0, 1e-5, math.nan]  # the last one failed
    assert places(pd.DataFrame({"best": best, HITS[-1]: solved})).tolist() == [2, 1, 3, 0, 4]


def test_holm_s_correction_is_that_of_r() -> None:
    # p.adjust(c(0.04, 0.01, 0.02, 0.005), "holm")
    assert holm([0.04, 0.01, 0.02, 0.005]) == pytest.approx([0.04, 0.03, 0.04, 0.02])


PAIR = Pair(Contestant("mine", None, run), Contestant("other", None, run), {500: Schedule(8, 10)})


def invented(ours: float, function: str = "sphere", solved: bool = True) -> pd.DataFrame:
    """Eight runs of each, that need about 1000 evaluations; ours takes `ours` times as many."""
    random = np.random.default_rng(1)
    rows = []
    for who, times in (("mine", ours), ("other", 1.0)):
        for instance in range(8):
            needed = times * (1000 + 20 * random.standard_normal())
            row = {"contestant": who, "function": function, "dimension": 500, "instance": instance}
            row |= {"population": PAIR.population(500), "budget": 5000, "best": 1e-4 if solved else needed}
            rows.append(row | dict.fromkeys(HITS, needed if solved else math.nan))
    return pd.DataFrame(rows)


@pytest.mark.parametrize("solved", [True, False])
def test_twice_the_evaluations_or_twice_the_final_value_is_worse_and_half_is_better(solved: bool) -> None:
    for times, verdict in ((2.0, "worse"), (0.5, "better"), (1.0, "equal")):
        (row,) = compare(PAIR, invented(times, solved=solved)).itertuples()
        assert row.verdict == verdict
        assert row.ratio == pytest.approx(times, rel=0.05) if solved else math.isnan(row.ratio)


def test_one_difference_among_many_functions_has_to_be_larger() -> None:
    slightly = invented(1.02)
    alone = compare(PAIR, slightly)["p corrected"][0]
    others = [invented(1.0, f"other {i}") for i in range(9)]
    among = compare(PAIR, pd.concat([slightly, *others])).set_index("function")["p corrected"]["sphere"]
    assert alone < 1
    assert among == pytest.approx(min(1, 10 * alone))


def test_runs_of_another_budget_are_not_mixed_in() -> None:
    runs = invented(1.0)
    runs.loc[runs.contestant == "mine", "budget"] = 1
    assert compare(PAIR, runs).empty


@pytest.mark.parametrize(("name", "queries"), [("spsa", 1), ("mezo", 1), ("mezo", 4)])
def test_spsa_and_mezo_follow_their_equations_step_by_step(name: str, queries: int) -> None:
    row = trajectories.trajectory(name, "ellipsoid", 20, queries)
    # The draws are summed in float32, so the centers differ by its last digits and no more.
    assert row["largest difference"] < 1e-6 * row["distance moved"]
    assert row["loss after / before"] < 0.9


def test_another_gain_than_the_equations_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    right = trajectories.spsa_step

    def wrong(x: np.ndarray, k: int, *rest: object) -> np.ndarray:
        return right(x, k + 1, *rest)

    monkeypatch.setattr(trajectories, "spsa_step", wrong)
    row = trajectories.trajectory("spsa", "ellipsoid", 20, 1)
    assert row["largest difference"] > 1e-4 * row["distance moved"]


def test_the_comparison_goes_on_where_it_stopped_and_says_what_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedules = {500: Schedule(2, 1)}
    pairs = [
        Pair(pair.ours, pair.peer, schedules) for pair in PAIRS if pair.ours.name in {"one-plus-one", "snes"}
    ]
    missing = Contestant("nobody", "no-such-package-at-all", run)
    pairs.append(Pair(pairs[0].ours, missing, schedules))
    monkeypatch.setattr(compare_with_references, "PAIRS", pairs)
    monkeypatch.setattr(compare_with_references, "SCHEDULES", schedules)
    monkeypatch.setattr(compare_with_references, "trajectories", lambda: pd.DataFrame({"steps": [300]}))
    (tmp_path / "README.md").write_text("before\n<!-- summary -->\nold\n<!-- end of summary -->\nafter\n")
    stored = tmp_path / "runs.csv"
    arguments = ["--runs", str(stored), "--out", str(tmp_path)]

    compare_with_references.main(arguments)
    whole = stored.read_text()
    runs = pd.read_csv(stored)
    assert set(runs.status) == {"ok"}
    assert (runs.groupby("contestant").size() == 8).all()
    assert (runs.evaluations <= runs.budget).all()
    summary = pd.read_csv(tmp_path / "summary.csv")
    assert summary[summary.peer == "nobody"].note.tolist() == ["nobody not installed"]
    assert summary[summary.algorithm == "one-plus-one"].functions.tolist() == [4]
    readme = (tmp_path / "README.md").read_text()
    assert "nobody not installed" in readme
    assert "old" not in readme
    assert readme.startswith("before")

    stored.write_text(whole[: len(whole) // 2])  # killed in the middle of a line
    compare_with_references.main(arguments)
    columns = ["contestant", "function", "dimension", "instance", "best"]
    again = pd.read_csv(stored)[columns].sort_values(columns).reset_index(drop=True)
    pd.testing.assert_frame_equal(again, runs[columns].sort_values(columns).reset_index(drop=True))


def test_bbob_without_its_package_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare_with_references, "find_spec", lambda name: None)
    (pair,) = (pair for pair in PAIRS if pair.ours.name == "one-plus-one")
    assert compare_with_references.absent(pair.peer, 5) == "coco-experiment not installed"
    assert compare_with_references.absent(pair.peer, 500) == ""


def test_a_contestant_that_fails_leaves_its_reason() -> None:
    def broken(trial: Trial, population: int, seed: int) -> None:
        trial(np.zeros((1, 4)))
        raise ValueError("no such thing")

    trial = Trial(own("sphere", 4, 1), 9)
    assert run(Contestant("broken", None, broken), trial, 4, 1) == "ValueError: no such thing"
    assert trial.evaluations == 1


def test_times_are_of_ask_and_tell_apart_and_the_evaluator_s_draw_is_a_column(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("<!-- timing -->\n<!-- end of timing -->\n")
    arguments = ["--only", "random", "mezo", "pycma", "--dimensions", "30", "3000"]
    time_ask_tell.main([*arguments, "--generations", "3", "--out", str(tmp_path)])
    table = pd.read_csv(tmp_path / "timing.csv").set_index(["algorithm", "d"])
    measured = table[table.status == "ok"]
    assert len(measured) == 5
    assert (measured["ask + tell"] > 0).all()
    summed = (measured.ask + measured.tell).to_numpy()
    assert measured["ask + tell"].to_numpy() == pytest.approx(summed, rel=1e-2)
    assert table.draw["mezo", 30] > 0
    assert table.draw["random", 30] == 0
    assert "over the limit" in table.status["pycma", 3000]
    assert json.loads((tmp_path / "timing.json").read_text())["machine"]["threads"] == 1
    assert "| mezo | 30 |" in (tmp_path / "README.md").read_text()


def test_an_algorithm_stops_when_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    timed = time_ask_tell.Timed("random", 10, warm_up=1)
    timed.build()
    timed.turn(3)
    with timed.capped():
        time_ask_tell.WATCH.look()
    assert timed.status == "ok"
    monkeypatch.setattr(time_ask_tell, "CAP", -1.0)
    with timed.capped():
        time_ask_tell.WATCH.look()
    timed.turn(3)
    assert len(timed.generations) == 3
    assert timed.row()["status"] == "stopped by the cap"


def test_a_readme_without_the_markers_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text("nothing here\n")
    fill(path, {"summary": "| a |"})
    assert path.read_text() == "nothing here\n"

"""Leaderboards: what is ranked, what is marked, and that nothing disappears."""

from __future__ import annotations

import io
import math

import pandas as pd
import pytest
from rich.console import Console

from harness.report.status import status
from harness.report.tables import COLUMNS, leaderboard, overall, write_leaderboard
from harness.report.terminal import show_leaderboard


def shown(board, width=100):
    stream = io.StringIO()
    show_leaderboard(board, overall(board), Console(file=stream, width=width))
    return stream.getvalue()


def ranks(board):
    return dict(zip(board["algorithm"], board["rank"], strict=True))


def test_the_best_mean_on_test_comes_first_with_its_interval(results):
    board = leaderboard(
        results(
            *[("t", "a", r, "finished", 0.5) for r in range(3)],
            *[("t", "b", r, "finished", 0.7 + 0.1 * r) for r in range(3)],
        )
    )
    assert board["algorithm"].tolist() == ["b", "a"]
    assert board["test_mean"].tolist() == pytest.approx([0.8, 0.5])
    # 0.8 +- 4.302653 * 0.1 / sqrt(3)
    assert board["ci_low"][0] == pytest.approx(0.8 - 0.248414, abs=1e-5)
    assert board["n"].tolist() == [3, 3]


def test_a_metric_that_is_better_when_lower_ranks_the_other_way(results):
    lower = {"metric_direction": "min"}
    board = leaderboard(results(("t", "a", 0, "finished", 0.5, lower), ("t", "b", 0, "finished", 0.7, lower)))
    assert ranks(board) == {"a": 1.0, "b": 2.0}


def test_references_are_marked_last_and_take_no_place(results):
    board = leaderboard(
        results(("t", "adam", 0, "finished", 0.99, {"reference": True}), ("t", "a", 0, "finished", 0.5))
    )
    assert board["algorithm"].tolist() == ["a", "adam"]
    assert board["rank"][0] == 1.0
    assert math.isnan(board["rank"][1])


def test_failed_and_skipped_cells_are_counted_with_their_reasons_and_get_no_rank(results):
    board = leaderboard(
        results(
            ("t", "a", 0, "finished", 0.9),
            ("t", "a", 1, "failed", None, {"reason": "ValueError in ask: no"}),
            ("t", "b", 0, "skipped", None, {"reason": "too large"}),
            ("t", "b", 1, "skipped", None, {"reason": "too large"}),
            ("t", "c", 0, "finished", 0.1),
            ("t", "c", 1, "finished", 0.1),
        )
    ).set_index("algorithm")
    assert board.index.tolist() == ["c", "a", "b"]
    assert (board.loc["a", "n"], board.loc["a", "planned"], board.loc["a", "failed"]) == (1, 2, 1)
    assert math.isnan(board.loc["a", "rank"])
    assert math.isnan(board.loc["b", "test_mean"])
    assert board.loc["b", "reason"] == "too large"
    assert board.loc["c", "rank"] == 1.0


def test_a_cell_that_timed_out_counts_with_what_it_found_and_is_marked(results):
    board = leaderboard(results(("t", "a", 0, "timeout", 0.9, {"reason": "slow"})))
    assert (board["rank"][0], board["timeout"][0], board["reason"][0]) == (1.0, 1, "slow")


def test_a_sweep_that_is_not_over_shows_what_is_left(results):
    board = leaderboard(results(("t", "a", 0, "finished", 0.9), ("t", "a", 1, "pending", None)))
    assert board["unfinished"][0] == 1
    assert math.isnan(board["rank"][0])


def test_mean_ranks_are_over_the_tasks_where_all_have_one(results):
    board = leaderboard(
        results(
            ("s", "a", 0, "finished", 0.9),
            ("s", "b", 0, "finished", 0.8),
            ("t", "a", 0, "finished", 0.1),
            ("t", "b", 0, "finished", 0.8),
            ("u", "a", 0, "finished", 0.9),
            ("u", "b", 0, "failed", None),
            ("u", "zero", 0, "finished", 0.9, {"reference": True}),
        )
    )
    summary = overall(board)
    assert summary.tasks == ["s", "t"]
    assert summary.ranks["mean_rank"].tolist() == [1.5, 1.5]
    assert summary.note == "left out: u (no rank for b)"


def test_a_contestant_without_any_rank_does_not_empty_the_overall_table(results):
    board = leaderboard(
        results(
            ("s", "a", 0, "finished", 0.9), ("s", "b", 0, "skipped", None), ("t", "a", 0, "finished", 0.1)
        )
    )
    summary = overall(board)
    assert summary.ranks["algorithm"].tolist() == ["a"]
    assert summary.note == "left out: b (no rank on 2 of 2 tasks)"


def test_without_a_common_task_it_says_so(results):
    board = leaderboard(
        results(
            ("s", "a", 0, "finished", 0.9),
            ("s", "b", 0, "failed", None),
            ("t", "a", 0, "failed", None),
            ("t", "b", 0, "finished", 0.1),
        )
    )
    assert overall(board).ranks.empty
    assert "there is no task on which every algorithm has a rank" in shown(board)


def test_a_board_of_references_alone_has_no_overall_table(results):
    board = leaderboard(results(("s", "zero", 0, "finished", 0.9, {"reference": True})))
    assert overall(board).tasks == []


def test_nothing_planned_is_an_empty_board_of_all_columns(results):
    board = leaderboard(results())
    assert list(board.columns) == list(COLUMNS)
    assert len(board) == 0
    assert "nothing was planned" in shown(board)


def test_a_narrow_terminal_shows_names_and_values_and_leaves_out_costs(results):
    text = shown(leaderboard(results(*[("t", "nevergrad", r, "finished", 1e5 * r) for r in range(3)])), 80)
    assert "nevergrad" in text
    assert "-1.48e5 … 3.48e5" in text  # 1e5 +- 4.302653 * 1e5 / sqrt(3)
    assert "memory" not in text


def test_the_printed_board_fits_100_columns_and_hides_nothing(results):
    long = "openai-es[antithetic=true,learning_rate=0.05,population=32,sigma=0.02,units=raw]"
    costs = {"seconds_ask": 1.5, "seconds_evaluate": 12345.6, "seconds_tell": 0.001, "peak_memory": 2**37}
    board = leaderboard(
        results(
            ("sentiment/reference/prompt", long, 0, "finished", 0.91234567, costs),
            ("sentiment/reference/prompt", long, 1, "finished", 0.8, costs),
            ("sentiment/reference/prompt", "a[x=[1]]", 0, "failed", None, {"reason": "boom [red]"}),
            ("sentiment/reference/prompt", "zero-shot", 0, "finished", 0.5, {"reference": True}),
            ("rosenbrock", "random", 0, "finished", -123456.7, costs),
            ("rosenbrock", "random", 1, "finished", 0.00001234, costs),
        )
    )
    text = shown(board)
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 100
    flat = "".join(text.split())
    assert "boom[red]" in flat
    assert "a[x=[1]]" in flat
    assert "1failed" in flat
    assert "ref" in flat
    assert "-8.46e5…7.23e5" in flat  # -61728 +- 12.7062 * 61728
    assert "1.5/12.3k/0.0137G" in flat
    assert "0.856" in flat


def test_the_csv_holds_every_row_and_column(results, tmp_path):
    made = results(("t", "a", 0, "finished", 0.9), ("t", "b", 0, "failed", None, {"reason": "x, y"}))
    frame = pd.read_csv(write_leaderboard(made))
    assert list(frame.columns) == list(COLUMNS)
    assert frame["reason"][1] == "x, y"
    assert (tmp_path / "leaderboard.csv").exists()


def test_status_counts_cells_in_each_state(results):
    frame = status(
        results(
            ("t", "a", 0, "finished", 0.9),
            ("t", "a", 1, "running", None, {"evaluations": 4}),
            ("t", "b", 0, "skipped", None, {"reason": "too large"}),
        )
    )
    assert frame.iloc[0][["finished", "running", "evaluations", "budget"]].tolist() == [1, 1, 14, 20]
    assert frame.iloc[1][["skipped", "budget", "reason"]].tolist() == [1, 0, "too large"]

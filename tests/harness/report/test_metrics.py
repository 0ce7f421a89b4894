"""Boards by another metric: which values are better is stored, known, or has to be said."""

from __future__ import annotations

import pytest
import torch

from harness.core.errors import UserError
from harness.report.metrics import DIRECTIONS, measured_by
from harness.report.tables import leaderboard
from harness.running.schema import make_table
from tasks.answers.rewards import JUDGES
from tasks.functions import AnalyticFunction
from tasks.objectives import metrics


def measured(results, metric, values, **more):
    """Results of one task whose runs a, b, ... have these values of another metric on test."""
    rows = [("t", name, 0, "finished", 0.5, {"reported_at": 10, **more}) for name in "abc"[: len(values)]]
    made = results(*rows)
    scores = [
        {"id": f"t-{name}-0", "evaluations": 10, "split": "test", "metric": metric, "value": value}
        for name, value in zip("abc", values, strict=False)
    ]
    made.tables["metrics"] = make_table("metrics", scores)
    return made


def first(results, metric):
    return leaderboard(measured_by(results, metric))["algorithm"][0]


def test_every_metric_of_the_shipped_tasks_has_a_direction():
    of_logits = metrics(torch.eye(2), torch.tensor([0, 1]), "f1")
    of_answers = {name for reward in JUDGES.values() for name in (reward.metric, *dict(reward.beside))}
    shaped = {"shaped_reward"} if any(reward.shaped for reward in JUDGES.values()) else set()
    assert {*of_logits, *of_answers, *shaped, AnalyticFunction.metric} == set(DIRECTIONS)
    assert DIRECTIONS[AnalyticFunction.metric] == AnalyticFunction.metric_direction


def test_the_directions_are_those_by_which_right_answers_are_better_than_wrong_ones():
    labels = torch.tensor([0, 1, 1])
    right = metrics(torch.eye(2)[labels] * 4, labels, "f1")
    wrong = metrics(torch.eye(2)[1 - labels] * 4, labels, "f1")
    for name, value in right.items():
        assert (value > wrong[name]) == (DIRECTIONS[name] == "max"), name


def test_loss_is_better_when_lower_and_f1_when_higher(results):
    assert first(measured(results, "loss", [0.9, 0.2]), "loss") == "b"
    assert first(measured(results, "macro_f1", [0.9, 0.2]), "macro_f1") == "a"


def test_of_an_unknown_metric_the_direction_has_to_be_said(results):
    made = measured(results, "perplexity", [9.0, 3.0])
    with pytest.raises(UserError, match="give perplexity:min or perplexity:max"):
        measured_by(made, "perplexity")
    assert first(made, "perplexity:min") == "b"
    assert first(made, "perplexity:max") == "a"


def test_a_metric_that_is_some_tasks_own_has_the_direction_that_is_stored_there(results):
    made = measured(results, "regret", [0.9, 0.2])
    other = ("u", "a", 0, "finished", 0.5, {"metric": "regret", "metric_direction": "min"})
    both = results(
        *[("t", name, 0, "finished", 0.5, {"reported_at": 10}) for name in "ab"],
        other,
    )
    both.tables["metrics"] = made.tables["metrics"]
    board = leaderboard(measured_by(both, "regret"))
    assert board.loc[board["task"] == "t", "algorithm"].tolist() == ["b", "a"]


def test_a_direction_that_is_none_and_a_metric_that_is_not_there_are_refused(results):
    made = measured(results, "loss", [0.9])
    with pytest.raises(UserError, match="min or max, not 'up'"):
        measured_by(made, "loss:up")
    with pytest.raises(UserError, match="'f1' was not measured; there are accuracy, loss"):
        measured_by(made, "f1:max")

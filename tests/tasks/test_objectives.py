"""Objectives against their definitions."""

from __future__ import annotations

import pytest
import torch
from sklearn.metrics import f1_score

from tasks.objectives import accuracy, cross_entropy, hinge, macro_f1, metrics

LOGITS = torch.tensor([[[2.0, 0.0, 1.0], [0.0, 0.5, 0.0], [1.0, 3.0, 2.5], [0.0, 0.0, 4.0]]])
LABELS = torch.tensor([[0, 0, 1, 2]])


def test_cross_entropy_is_the_mean_negative_log_likelihood() -> None:
    expected = torch.nn.functional.cross_entropy(LOGITS[0].double(), LABELS[0])
    assert float(cross_entropy(LOGITS, LABELS)) == pytest.approx(float(expected))


def test_hinge_counts_what_is_missing_to_a_margin_of_two() -> None:
    assert float(hinge(LOGITS, LABELS)) == pytest.approx((1.0 + 2.5 + 1.5 + 0.0) / 4)


def test_accuracy_and_macro_f1_agree_with_scikit_learn() -> None:
    found = LOGITS[0].argmax(-1)
    assert float(accuracy(LOGITS, LABELS)) == pytest.approx(0.25)
    assert 1 - float(macro_f1(LOGITS, LABELS)) == pytest.approx(f1_score(LABELS[0], found, average="macro"))
    assert metrics(LOGITS[0], LABELS[0])["accuracy"] == pytest.approx(0.75)


@pytest.mark.parametrize("objective", [cross_entropy, hinge, accuracy, macro_f1])
def test_a_candidate_with_nan_logits_has_a_nan_loss_and_spares_the_others(objective) -> None:  # type: ignore[no-untyped-def]
    both = torch.cat([LOGITS, LOGITS])
    both[1, 2, 0] = float("nan")
    losses = objective(both, LABELS.expand(2, -1))
    assert not losses[0].isnan()
    assert losses[1].isnan()

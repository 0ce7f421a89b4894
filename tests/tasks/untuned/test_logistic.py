"""Logistic regression beside scikit-learn's."""

from __future__ import annotations

import pytest
import torch
from sklearn.linear_model import LogisticRegression

from tasks.untuned.logistic import fitted


def rows(count: int, width: int, classes: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    features = torch.randn(count, width, generator=generator, dtype=torch.float64)
    features[:, 0] *= 5
    return features, (features @ torch.randn(width, classes, generator=generator).double()).argmax(1)


@pytest.mark.parametrize("strength", [10.0, 1.0, 0.1])
@pytest.mark.parametrize(("count", "width"), [(40, 5), (12, 60)])
def test_weights_are_those_of_scikit_learn(count: int, width: int, strength: float) -> None:
    features, labels = rows(count, width, classes=3)
    ours = fitted(features, labels, 3, strength)
    # Of three classes it minimises the same function; its weights sum to zero over the classes, as ours do.
    theirs = LogisticRegression(C=1 / strength, tol=1e-8, max_iter=10_000).fit(features, labels)
    torch.testing.assert_close(ours.weights, torch.from_numpy(theirs.coef_), rtol=1e-3, atol=1e-4)
    ours_at, theirs_at = ours.logits(features).softmax(1), theirs.predict_proba(features)
    torch.testing.assert_close(ours_at, torch.from_numpy(theirs_at), rtol=1e-3, atol=1e-4)


def test_a_class_without_rows_is_never_answered_and_stays_finite() -> None:
    features, labels = rows(30, 4, classes=2)
    found = fitted(features, labels, 3, 1.0)
    logits = found.logits(features)
    assert bool(logits.isfinite().all())
    assert 2 not in logits.argmax(1).tolist()


def test_rows_that_a_line_parts_are_parted_by_finite_weights() -> None:
    features = torch.tensor([[-1.0], [-2.0], [1.0], [2.0]])
    found = fitted(features, torch.tensor([0, 0, 1, 1]), 2, 0.01)
    assert found.logits(features).argmax(1).tolist() == [0, 0, 1, 1]
    assert bool(found.weights.isfinite().all())

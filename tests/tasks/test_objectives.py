"""Objectives against their definitions."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy as scipy_entropy
from sklearn.metrics import f1_score

from harness.core import Gradients, Points, Protocol, Request, UserError
from tasks.datasets import TextData
from tasks.language_model import LanguageModel
from tasks.objectives import (
    accuracy,
    agreement,
    cross_entropy,
    entropy,
    hinge,
    information,
    macro_f1,
    metrics,
    reward,
)
from tasks.published.registered import mrpc
from tasks.reference.registered import reference, sentiment
from tasks.text_task import TextTask
from tasks.tuning.prompt import PromptTuning

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


def test_entropy_is_that_of_scipy() -> None:
    expected = scipy_entropy(LOGITS[0].double().softmax(-1).numpy(), axis=-1).mean()
    assert float(entropy(LOGITS, LABELS)) == pytest.approx(expected)


def test_information_tells_balanced_certainty_from_one_class_for_all() -> None:
    same = torch.tensor([[[20.0, 0.0]] * 4])
    balanced = torch.tensor([[[20.0, 0.0], [0.0, 20.0]] * 2])
    labels = torch.zeros(1, 4, dtype=torch.long)
    assert float(entropy(same, labels)) == pytest.approx(float(entropy(balanced, labels)))
    assert float(information(same, labels)) == pytest.approx(0.0, abs=1e-6)
    assert float(information(balanced, labels)) == pytest.approx(-math.log(2), abs=1e-6)


def test_agreement_is_the_divergence_of_jensen_and_shannon_squared_as_scipy_has_it() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(1, 2, 5, 3, generator=generator)  # two templates, five rows
    one, two = logits[0].double().softmax(-1).numpy()
    expected = (jensenshannon(one, two, axis=-1) ** 2).mean()
    assert float(agreement(logits, LABELS)) == pytest.approx(expected)
    assert float(agreement(logits[:, :1].expand(-1, 3, -1, -1), LABELS)) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("objective", [entropy, information])
def test_an_unlabelled_objective_with_nan_logits_is_nan_for_that_candidate_only(objective) -> None:  # type: ignore[no-untyped-def]
    both = torch.cat([LOGITS, LOGITS])
    both[1, 2, 0] = float("nan")
    assert objective(both, LABELS.expand(2, -1)).isnan().tolist() == [False, True]


def two_templates() -> TextData:
    data = sentiment()
    few = {split: rows[:80] for split, rows in data.splits.items()}
    return TextData(data.name, few, data.template, data.words, alternatives=("so , {text} . i say it was",))


@pytest.mark.parametrize("objective", [entropy, information, agreement])
def test_an_unlabelled_objective_reads_no_labels(objective) -> None:  # type: ignore[no-untyped-def]
    task = TextTask(two_templates(), reference(), PromptTuning(), objective, Protocol(), "toy")
    points = Points(torch.randn(2, task.space.size, generator=torch.Generator().manual_seed(0)))
    losses = task.evaluate([Request(points, 0, 0)])[0].losses
    assert objective.unlabelled
    task.minibatch(0, 0).labels.copy_(1 - task.minibatch(0, 0).labels)  # a minibatch is kept
    assert torch.equal(task.evaluate([Request(points, 0, 0)])[0].losses, losses)
    labelled = TextTask(two_templates(), reference(), PromptTuning(), cross_entropy, Protocol(), "toy")
    before = labelled.evaluate([Request(points, 0, 0)])[0].losses
    labelled.minibatch(0, 0).labels.copy_(1 - labelled.minibatch(0, 0).labels)
    assert not torch.equal(labelled.evaluate([Request(points, 0, 0)])[0].losses, before)


def test_agreement_compares_the_templates_row_by_row() -> None:
    data = two_templates()
    task = TextTask(data, reference(), PromptTuning(), agreement, Protocol(), "toy")
    other = TextData(data.name, data.splits, data.alternatives[0], data.words)
    single = [
        TextTask(each, reference(), PromptTuning(), cross_entropy, Protocol(), "toy")
        for each in (data, other)
    ]
    points = Points(torch.randn(1, task.space.size, generator=torch.Generator().manual_seed(0)))
    logits = [each.searched.run_points(points.values, each.minibatch(0, 0)) for each in single]
    expected = agreement(torch.stack(logits, 1), torch.zeros(1, 16))
    loss = task.evaluate([Request(points, 0, 0)])[0]
    torch.testing.assert_close(loss.losses, expected, rtol=1e-4, atol=1e-7)
    assert float(loss.losses) > 1e-4
    assert loss.cost.tokens == sum(each.evaluate([Request(points, 0, 0)])[0].cost.tokens for each in single)
    gradient = task.evaluate([Request(Gradients(points.values), 0, 0)])[0].gradients
    assert gradient is not None
    assert gradient.abs().sum() > 0


def test_objectives_that_do_not_fit_label_words_say_what_does() -> None:
    with pytest.raises(UserError, match="no alternative templates"):
        TextTask(sentiment(), reference(), PromptTuning(), agreement, Protocol(), "toy")
    with pytest.raises(UserError, match="choose accuracy"):
        reward(LOGITS, LABELS)


def test_sets_that_are_measured_by_f1_are_compared_by_it() -> None:
    model = LanguageModel(path="roberta-large", smoke=True)
    protocol = Protocol(per_class=2, minibatch=4, test_rows=8)
    task = TextTask(mrpc(smoke=True), model, PromptTuning(tokens=2), cross_entropy, protocol, "mrpc")
    found = task.score([(None, 0)], "test")[0]
    assert task.metric == "f1"
    rows = task.rows_of("test", 0)
    logits = task.searched.run_alone(None, rows)
    reference = f1_score(rows.labels, logits.argmax(-1), pos_label=1, zero_division=0)
    assert found["f1"] == pytest.approx(reference)

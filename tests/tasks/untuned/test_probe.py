"""The linear probe: what it reads, how it is chosen, and that scikit-learn comes to the same."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler

from harness.core import Cost, Points, Probe
from tasks.text_task import TextTask
from tasks.untuned.probe import STRENGTHS, ProbeWay
from tests.tasks.untuned.conftest import Make


def _causal(task: TextTask, ids: torch.Tensor) -> torch.Tensor:
    return task.model.model(ids[None], output_hidden_states=True).hidden_states[-1][0, -1]


def _masked(task: TextTask, ids: torch.Tensor) -> torch.Tensor:
    model = task.model.model
    hidden = model.base_model(ids[None]).last_hidden_state[0]
    (place,) = (ids == task.model.tokenizer.mask_token_id).nonzero()[:, 0].tolist()
    return model.cls.predictions.transform(hidden[place])


def _decoded(task: TextTask, ids: torch.Tensor) -> torch.Tensor:
    model = task.model.model
    start = torch.tensor([[model.config.decoder_start_token_id]])
    return model(ids[None], decoder_input_ids=start, output_hidden_states=True).decoder_hidden_states[-1][
        0, 0
    ]


def _sentence(task: TextTask, ids: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.normalize(task.model.model(ids[None]).last_hidden_state[0].mean(0), dim=0)


PLAIN: dict[str, Any] = {
    "gpt2": _causal,
    "llama": _causal,
    "bert": _masked,
    "t5": _decoded,
    "sentence-bert": _sentence,
}


@pytest.mark.parametrize("architecture", PLAIN)
def test_features_are_what_the_answer_is_read_from(make: Make, architecture: str) -> None:
    task = make(architecture)
    found = ProbeWay(task).features("test", 1)
    rows = task.rows_of("test", 1)
    with torch.no_grad():
        plain = [PLAIN[architecture](task, ids[:n]) for ids, n in zip(rows.ids, rows.lengths, strict=True)]
    expected = torch.stack(plain)
    if architecture == "t5":  # with a tied embedding, T5 scales what its output embedding sees
        expected = expected * (found[0, 0] / expected[0, 0])
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    assert found.std(0).min() > 0


@pytest.mark.parametrize("architecture", [None, "bert", "t5", "sentence-bert"])
def test_the_probe_is_scikit_learns_chosen_on_dev(make: Make, architecture: str | None) -> None:
    task, repetition = make(architecture, per_class=6, test_rows=40), 1
    way = ProbeWay(task)
    x = {split: way.features(split, repetition).numpy() for split in ("train", "dev", "test")}
    y = {split: way.labels(split, repetition).numpy() for split in ("train", "dev", "test")}
    scaler = StandardScaler().fit(x["train"])
    fits = []
    for strength in STRENGTHS:
        # Two classes are parameterised by one vector there, the difference of our two: half its penalty.
        model = LogisticRegression(C=2 / strength, tol=1e-8, max_iter=10_000)
        model.fit(scaler.transform(x["train"]), y["train"])
        dev = scaler.transform(x["dev"])
        fits.append((model.score(dev, y["dev"]), -log_loss(y["dev"], model.predict_proba(dev)), model))
    chosen = max(fits, key=lambda fit: fit[:2])[2]
    ours = way.logits("test", repetition).softmax(1)
    theirs = torch.from_numpy(chosen.predict_proba(scaler.transform(x["test"])))
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)
    score = task.score([(Probe(), repetition)], "test")[0]["accuracy"]
    assert score == pytest.approx(chosen.score(scaler.transform(x["test"]), y["test"]))


def test_test_rows_are_read_when_test_is_scored_and_not_before(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, read = make(), []
    whole = TextTask.rows_of

    def noted(self: TextTask, split: Any, repetition: int) -> Any:
        read.append((split, repetition))
        return whole(self, split, repetition)

    monkeypatch.setattr(TextTask, "rows_of", noted)
    task.score([(Probe(), 1)], "dev")
    task.score([(Probe(), 1)], "train")
    assert {split for split, _ in read} == {"train", "dev"}
    assert {repetition for _, repetition in read} == {1}


def test_rows_are_counted_as_often_as_they_are_read(make: Make) -> None:
    task = make()
    costs = [task.untuned_cost(Probe(), split, 0) for split in ("dev", "train", "test")]
    assert [cost.sequences for cost in costs] == [16, 0, 12]  # 4 of each class to fit, as many to choose
    assert costs[1] == Cost()
    assert costs[2].tokens == int(task.rows_of("test", 0).lengths.sum())


def test_a_feature_that_never_varies_counts_for_nothing(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    task = make()
    plain = ProbeWay(task).logits("test", 0)
    features = ProbeWay.features

    def wider(self: ProbeWay, split: Any, repetition: int) -> torch.Tensor:
        found = features(self, split, repetition)
        constant = torch.full((len(found), 1), 7.0 + (split == "test"), dtype=found.dtype)
        return torch.cat([found, constant], dim=1)

    monkeypatch.setattr(ProbeWay, "features", wider)
    torch.testing.assert_close(ProbeWay(task).logits("test", 0), plain, rtol=1e-4, atol=1e-4)


def test_the_bits_of_a_search_do_not_depend_on_a_probe_beside_it(make: Make) -> None:
    task = make()
    points = Points(0.1 * torch.ones(1, task.space.size, dtype=torch.float64))
    alone = task.score([(points, 0), (None, 1)], "dev")
    assert task.score([(Probe(), 0), (points, 0), (Probe(), 1), (None, 1)], "dev")[1::2] == alone

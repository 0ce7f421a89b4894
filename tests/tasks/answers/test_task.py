"""The task of answering: losses, rewards, scores and costs against their definitions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from harness.core import Gradients, Points, Protocol, Request, UserError
from tasks.answers.data import REWARDS, AnswerData, AnswerRow
from tasks.answers.rewards import JUDGES
from tasks.answers.task import AnswerTask
from tasks.countdown.registered import countdown
from tasks.datasets import TextData
from tasks.language_model import LanguageModel
from tasks.objectives import accuracy, cross_entropy, hinge, reward
from tasks.reference.registered import reference, sentiment
from tasks.text_task import TextTask
from tasks.tuning.base import parameters_of
from tasks.tuning.full import FullTuning
from tasks.tuning.lora import LoRATuning
from tasks.tuning.prompt import PromptTuning
from tests.tasks.answers.test_generation import generated, make_task, population, reviews
from tests.tasks.plain import merged

Load = Callable[..., LanguageModel]


def plain_log_likelihood(task: AnswerTask, points: Points, member: int, number: int, answer: str) -> float:
    """Mean log-likelihood of an answer's tokens by the model's own forward, with merged weights."""
    candidate = {name: value[member] for name, value in parameters_of(points, task.space).items()}
    model, prompt = merged(task, candidate)  # type: ignore[arg-type]
    tokenizer = task.model.tokenizer
    before = tokenizer(task.data.filled(task.data.splits["train"][number]))["input_ids"]
    after = tokenizer(answer, add_special_tokens=False)["input_ids"]
    embedded = model.get_input_embeddings()(torch.tensor(before + after))
    if prompt is not None:
        embedded = torch.cat([prompt, embedded])
    with torch.no_grad():
        logits = model(inputs_embeds=embedded[None]).logits[0, -len(after) - 1 : -1]
    return float(logits.log_softmax(-1)[torch.arange(len(after)), after].mean())


@pytest.mark.parametrize("family", ["llama", "gpt2", "opt"])
@pytest.mark.parametrize("tuning", [lambda: PromptTuning(tokens=3), LoRATuning, FullTuning])
def test_cross_entropy_is_that_of_the_answers_tokens_alone(load: Load, family: str, tuning: Any) -> None:
    task = make_task(load(family, "float64"), tuning(), objective=cross_entropy)
    points = population(task, "points", 3)
    assert isinstance(points, Points)
    _, numbers = task.drawn(0, 1)
    answers = [task.data.splits["train"][number].answers[0] for number in numbers]
    expected = [
        -sum(plain_log_likelihood(task, points, i, *each) for each in zip(numbers, answers, strict=True))
        / len(numbers)
        for i in range(3)
    ]
    assert task.evaluate([Request(points, 0, 1)])[0].losses.tolist() == pytest.approx(expected, rel=1e-9)


def test_continuations_of_unequal_length_are_each_averaged_over_their_own_tokens(load: Load) -> None:
    rows = [
        AnswerRow({"text": "a fine film"}, (answer,)) for answer in ("good", "good and really witty")
    ] * 20
    data = AnswerData("two", {"train": rows, "test": rows}, "{text} is", "exact-match", 4, stop=None)
    task = AnswerTask(data, load("llama", "float64"), LoRATuning(), cross_entropy, Protocol(), "toy")
    points = population(task, "points", 1)
    assert isinstance(points, Points)
    _, numbers = task.drawn(0, 0)
    # an answer ends with the end token, here </s>, and is cut after four tokens
    texts = {n: ("good</s>", "good and really witty")[n % 2] for n in numbers}
    expected = -sum(plain_log_likelihood(task, points, 0, n, texts[n]) for n in numbers) / len(numbers)
    assert float(task.evaluate([Request(points, 0, 0)])[0].losses) == pytest.approx(expected, rel=1e-9)


def test_a_choice_is_that_of_the_highest_mean_log_likelihood(load: Load) -> None:
    task = make_task(load("llama", "float64"), LoRATuning(), minibatch=8, reward="choice")
    points = population(task, "points", 3)
    assert isinstance(points, Points)
    _, numbers = task.drawn(0, 0)
    for i, loss in enumerate(task.evaluate([Request(points, 0, 0)])[0].losses.tolist()):
        hits = 0
        for number in numbers:
            row = task.data.splits["train"][number]
            likely = [plain_log_likelihood(task, points, i, number, choice) for choice in row.choices]
            hits += row.choices[max(range(2), key=likely.__getitem__)] == row.answers[0]
        assert loss == pytest.approx(1 - hits / len(numbers))
    scores = task.score([(points[0:1], 0)], "train")[0]
    assert set(scores) == {"accuracy", "loss"}


def test_with_one_token_choices_a_task_scores_as_the_text_task_of_the_same_rows() -> None:
    whole = sentiment()
    splits = {split: rows[:60] for split, rows in whole.splits.items()}
    text = TextData("reviews", splits, whole.template, whole.words)
    rows = {
        split: [AnswerRow(row.fields, (whole.words[row.label],), whole.words) for row in rows]
        for split, rows in splits.items()
    }
    data = AnswerData("reviews", rows, whole.template, "choice", new_tokens=2)
    protocol = Protocol(test_rows=60, train_rows=60, dev_rows=60)
    ours = AnswerTask(data, reference(), PromptTuning(), reward, protocol, "a")
    theirs = TextTask(text, reference(), PromptTuning(), accuracy, Protocol(test_rows=60), "b")
    found, expected = ours.score([(None, 0)], "test")[0], theirs.score([(None, 0)], "test")[0]
    assert found["accuracy"] == pytest.approx(expected["accuracy"])


def test_a_reward_is_what_the_judge_says_of_the_generated_texts(load: Load) -> None:
    task = make_task(load("llama"), LoRATuning(), minibatch=8, reward="token-f1", stop=None)
    points = population(task, "points", 3)
    split, numbers = task.drawn(0, 1)
    texts = [
        [task.model.tokenizer.decode(row[row >= 0], skip_special_tokens=True) for row in member]
        for member in generated(task, points)
    ]
    rows = [task.data.splits[split][number] for number in numbers]
    judge = JUDGES["token-f1"].judge
    expected = [1 - sum(map(judge, member, rows)) / 8 for member in texts]
    assert task.evaluate([Request(points, 0, 1)])[0].losses.tolist() == pytest.approx(expected)


def test_scores_name_the_reward_and_are_equal_alone_and_in_company(load: Load) -> None:
    task = make_task(load("llama"), LoRATuning(), reward="token-f1")
    points = population(task, "points", 3)
    together = task.score([(points[i : i + 1], 0) for i in range(3)] + [(None, 0)], "test")
    assert task.metric == "token_f1"
    assert set(together[0]) == {"token_f1", "exact_match", "loss"}
    assert [task.score([(points[i : i + 1], 0)], "test")[0] for i in range(3)] == together[:3]


def test_scores_keep_the_rows_in_order_though_pieces_are_sorted_by_length(load: Load) -> None:
    task = make_task(load("llama", "float64"), LoRATuning(), minibatch=16, objective=cross_entropy)
    points = population(task, "points", 1)
    losses = task.evaluate([Request(points, 0, 0)])[0].losses  # 16 rows: the whole train split
    assert task.score([(points, 0)], "train")[0]["loss"] == pytest.approx(float(losses), rel=1e-9)


def test_gradients_equal_central_differences_and_a_reward_has_none(load: Load) -> None:
    task = make_task(load("gpt2", "float64"), LoRATuning(), objective=cross_entropy)
    generator = torch.Generator().manual_seed(1)
    at, along = torch.randn(2, 1, task.space.size, generator=generator, dtype=torch.float64)
    answer = task.evaluate([Request(Gradients(at), 0, 0)])[0]
    plus, minus = task.evaluate([Request(Points(torch.cat([at + 1e-5 * along, at - 1e-5 * along])), 0, 0)])[
        0
    ].losses
    assert answer.gradients is not None
    torch.testing.assert_close((answer.gradients * along).sum(), (plus - minus) / 2e-5, rtol=1e-5, atol=1e-8)
    with pytest.raises(UserError, match="has no gradient"):
        make_task(task.model, LoRATuning()).evaluate([Request(Gradients(at), 0, 0)])


def test_cost_counts_the_prompts_and_the_generated_tokens(load: Load) -> None:
    task = make_task(load("llama"), PromptTuning(tokens=3))
    points = population(task, "points", 2)
    found, rows = generated(task, points), task.minibatch(0, 1)
    cost = task.evaluate([Request(points, 0, 1)])[0].cost
    assert cost.sequences == 2 * len(rows)
    assert cost.tokens == 2 * int((rows.lengths + 3).sum()) + int((found != -1).sum())
    assert task.score_cost("test", 0).tokens >= task.score_cost("dev", 0).tokens > 0


def test_signatures_tell_data_apart(load: Load) -> None:
    model = load("llama")
    assert make_task(model, LoRATuning()).signature().agrees(make_task(model, LoRATuning()).signature())
    other = make_task(model, LoRATuning(), stop=".").signature()
    assert not other.agrees(make_task(model, LoRATuning()).signature())


def test_a_long_question_loses_the_end_of_its_longest_field(load: Load) -> None:
    task = make_task(load("llama"), LoRATuning(), max_tokens=10)
    assert int(task.minibatch(0, 0).lengths.max()) <= 10
    with pytest.raises(UserError, match="the template alone"):
        make_task(load("llama"), LoRATuning(), max_tokens=4)


def test_what_does_not_go_together_is_refused_with_a_remedy(load: Load) -> None:
    with pytest.raises(UserError, match="needs label words"):
        make_task(load("llama"), LoRATuning(), objective=hinge)
    with pytest.raises(UserError, match="choose accuracy"):
        LoRATuning().task(sentiment(), load("llama"), reward, Protocol(), "toy")
    with pytest.raises(UserError, match="lower protocol"):
        AnswerTask(reviews(), load("llama"), LoRATuning(), reward, Protocol(train_rows=61), "toy")
    with pytest.raises(UserError, match="causal"):
        AnswerTask(
            reviews(),
            LanguageModel(path="roberta-large", smoke=True),
            LoRATuning(),
            reward,
            Protocol(),
            "toy",
        )


def test_a_tuning_makes_an_answer_task_of_answer_data(load: Load) -> None:
    made = LoRATuning().task(reviews(), load("llama"), reward, Protocol(), "toy")
    assert isinstance(made, AnswerTask)


def test_every_reward_name_has_a_judge_or_ranks_choices() -> None:
    assert {*JUDGES, "choice"} == set(REWARDS)


def test_countdown_runs_on_a_tiny_model(load: Load) -> None:
    data = countdown(numbers=(3,), rows=20, new_tokens=3)
    short = AnswerData("c", data.splits, "{numbers} {target}", data.reward, 3, stop=None)
    task = AnswerTask(short, load("llama"), LoRATuning(), reward, Protocol(per_class=8), "toy")
    assert task.score([(None, 0)], "test")[0]["accuracy"] == 0.0

"""Examples before questions that are answered in the model's own words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from harness.core import Demonstrations, Majority, Probe
from tasks.answers.shown import ShownEncoding
from tasks.answers.task import AnswerTask
from tasks.language_model import LanguageModel
from tasks.tuning.lora import LoRATuning
from tests.tasks.answers.test_generation import NEW_TOKENS, make_task

Load = Callable[..., LanguageModel]
SHOTS = 2


def encoding(task: AnswerTask, repetition: int = 1) -> ShownEncoding:
    return task._shown(SHOTS, repetition)


def answers(task: AnswerTask, split: Any, repetition: int = 1) -> list[list[int]]:
    """What transformers generates after each whole prompt, row by row."""
    model, tokenizer = task.model.model, task.model.tokenizer
    found = []
    for number in task.chosen(split, repetition)[1]:
        text = encoding(task).prompt(task.chosen(split, repetition)[0], number)
        ids = torch.tensor([encoding(task)._joined(text, 0)[1]])
        made = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=NEW_TOKENS,
            do_sample=False,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=0,
        )
        found.append(made[0, ids.shape[1] :].tolist())
    return found


def test_examples_are_training_rows_with_their_first_answers(load: Load) -> None:
    task = make_task(load("llama"), LoRATuning())
    source, numbers = task.chosen("train", 1)
    rows = [task.data.splits[source][number] for number in numbers]
    known = {f"{task.data.filled(row)} {row.answers[0]}" for row in rows}
    examples = encoding(task).examples
    assert len(examples) == SHOTS
    assert set(examples) <= known
    assert examples != encoding(task, repetition=2).examples
    question = task.data.filled(task.data.splits["test"][3])
    shown = encoding(task).count("test", 3)
    assert encoding(task).prompt("test", 3) == "\n\n".join([*examples[:shown], question])


def test_what_stops_an_answer_ends_an_example(load: Load) -> None:
    task = make_task(load("llama"), LoRATuning(), stop=" ###")
    assert all(example.endswith((" bad ###", " good ###")) for example in encoding(task).examples)


def test_as_many_examples_are_shown_as_fit_beside_the_answer(load: Load) -> None:
    task = make_task(load("llama"), LoRATuning())
    many = task._shown(32, 0)
    for number in task.chosen("test", 0)[1]:
        count = many.count("test", number)
        assert 0 < count < 32
        question = task.data.filled(task.data.splits["test"][number])
        assert len(many._joined(question, count)[1]) <= task.model.longest - 1 - NEW_TOKENS
        assert len(many._joined(question, count + 1)[1]) > task.model.longest - 1 - NEW_TOKENS


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_generated_answers_to_whole_prompts_are_transformers_own(load: Load, family: str) -> None:
    task = make_task(load(family, "float64"), LoRATuning())
    (score,) = task.score([(Demonstrations(SHOTS), 1)], "test")
    judging = task._judging
    facts = [task.data.splits["test"][number] for number in task.chosen("test", 1)[1]]
    texts = [judging.batches.endings.text(torch.tensor(each)) for each in answers(task, "test")]
    hits = [judging.reward.judge(text, row) for text, row in zip(texts, facts, strict=True)]
    assert score[task.metric] == pytest.approx(sum(hits) / len(hits))


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_likelihoods_after_whole_prompts_are_the_models_own(load: Load, family: str) -> None:
    task = make_task(load(family, "float64"), LoRATuning(), reward="choice")
    (score,) = task.score([(Demonstrations(SHOTS), 1)], "test")
    tokenizer, losses, hits = task.model.tokenizer, [], []
    for number in task.chosen("test", 1)[1]:
        before = encoding(task)._joined(encoding(task).prompt("test", number), 0)[1]
        row, values = task.data.splits["test"][number], {}
        for choice in row.choices:
            after = tokenizer(f" {choice}", add_special_tokens=False)["input_ids"]
            with torch.no_grad():
                logits = task.model.model(torch.tensor([before + after])).logits[0, -len(after) - 1 : -1]
            log = logits.log_softmax(-1)[torch.arange(len(after)), after]
            values[choice] = float(log.mean())
        losses.append(-values[row.answers[0]])
        hits.append(max(values, key=lambda each: values[each]) == row.answers[0])
    assert score["loss"] == pytest.approx(sum(losses) / len(losses), rel=1e-9)
    assert score["accuracy"] == pytest.approx(sum(hits) / len(hits))


def test_scores_of_candidates_do_not_depend_on_examples_beside_them(load: Load) -> None:
    task = make_task(load("llama"), LoRATuning(), reward="choice")
    alone = task.score([(None, 0), (None, 1)], "dev")
    found = task.score([(None, 0), (Demonstrations(SHOTS), 0), (None, 1)], "dev")
    assert found[::2] == alone
    assert found[1]["loss"] != alone[0]["loss"]


def test_examples_are_counted_and_foreseen(load: Load) -> None:
    task = make_task(load("llama"), LoRATuning(), reward="choice")
    cost, plain = task.untuned_cost(Demonstrations(SHOTS), "test", 0), task.score_cost("test", 0)
    assert cost.sequences == plain.sequences
    assert cost.tokens > 1.5 * plain.tokens
    foreseen = (
        task.untuned_estimate(Demonstrations(SHOTS))["test"].tokens / task.estimate().scores["test"].tokens
    )
    assert foreseen == pytest.approx(cost.tokens / plain.tokens, rel=0.35)


def test_classes_and_features_are_no_way_of_answering_freely(load: Load) -> None:
    task = make_task(load("llama"), LoRATuning())
    for way in (Majority(), Probe()):
        assert task.misfit(way) == "it is answered in the model's own words, and not by classes"
    assert task.misfit(Demonstrations()) is None
    cramped = make_task(load("llama"), LoRATuning(), new_tokens=48)
    assert cramped.misfit(Demonstrations()) == (
        "no example fits beside a question into the 15 tokens that it may have"
    )

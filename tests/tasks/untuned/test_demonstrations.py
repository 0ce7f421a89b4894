"""Examples in the prompt: which, in what order, how many, and what the model makes of them."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from harness.core import Demonstrations, Probe
from tasks.datasets import Row, TextData
from tasks.reference.registered import sentiment, topic
from tasks.text_task import TextTask
from tasks.untuned.demonstrations import DemonstrationWay
from tests.tasks.untuned.conftest import Make

ROWS = [Row({"text": f"film {word}"}, label % 2) for label, word in enumerate("abcdefghijkl")]
DATA = TextData("toy", {"train": ROWS, "test": ROWS[:5]}, "{text} : it was", ("dull", "great"))


def prompts(task: TextTask, shots: int, split: Any = "test", repetition: int = 0) -> list[str]:
    """What the model is asked, decoded."""
    found = {}
    for places, rows in DemonstrationWay(task, shots).groups(split, repetition):
        for place, ids, length in zip(places, rows.ids, rows.lengths, strict=True):
            found[place] = task.model.tokenizer.decode(ids[:length], skip_special_tokens=False)
    return [found[place] for place in range(len(found))]


def test_an_example_is_the_filled_template_with_its_word(make: Make) -> None:
    task = make("gpt2", DATA, per_class=2)
    shown = DemonstrationWay(task, 32).shown(0)
    source, numbers = task.chosen("train", 0)
    rows = [task.data.splits[source][number] for number in numbers]
    assert sorted(shown) == sorted(
        f"{row.fields['text']} : it was {task.data.words[row.label]}" for row in rows
    )
    question = task.data.splits["test"][task.splits(0).test[0]].fields["text"]
    expected = f"<s> {' '.join(shown)} {question} : it was"  # its tokenizer leaves blank lines out
    assert prompts(task, 32)[0].replace(" ##", "") == expected


def test_a_masked_example_has_its_word_at_the_mask_and_only_the_question_a_mask(make: Make) -> None:
    rows = [Row({"text": f"a <mask> film {word}"}, label % 2) for label, word in enumerate("abcdefgh")]
    data = TextData("toy", {"train": rows, "test": rows}, "{text} . it was {mask} !", ("dull", "great"))
    for prompt in prompts(make("bert", data, per_class=2), 3):
        assert prompt.count("<mask>") == 1
        assert prompt.endswith("it was <mask>! </s>") or prompt.endswith("it was <mask> ! </s>")
        assert prompt.count("dull") + prompt.count("great") == 3


def test_classes_come_in_turn_in_an_order_of_the_repetitions_own(make: Make) -> None:
    task = make(None, topic(), per_class=3)
    order = {
        repetition: [text.rpartition(" ")[2] for text in DemonstrationWay(task, 12).shown(repetition)]
        for repetition in range(3)
    }
    for words in order.values():
        for turn in range(3):
            assert set(words[4 * turn : 4 * turn + 4]) == set(task.data.words)
    assert len({tuple(words) for words in order.values()}) > 1
    assert DemonstrationWay(task, 5).shown(1) == DemonstrationWay(task, 12).shown(1)[:5]


def test_only_training_rows_of_the_repetition_are_shown(make: Make) -> None:
    task = make(per_class=4)
    source, numbers = task.chosen("train", 2)
    train = {task.data.filled(task.data.splits[source][number]) for number in numbers}
    shown = {text.rpartition(" ")[0] for text in DemonstrationWay(task, 32).shown(2)}
    assert shown == train


def test_as_many_are_shown_as_fit(make: Make) -> None:
    task = make(per_class=16)
    way, longest = DemonstrationWay(task, 32), task.model.longest
    questions = way._texts("test", 0)
    counts = way._fitting(questions, 0)
    assert 0 < min(counts) <= max(counts) < 32
    for question, count in zip(questions, counts, strict=True):
        assert len(way._prompt(question, 0, count)) <= longest
        assert len(way._prompt(question, 0, count + 1)) > longest


def test_rows_are_cut_as_without_examples(make: Make) -> None:
    rows = [Row({"text": " ".join(["very"] * 30) + f" {word}"}, i % 2) for i, word in enumerate("abcdefgh")]
    data = TextData("toy", {"train": rows, "test": rows}, "{text} it was", ("dull", "great"), max_tokens=10)
    task = make("gpt2", data, per_class=2)
    way = DemonstrationWay(task, 2)
    # 10 tokens a row: the beginning, 7 words of text, and the template's two.
    assert way.shown(0)[0].split()[:-1] == ["very"] * 7 + ["it", "was"]
    ((_, found),) = way.groups("test", 0)
    assert set(found.lengths.tolist()) == {1 + 3 * 9 + 2}


def plain(task: TextTask, ids: torch.Tensor) -> torch.Tensor:
    """Logits of the words by transformers alone."""
    model = task.model.model
    if task.model.family == "encoder-decoder":
        start = torch.tensor([[model.config.decoder_start_token_id]])
        return model(ids[None], decoder_input_ids=start).logits[0, 0, task.words]
    logits = model(ids[None]).logits[0]
    mask = task.model.tokenizer.mask_token_id
    place = int((ids == mask).nonzero()) if task.model.family == "masked" else -1
    return logits[place, task.words]


@pytest.mark.parametrize("architecture", [None, "gpt2", "qwen2", "bert", "deberta-v2", "t5"])
def test_answers_are_those_of_transformers_to_the_whole_prompt(make: Make, architecture: str | None) -> None:
    task = make(architecture)
    way = DemonstrationWay(task, 6)
    found, expected = way.logits("test", 1), torch.zeros(12, 2, dtype=torch.float64)
    for places, rows in way.groups("test", 1):
        with torch.no_grad():
            for place, ids, length in zip(places, rows.ids, rows.lengths, strict=True):
                expected[place] = plain(task, ids[:length])
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    untouched = task.score([(None, 1)], "test")[0]["loss"]
    assert task.score([(Demonstrations(6), 1)], "test")[0]["loss"] != pytest.approx(untouched)


def test_every_token_of_every_prompt_is_counted(make: Make) -> None:
    task = make()
    cost = task.untuned_cost(Demonstrations(6), "test", 0)
    rows = [rows for _, rows in DemonstrationWay(task, 6).groups("test", 0)]
    assert cost.sequences == 12
    assert cost.tokens == sum(int(part.lengths.sum()) for part in rows)
    assert cost.tokens > 4 * task.untuned_cost(Probe(), "test", 0).tokens


def test_sentence_encoders_read_no_examples(make: Make) -> None:
    task = make("sentence-bert")
    assert task.misfit(Demonstrations()) == "sentence models read no examples"
    assert task.misfit(Probe()) is None


def test_a_model_without_room_for_an_example_is_a_misfit(make: Make) -> None:
    long = [Row({"text": " ".join(["long"] * 300)}, label) for label in (0, 1)] * 4
    data = TextData("long", {"train": long, "test": long}, "{text} it was", ("dull", "great"))
    reason = make("gpt2", data, per_class=2).misfit(Demonstrations())
    assert reason == "no example fits beside a question into the 512 tokens that the model takes"
    assert make(None, sentiment()).misfit(Demonstrations()) is None

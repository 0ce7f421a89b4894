"""The tiny models of Countdown read and write it, and their rewards move under an evolution strategy."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

import measure_countdown
from countdown_models import TAGS, extended_model, random_model, taught_model, tokenizer, vocabulary

from algorithms.evolution_strategies.openai_es import OpenAIES
from harness.core import Budget, Protocol, Request
from tasks.answers.rewards import JUDGES
from tasks.answers.task import AnswerTask
from tasks.countdown.registered import countdown
from tasks.language_model import LanguageModel
from tasks.objectives import reward
from tasks.reference.registered import reference, sentiment
from tasks.tuning.full import FullTuning


def test_prompts_and_answers_have_no_unknown_token_and_keep_their_numbers() -> None:
    encode = tokenizer()
    data = countdown(rows=20, reward="countdown-format")
    for row in data.splits["train"]:
        prompt = encode(data.filled(row))["input_ids"]
        assert encode.unk_token_id not in prompt
        assert f"[{row.fields['numbers']}]" in encode.decode(prompt)
        written = encode.decode(encode(row.answers[0])["input_ids"])
        assert JUDGES["countdown-format"].judge(written, row) == 1.0
    assert encode.convert_ids_to_tokens(encode("</think>\n<answer>12 3")["input_ids"]) == [
        *("</think>", "\n", "<answer>", "1", "2", " ", "3")
    ]
    assert len(set(vocabulary())) == len(encode)


def test_the_published_reward_of_a_random_model_moves_under_an_evolution_strategy(tmp_path: Path) -> None:
    random_model(tmp_path, seed=0)
    data = countdown(rows=40, reward="countdown-format", new_tokens=8, temperature=1.0)
    protocol = Protocol(minibatch=16, train_rows=40, dev_rows=10, test_rows=40)
    task = AnswerTask(data, LanguageModel(path=str(tmp_path)), FullTuning(), reward, protocol, "toy")
    search = OpenAIES(task.space, Budget(500), seed=0, population=20, sigma=0.5, lr=0.5, decay=0.0)
    for generation in range(25):
        asked = search.ask(20)
        search.tell(asked, task.evaluate([Request(asked, 0, generation)])[0].losses)
    untouched, tuned = (
        measure_countdown.MOST * task.score([(candidate, 0)], "test")[0]["shaped_reward"]
        for candidate in (None, search.best())
    )
    # A closed thought in every answer is worth .01; the untouched model closes few.
    assert untouched < 0.004
    assert tuned > 0.007


def test_lessons_teach_the_layout(tmp_path: Path) -> None:
    data = countdown(rows=30, numbers=(2,), largest=20, reward="countdown-format", new_tokens=10)
    losses = []
    for steps in (0, 25):
        model = taught_model(tmp_path, 0, data, steps)
        ids = torch.tensor(
            [tokenizer()(data.filled(data.splits["test"][0]) + "</think>\n<answer>")["input_ids"]]
        )
        with torch.no_grad():
            logits = model(input_ids=ids).logits[0, -3].log_softmax(-1)
        losses.append(-float(logits[vocabulary().index("\n")]))
    assert losses[0] > 3.0 > 1.5 > losses[1]


def test_the_table_has_means_and_ranges_over_the_models() -> None:
    rows = [
        {"start": name, "seed": seed, "algorithm": algorithm, "reward": 0.1 * seed, "layout": seed / 2,
         "accuracy": 0.0, "seconds": 2.0}
        for name, start in measure_countdown.STARTS.items()
        for algorithm in (measure_countdown.UNTUNED, *start.algorithms)
        for seed in (0, 1, 2)
    ]  # fmt: skip
    lines = measure_countdown.table(pd.DataFrame(rows)).splitlines()
    assert lines[2] == "| random | untouched | 0.1000 | 0.500 | 0.000 | 0.0000 to 0.2000 | 2 |"
    assert len(lines) == 2 + sum(1 + len(start.algorithms) for start in measure_countdown.STARTS.values())


def test_the_reference_model_cannot_write_a_number_nor_a_tag() -> None:
    found = measure_countdown.reachable()
    assert found["with a digit"] == found["with an angle bracket"] == 0
    assert found["its reward"] == 0.0


def test_the_extended_reference_model_keeps_its_rows_and_has_a_token_for_each_tag_and_digit(
    tmp_path: Path,
) -> None:
    extended_model(tmp_path, seed=0)
    old, encode = reference(), AutoTokenizer.from_pretrained(tmp_path)
    count = len(old.tokenizer)
    weights = AutoModelForCausalLM.from_pretrained(tmp_path).state_dict()
    for name, before in AutoModelForCausalLM.from_pretrained(old.path).state_dict().items():
        assert torch.equal(weights[name][: len(before)], before), name
    assert len(weights["model.embed_tokens.weight"]) == len(encode) > count
    assert encode.get_vocab().items() >= old.tokenizer.get_vocab().items()
    for token in (*TAGS, *"0123456789+-*/()[]", "\n"):
        assert len(encode(token, add_special_tokens=False)["input_ids"]) == 1, token
        assert encode.convert_tokens_to_ids(token) >= count, token
    text = sentiment().splits["train"][0].fields["text"]
    assert encode(text)["input_ids"] == old.tokenizer(text)["input_ids"]
    data = countdown(rows=5, reward="countdown-format")
    for row in data.splits["train"]:
        assert encode.unk_token_id not in encode(data.filled(row))["input_ids"]
        written = encode.decode(encode(row.answers[0])["input_ids"], skip_special_tokens=True)
        assert JUDGES["countdown-format"].judge(written, row) == 1.0
    assert (encode.bos_token_id, encode.eos_token_id, encode.pad_token_id) == (2, 3, 0)

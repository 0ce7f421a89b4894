"""Generation by a whole population equals transformers' own, one row and one candidate at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from harness.core import Gaussian, LowRank, Perturbations, Points, Population, Protocol, Request
from tasks.answers.data import AnswerData, AnswerRow
from tasks.answers.generation import BROKEN, NOTHING, Endings, choose
from tasks.answers.kept import Kept
from tasks.answers.task import AnswerTask
from tasks.batching import Member
from tasks.chunks import Sizes
from tasks.language_model import LanguageModel
from tasks.objectives import cross_entropy, reward
from tasks.reference.registered import sentiment
from tasks.tuning.base import Tuning, parameters_of
from tasks.tuning.full import FullTuning
from tasks.tuning.lora import LoRATuning
from tasks.tuning.prompt import PromptTuning
from tests.tasks.plain import merged

Load = Callable[..., LanguageModel]
TUNINGS: dict[str, Callable[[], Tuning]] = {
    "prompt": lambda: PromptTuning(tokens=3),
    "lora": lambda: LoRATuning(rank=2),
    "full": FullTuning,
}
NEW_TOKENS = 6


def reviews(**options: Any) -> AnswerData:
    """Sentiment as questions: rows of unequal length, answered in one word."""
    rows = {
        split: [
            AnswerRow({"text": row.fields["text"]}, (("bad", "good")[row.label],), ("bad", "good"))
            for row in rows[:60]
        ]
        for split, rows in sentiment().splits.items()
    }
    options = {"reward": "exact-match", "new_tokens": NEW_TOKENS, **options}
    return AnswerData("reviews", rows, "{text} . it was", **options)


def make_task(model: LanguageModel, tuning: Tuning, minibatch: int = 6, **options: Any) -> AnswerTask:
    objective = options.pop("objective", reward)
    protocol = Protocol(minibatch=minibatch, test_rows=20)
    return AnswerTask(reviews(**options), model, tuning, objective, protocol, "toy")


def population(task: AnswerTask, kind: str, members: int = 5, seed: int = 0) -> Population:
    if kind == "points":
        generator = torch.Generator().manual_seed(seed)
        return Points(torch.randn(members, task.space.size, generator=generator))
    law = {"gaussian": Gaussian, "low-rank": LowRank}[kind](task.space, seed, 3)
    signs = torch.tensor([1, -1, 0, 1, 1], dtype=torch.int8)[:members]
    start = {name: value.clone() for name, value in task.space.start().items()}
    return Perturbations(start, law, 0.7, torch.tensor([4, 4, 0, 9, 2])[:members], signs)


def generated(task: AnswerTask, asked: Population) -> Tensor:
    """What the task's own batches generate, [n, R, N]."""
    rows = task.minibatch(0, 1)
    return torch.stack(task.measure.batches.run([Member(asked, i, rows) for i in range(len(asked))]))


def plainly_generated(task: AnswerTask, asked: Population) -> list[list[list[int]]]:
    parameters = parameters_of(asked, task.space)
    rows = task.minibatch(0, 1)
    found = []
    for i in range(len(asked)):
        model, prompt = merged(task, {name: value[i] for name, value in parameters.items()})  # type: ignore[arg-type]
        answers = []
        for ids, length in zip(rows.ids, rows.lengths, strict=True):
            embedded = model.get_input_embeddings()(ids[:length])
            if prompt is not None:
                embedded = torch.cat([prompt, embedded])
            tokens = model.generate(
                inputs_embeds=embedded[None],
                attention_mask=torch.ones(1, len(embedded), dtype=torch.long),
                max_new_tokens=NEW_TOKENS,
                do_sample=False,
                eos_token_id=task.model.tokenizer.eos_token_id,
                pad_token_id=0,
            )
            answers.append(tokens[0].tolist())
        found.append(answers)
    return found


@pytest.mark.parametrize("family", ["llama", "gpt2", "opt"])
@pytest.mark.parametrize("tuning", TUNINGS)
@pytest.mark.parametrize("kind", ["points", "gaussian", "low-rank"])
def test_greedy_answers_equal_those_of_transformers_alone(
    load: Load, family: str, tuning: str, kind: str
) -> None:
    task = make_task(load(family, "float64"), TUNINGS[tuning]())
    asked = population(task, kind, members=4)
    ours = [[row[row != NOTHING].tolist() for row in member] for member in generated(task, asked)]
    assert len(set(task.minibatch(0, 1).lengths.tolist())) > 2, "rows of one length show nothing of padding"
    assert ours == plainly_generated(task, asked)
    assert len({str(member) for member in ours}) > 1, "members that do not differ show nothing"


@pytest.mark.parametrize(("minibatch", "temperature"), [(1, 0.0), (6, 0.0), (6, 1.0)])
@pytest.mark.parametrize("tuning", TUNINGS)
@pytest.mark.parametrize("kind", ["points", "low-rank"])
def test_answers_and_losses_are_equal_whatever_the_chunking_order_and_neighbours(
    load: Load, monkeypatch: pytest.MonkeyPatch, tuning: str, kind: str, minibatch: int, temperature: float
) -> None:
    task = make_task(load("llama"), TUNINGS[tuning](), minibatch, temperature=temperature, reward="token-f1")
    mine = Request(population(task, kind), 0, 1)
    others = [Request(population(task, "points", n, seed=n), n % 3, n) for n in (1, 2, 4)]
    alone, answers = task.evaluate([mine])[0].losses, generated(task, mine.population)
    for chunk in (1, 3, 1000):
        monkeypatch.setattr(Sizes, "choose", lambda sizes, most, left, n=chunk: max(sizes.fewest, n))
        assert torch.equal(generated(task, mine.population), answers)
        for company in ([mine, *others], [others[1], mine, others[0]]):
            assert torch.equal(task.evaluate(company)[company.index(mine)].losses, alone)


@pytest.mark.parametrize("minibatch", [1, 6])
@pytest.mark.parametrize("tuning", TUNINGS)
@pytest.mark.parametrize("kind", ["points", "low-rank"])
@pytest.mark.parametrize("reward_name", ["exact-match", "choice"])
def test_likelihoods_are_bit_equal_in_any_company(
    load: Load, monkeypatch: pytest.MonkeyPatch, tuning: str, kind: str, minibatch: int, reward_name: str
) -> None:
    task = make_task(load("llama"), TUNINGS[tuning](), minibatch, objective=cross_entropy, reward=reward_name)
    mine = Request(population(task, kind), 0, 1)
    others = [Request(population(task, "points", n, seed=n), n % 3, n) for n in (1, 2, 4)]
    alone = task.evaluate([mine])[0].losses
    for chunk in (1, 3, 1000):
        monkeypatch.setattr(Sizes, "choose", lambda sizes, most, left, n=chunk: max(sizes.fewest, n))
        for company in ([mine, *others], [others[1], mine, others[0]]):
            assert torch.equal(task.evaluate(company)[company.index(mine)].losses, alone)


@pytest.mark.parametrize("tuning", TUNINGS)
def test_members_that_have_answered_leave_and_nobody_notices(
    load: Load, monkeypatch: pytest.MonkeyPatch, tuning: str
) -> None:
    task = make_task(load("llama"), TUNINGS[tuning](), minibatch=2, stop="l", new_tokens=30)
    asked = population(task, "points", 12)
    monkeypatch.setattr(Sizes, "choose", lambda sizes, most, left: 1000)
    sizes: list[int] = []
    real = Kept.only
    monkeypatch.setattr(Kept, "only", lambda kept, index: sizes.append(len(index)) or real(kept, index))
    endings = task.measure.batches.endings  # type: ignore[attr-defined]
    short = [[endings.text(row) for row in member] for member in generated(task, asked)]
    assert sizes, "no member left"
    monkeypatch.setattr(Endings, "reached", lambda self, answers: torch.zeros(len(answers), dtype=torch.bool))
    whole = generated(task, asked)
    assert (whole != NOTHING).all()
    assert [[endings.text(row) for row in member] for member in whole] == short


def test_an_answer_ends_at_the_stop_text_even_within_a_token_and_at_the_end_token(load: Load) -> None:
    tokenizer = load("llama").tokenizer
    ids = [tokenizer.convert_tokens_to_ids(word) for word in ("fresh", "film", "about")]
    endings = Endings(tokenizer, {tokenizer.eos_token_id}, "m a")
    assert endings.reached(torch.tensor([ids, [*ids[:2], 3], [*ids[:2], ids[0]]])).tolist() == [
        True,
        True,
        False,
    ]
    assert endings.text(torch.tensor([*ids, NOTHING])) == tokenizer.decode(ids).split("m a")[0]


def test_sampling_follows_the_probabilities_and_its_draws_depend_on_row_and_position_only(load: Load) -> None:
    draws = torch.rand(20_000, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    logits = torch.tensor([[0.0, 1.0, 2.0]]).expand(len(draws), -1)
    shares = choose(logits, 2.0, draws).bincount() / len(draws)
    torch.testing.assert_close(shares, (logits[0] / 2).softmax(-1), atol=0.01, rtol=0)
    task = make_task(load("llama"), PromptTuning(tokens=3), temperature=1.0)
    encoding = task.encoding
    both, one = encoding.questions("train", [3, 8], "a"), encoding.questions("train", [8], "a")
    assert both.draws is not None
    assert one.draws is not None
    assert torch.equal(both.draws[1], one.draws[0])
    assert not torch.equal(both.draws[0], both.draws[1])
    assert not torch.equal(encoding.questions("train", [8], "b").draws, one.draws)  # type: ignore[arg-type]
    asked = task.space.start()["prompt"].flatten().expand(2, -1)
    first, second = generated(task, Points(asked))
    assert torch.equal(first, second), "equal members answer alike"
    cold = generated(make_task(load("llama"), PromptTuning(tokens=3)), Points(asked))
    assert not torch.equal(first, cold[0])


def test_a_member_with_nan_logits_has_a_nan_loss_and_spares_the_others(load: Load) -> None:
    task = make_task(load("llama"), PromptTuning(tokens=3))
    values = population(task, "points", 3)
    assert isinstance(values, Points)
    broken = values.values.clone()
    broken[1, 0] = float("nan")
    losses = task.evaluate([Request(Points(broken), 0, 1)])[0].losses
    assert losses.isnan().tolist() == [False, True, False]
    assert (generated(task, Points(broken))[1] == BROKEN).any()

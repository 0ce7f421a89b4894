"""The batched forward equals plain evaluation, and does not depend on company."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch

from harness.core import (
    Gaussian,
    Gradients,
    LowRank,
    Perturbations,
    Points,
    Population,
    Protocol,
    Rademacher,
    Request,
    counter,
)
from tasks import batching
from tasks.chunks import Sizes
from tasks.datasets import TextData
from tasks.language_model import LanguageModel
from tasks.objectives import cross_entropy
from tasks.reference.registered import sentiment
from tasks.text_task import TextTask
from tasks.tuning.base import Tuning, parameters_of
from tasks.tuning.full import FullTuning
from tasks.tuning.lora import LoRATuning
from tasks.tuning.prompt import PromptTuning
from tests.tasks.plain import plain_losses

Load = Callable[..., LanguageModel]
TUNINGS: dict[str, Callable[[], Tuning]] = {
    "prompt": lambda: PromptTuning(tokens=3),
    "projected prompt": lambda: PromptTuning(tokens=3, subspace=7),
    "lora": lambda: LoRATuning(rank=2, alpha=3.0),
    "lora everywhere": lambda: LoRATuning(rank=1, matrices=("all",)),
    "projected lora": lambda: LoRATuning(rank=2, subspace=9),
    "full": FullTuning,
    "projected full": lambda: FullTuning(subspace=6),
}
POPULATIONS = ("points", "gaussian", "rademacher", "low-rank", "sigma per block", "sigma per entry")
TOLERANCE = {"float64": 1e-9, "float32": 1e-5}


@cache
def few_reviews(template: str | None = None) -> TextData:
    whole = sentiment()
    few = {split: rows[:80] for split, rows in whole.splits.items()}
    return TextData(whole.name, few, template or whole.template, whole.words)


def make_task(
    model: LanguageModel, tuning: Tuning, minibatch: int = 6, template: str | None = None
) -> TextTask:
    data = few_reviews() if template is None else few_reviews(template)
    return TextTask(data, model, tuning, cross_entropy, Protocol(minibatch=minibatch), "toy")


def population(task: TextTask, kind: str, members: int = 5, seed: int = 0) -> Population:
    space = task.space
    if kind == "points":
        generator = torch.Generator().manual_seed(seed)
        return Points(torch.randn(members, space.size, generator=generator))
    law = {"rademacher": Rademacher, "low-rank": LowRank}.get(kind, Gaussian)
    sigma = {
        "sigma per block": {b.name: 0.1 + 0.01 * i for i, b in enumerate(space.blocks)},
        "sigma per entry": {b.name: torch.linspace(0.1, 0.9, b.size).reshape(b.shape) for b in space.blocks},
    }.get(kind, 0.7)
    center = {name: value.clone() for name, value in space.start().items()}
    signs = torch.tensor([1, -1, 0, 1, 1], dtype=torch.int8)[:members]
    return Perturbations(center, law(space, seed, 3), sigma, torch.tensor([4, 4, 0, 9, 2])[:members], signs)


@pytest.mark.parametrize("family", ["llama", "gpt2", "opt"])
@pytest.mark.parametrize("tuning", TUNINGS)
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_points_equal_plain_evaluation_with_merged_weights(
    load: Load, family: str, tuning: str, dtype: str
) -> None:
    task = make_task(load(family, dtype), TUNINGS[tuning]())
    points = population(task, "points")
    ours = task.evaluate([Request(points, 0, 2)])[0].losses
    plain = plain_losses(task, parameters_of(points, task.space), 0, 2)
    torch.testing.assert_close(ours, plain, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])
    assert ours.std() > 10 * TOLERANCE[dtype], "candidates that do not differ show nothing"


@pytest.mark.parametrize(
    ("family", "tuning"),
    [
        *itertools.product(["llama"], ["prompt", "lora", "full", "projected full"]),
        *itertools.product(["gpt2"], ["lora", "full"]),
        ("opt", "full"),
        *itertools.product(["granite"], ["prompt", "full"]),
    ],
)
@pytest.mark.parametrize("kind", POPULATIONS[1:])
def test_perturbations_equal_plain_evaluation_with_merged_weights(
    load: Load, family: str, tuning: str, kind: str
) -> None:
    task = make_task(load(family, "float64"), TUNINGS[tuning]())
    perturbed = population(task, kind)
    ours = task.evaluate([Request(perturbed, 1, 0)])[0].losses
    plain = plain_losses(task, parameters_of(perturbed, task.space), 1, 0)
    torch.testing.assert_close(ours, plain, rtol=1e-9, atol=1e-9)
    assert ours.std() > 1e-7


@pytest.mark.parametrize("tuning", ["prompt", "projected prompt", "lora", "full"])
@pytest.mark.parametrize("kind", POPULATIONS[1:])
def test_perturbations_drawn_as_on_an_accelerator_equal_plain_evaluation(
    load: Load, monkeypatch: pytest.MonkeyPatch, tuning: str, kind: str
) -> None:
    monkeypatch.setattr(counter, "serves", lambda device: True)
    task = make_task(load("llama", "float64"), TUNINGS[tuning]())
    perturbed = population(task, kind)
    ours = task.evaluate([Request(perturbed, 1, 0)])[0].losses
    plain = plain_losses(task, parameters_of(perturbed, task.space), 1, 0)
    torch.testing.assert_close(ours, plain, rtol=1e-9, atol=1e-9)
    monkeypatch.undo()
    elsewhere = task.evaluate([Request(population(task, kind), 1, 0)])[0].losses
    assert not torch.allclose(ours, elsewhere), "other draws than those of generators"


@pytest.mark.parametrize("kind", ["gaussian", "low-rank"])
def test_full_perturbations_in_float32_equal_plain_evaluation(load: Load, kind: str) -> None:
    task = make_task(load("llama"), FullTuning())
    perturbed = population(task, kind)
    ours = task.evaluate([Request(perturbed, 1, 0)])[0].losses
    plain = plain_losses(task, parameters_of(perturbed, task.space), 1, 0)
    torch.testing.assert_close(ours, plain, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("minibatch", [1, 6, 16])
@pytest.mark.parametrize("tuning", ["prompt", "projected prompt", "lora", "full", "projected full"])
@pytest.mark.parametrize("kind", ["points", "gaussian", "low-rank"])
def test_losses_are_bit_equal_whatever_the_chunking_order_and_neighbours(
    load: Load, monkeypatch: pytest.MonkeyPatch, tuning: str, kind: str, minibatch: int
) -> None:
    task = make_task(load("llama"), TUNINGS[tuning](), minibatch)
    mine = Request(population(task, kind), 0, 1)
    others = [Request(population(task, "points", n, seed=n), n % 3, n) for n in (1, 2, 4)]
    alone = task.evaluate([mine])[0].losses
    assert not alone.isnan().any()
    for chunk in (1, 3, 1000):
        monkeypatch.setattr(Sizes, "choose", lambda sizes, most, left, n=chunk: max(sizes.fewest, n))
        for company in ([mine, *others], [*others, mine], [others[1], mine, others[0]]):
            answers = task.evaluate(company)
            assert torch.equal(answers[company.index(mine)].losses, alone), (chunk, len(company))


@pytest.mark.parametrize("kind", ["points", "gaussian", "low-rank"])
@pytest.mark.parametrize("tuning", ["prompt", "lora", "full"])
def test_a_member_has_the_same_loss_in_any_part_of_its_population(load: Load, tuning: str, kind: str) -> None:
    task = make_task(load("llama"), TUNINGS[tuning]())
    whole = population(task, kind)
    losses = task.evaluate([Request(whole, 0, 1)])[0].losses
    for part in (slice(0, 1), slice(1, 3), slice(4, 5)):
        assert torch.equal(task.evaluate([Request(whole[part], 0, 1)])[0].losses, losses[part])


@pytest.mark.parametrize("tuning", TUNINGS)
def test_gradients_equal_central_differences_of_the_losses(load: Load, tuning: str) -> None:
    # GPT-2: Llama's normalisation rounds to float32, which drowns a small difference.
    task = make_task(load("gpt2", "float64"), TUNINGS[tuning]())
    generator = torch.Generator().manual_seed(1)
    at = torch.randn(1, task.space.size, generator=generator, dtype=torch.float64)
    along = torch.randn(1, task.space.size, generator=generator, dtype=torch.float64)
    answer = task.evaluate([Request(Gradients(at), 0, 0)])[0]
    assert answer.gradients is not None
    ends = Points(torch.cat([at + 1e-5 * along, at - 1e-5 * along]))
    plus, minus = task.evaluate([Request(ends, 0, 0)])[0].losses
    torch.testing.assert_close((answer.gradients * along).sum(), (plus - minus) / 2e-5, rtol=1e-5, atol=1e-8)


def test_the_model_is_as_before_after_an_evaluation_even_one_that_fails(load: Load) -> None:
    task = make_task(load("llama"), FullTuning())
    before = task.score([(None, 0)], "dev")
    broken = Points(torch.zeros(2, task.space.size + 1))
    with pytest.raises(RuntimeError):
        task.evaluate([Request(broken, 0, 0)])
    task.evaluate([Request(population(task, "gaussian"), 0, 0)])
    assert all("forward" not in vars(module) for module in task.model.model.modules())
    assert task.score([(None, 0)], "dev") == before


@pytest.mark.parametrize("tuning", TUNINGS)
def test_scoring_agrees_with_evaluation_on_the_same_rows(load: Load, tuning: str) -> None:
    task = make_task(load("llama"), TUNINGS[tuning](), minibatch=32)
    points = population(task, "points", 2)
    losses = task.evaluate([Request(points, 0, 0)])[0].losses  # 32 rows: the whole train split
    scored = task.score([(points[0:1], 0), (points[1:2], 0), (None, 0)], "train")
    assert [s["loss"] for s in scored[:2]] == pytest.approx(losses.tolist(), rel=1e-5)


LONG_TEMPLATE = "this is what people say about a film they saw today : {text} it was"


@pytest.mark.parametrize("family", ["llama", "gpt2", "opt", "granite"])
@pytest.mark.parametrize("tuning", ["long prompt", "lora", "full"])
@pytest.mark.parametrize("kind", ["points", "gaussian", "low-rank"])
def test_what_rows_have_in_common_is_computed_once_with_the_same_result(
    load: Load, monkeypatch: pytest.MonkeyPatch, family: str, tuning: str, kind: str
) -> None:
    make = {"long prompt": lambda: PromptTuning(tokens=20), **TUNINGS}[tuning]
    task = make_task(load(family, "float64"), make(), template=LONG_TEMPLATE)
    asked = [Request(population(task, kind), 0, 1)]
    once, widths = task.evaluate(asked)[0].losses, []
    real = task.model.model.forward
    monkeypatch.setattr(
        task.model.model, "forward", lambda **inputs: widths.append(_width(inputs)) or real(**inputs)
    )
    assert torch.equal(task.evaluate(asked)[0].losses, once)
    assert 0 < max(widths) <= task.minibatch(0, 1).ids.shape[1] - 8
    monkeypatch.setattr(batching, "WORTHWHILE", 2.0)
    torch.testing.assert_close(task.evaluate(asked)[0].losses, once, rtol=1e-9, atol=1e-9)
    assert max(widths) >= task.minibatch(0, 1).ids.shape[1]
    assert once.std() > 1e-7


def _width(inputs: dict[str, Any]) -> int:
    return int(inputs["input_ids" if "input_ids" in inputs else "inputs_embeds"].shape[1])


@pytest.mark.parametrize("tuning", ["prompt", "lora", "full"])
def test_losses_are_bit_equal_in_any_company_where_the_start_is_computed_once(
    load: Load, monkeypatch: pytest.MonkeyPatch, tuning: str
) -> None:
    task = make_task(load("llama"), TUNINGS[tuning](), template=LONG_TEMPLATE)
    mine = Request(population(task, "low-rank"), 0, 1)
    others = [Request(population(task, "points", n, seed=n), n % 3, n) for n in (1, 2, 4)]
    alone = task.evaluate([mine])[0].losses
    for chunk in (1, 3, 1000):
        monkeypatch.setattr(Sizes, "choose", lambda sizes, most, left, n=chunk: max(sizes.fewest, n))
        for company in ([mine, *others], [others[1], mine, others[0]]):
            assert torch.equal(task.evaluate(company)[company.index(mine)].losses, alone)


def test_short_rows_are_not_padded_to_the_longest_of_the_data_set(load: Load) -> None:
    task = make_task(load("llama"), LoRATuning())
    widths = {task.minibatch(0, generation).ids.shape[1] for generation in range(20)}
    longest = task.encoded["train"].ids.shape[1]
    assert all(width % 8 == 0 and width <= longest for width in widths)
    short = task.encoded["train"].lengths <= 8
    assert task.encoded["train"][short.nonzero().flatten()].trimmed().ids.shape[1] == 8


def test_out_of_memory_halves_the_chunk_and_loses_nothing(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = make_task(load("llama"), LoRATuning())
    points = population(task, "points", 9)
    expected = task.evaluate([Request(points, 0, 0)])[0].losses
    real, sizes = batching.answer_logits, []

    def small_memory(model, words, rows, weights, *rest):  # type: ignore[no-untyped-def]
        sizes.append(weights.members)
        if weights.members > 4:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")
        return real(model, words, rows, weights, *rest)

    monkeypatch.setattr(batching, "answer_logits", small_memory)
    monkeypatch.setattr(batching, "first_guess", lambda *_: 100)
    task = make_task(task.model, LoRATuning())
    assert torch.equal(task.evaluate([Request(points, 0, 0)])[0].losses, expected)
    assert sizes == [9, 4, 4, 2], "halved once, kept, and a single member filled up to two"
    sizes.clear()
    for generation in range(20):
        task.evaluate([Request(points, 0, generation)])
    assert max(sizes) <= 4, "what did not fit is remembered"


@pytest.mark.parametrize("tuning", ["prompt", "projected prompt", "lora", "full", "projected full"])
def test_scores_are_bit_equal_alone_in_company_and_in_any_chunking(
    load: Load, monkeypatch: pytest.MonkeyPatch, tuning: str
) -> None:
    task = make_task(load("llama"), TUNINGS[tuning]())
    points = population(task, "points", 4)
    candidates = [(points[i : i + 1], 0) for i in range(4)]
    alone = [task.score([candidate], "dev")[0] for candidate in candidates]
    for chunk in (1, 3, 1000):
        monkeypatch.setattr(Sizes, "choose", lambda sizes, most, left, n=chunk: max(sizes.fewest, n))
        assert task.score([*candidates, (None, 0)], "dev")[:4] == alone
        assert task.score(candidates[::-1], "dev") == alone[::-1]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("tuning", ["prompt", "lora", "full"])
def test_bits_do_not_depend_on_company_with_one_thread_or_two(load: Load, tuning: str, threads: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        task = make_task(load("llama"), TUNINGS[tuning](), minibatch=16)
        whole = population(task, "low-rank")
        losses = task.evaluate([Request(whole, 0, 1)])[0].losses
        for part in (slice(0, 1), slice(1, 3), slice(2, 5)):
            assert torch.equal(task.evaluate([Request(whole[part], 0, 1)])[0].losses, losses[part])
    finally:
        torch.set_num_threads(before)


def test_a_tuning_that_does_not_pack_is_scored_by_its_own_view(load: Load) -> None:
    class Alone(PromptTuning):
        packs = False

    model = load("llama")
    packed, alone = (make_task(model, tuning(tokens=3)) for tuning in (PromptTuning, Alone))
    candidate = population(packed, "points", 1)
    expected = packed.score([(candidate, 0)], "dev")[0]
    assert alone.score([(candidate, 0)], "dev")[0]["loss"] == pytest.approx(expected["loss"], rel=1e-5)
    assert expected["loss"] != packed.score([(None, 0)], "dev")[0]["loss"]


@pytest.mark.parametrize("kind", ["points", "gaussian"])
def test_a_model_that_a_population_cannot_pass_through_is_evaluated_one_candidate_at_a_time(
    load: Load, kind: str
) -> None:
    task = make_task(load("mixtral"), FullTuning())
    asked = population(task, kind, members=3)
    ours = task.evaluate([Request(asked, 0, 0)])[0].losses
    plain = plain_losses(task, parameters_of(asked, task.space), 0, 0)
    torch.testing.assert_close(ours, plain, rtol=1e-5, atol=1e-5)
    assert list(task.model.tried.values()) == [False]


def test_a_gradient_costs_the_tokens_of_one_forward_and_the_operations_of_three(load: Load) -> None:
    task = make_task(load("llama"), LoRATuning())
    zeros = torch.zeros(1, task.space.size)
    plain = task.evaluate([Request(Points(zeros), 0, 0)])[0].cost
    gradient = task.evaluate([Request(Gradients(zeros), 0, 0)])[0].cost
    assert gradient.tokens == plain.tokens
    assert gradient.flops == pytest.approx(3 * plain.flops)


def test_in_bfloat16_losses_stay_close_to_those_in_float32(load: Load) -> None:
    exact, rounded = (make_task(load("llama", dtype), LoRATuning()) for dtype in ("float32", "bfloat16"))
    points = population(exact, "points")
    losses = [task.evaluate([Request(points, 0, 0)])[0].losses for task in (exact, rounded)]
    assert (losses[0] - losses[1]).abs().max() < 0.05
    full = make_task(load("llama", "bfloat16"), FullTuning())
    for kind in ("points", "gaussian", "low-rank"):
        assert not full.evaluate([Request(population(full, kind), 0, 0)])[0].losses.isnan().any()

"""Every family's batched forward equals plain transformers calls, one candidate at a time."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
import transformers
from tokenizers import AddedToken, Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import ByteLevel
from torch import Tensor

from harness.core import Gradients, Points, Protocol, Request, UserError
from tasks import forward
from tasks.chunks import Sizes
from tasks.datasets import Row, TextData, Wording
from tasks.encoding import Encoded
from tasks.families import alone
from tasks.families.detect import FAMILIES, all_shipped
from tasks.families.tiny import LONGEST
from tasks.language_model import LanguageModel
from tasks.objectives import cross_entropy
from tasks.reference.registered import sentiment
from tasks.text_task import TextTask
from tasks.tuning.base import Tuning, parameters_of
from tasks.tuning.full import FullTuning
from tasks.tuning.lora import LoRATuning
from tasks.tuning.prompt import PromptTuning
from tests.tasks.plain import merged
from tests.tasks.test_forward import make_task, population

Tiny = Callable[..., LanguageModel]
AROUND = ("bert", "roberta", "deberta-v2", "electra", "t5", "sentence-bert")
BEFORE = ("gpt2", "opt", "llama", "qwen2", "qwen3", "mistral", "gpt_neox")
TUNINGS: dict[str, Callable[[], Tuning]] = {
    "prompt": lambda: PromptTuning(tokens=3),
    "lora": lambda: LoRATuning(rank=2, alpha=3.0),
    "lora everywhere": lambda: LoRATuning(rank=1, matrices=("all",)),
    "full": FullTuning,
}


@pytest.fixture(scope="session")
def tiny(folders: Callable[[str], Path]) -> Tiny:
    """(architecture, dtype) -> a tiny model, loaded once."""
    loaded: dict[tuple[str, str], LanguageModel] = {}

    def load(architecture: str, dtype: str = "float64") -> LanguageModel:
        key = architecture, dtype
        if key not in loaded:
            loaded[key] = LanguageModel(path=str(folders(architecture)), dtype=dtype)
        return loaded[key]

    return load


def plain_losses(task: TextTask, parameters: Mapping[str, Tensor], rows: Encoded) -> Tensor:
    """Losses of candidates [n, *shape], each a copy of the model that transformers runs a row at a time."""
    losses = []
    for i in range(len(next(iter(parameters.values())))):
        model, prompt = merged(task, {name: value[i] for name, value in parameters.items()})
        with torch.no_grad():
            scores = [
                SCORES[task.model.family](task, model, ids[:n], prompt)
                for ids, n in zip(rows.ids, rows.lengths, strict=True)
            ]
        losses.append(torch.nn.functional.cross_entropy(torch.stack(scores).double(), rows.labels))
    return torch.stack(losses)


def _embedded(model: Any, ids: Tensor, prompt: Tensor | None) -> dict[str, Tensor]:
    if prompt is None:
        return {"input_ids": ids[None]}
    return {"inputs_embeds": torch.cat([prompt, model.get_input_embeddings()(ids)])[None]}


def _causal(task: TextTask, model: Any, ids: Tensor, prompt: Tensor | None) -> Tensor:
    return model(**_embedded(model, ids, prompt)).logits[0, -1, task.words]


def _masked(task: TextTask, model: Any, ids: Tensor, prompt: Tensor | None) -> Tensor:
    (place,) = (ids == task.model.tokenizer.mask_token_id).nonzero()[:, 0].tolist()
    place += 0 if prompt is None else len(prompt)
    return model(**_embedded(model, ids, prompt)).logits[0, place, task.words]


def _decoded(task: TextTask, model: Any, ids: Tensor, prompt: Tensor | None) -> Tensor:
    start = torch.tensor([[model.config.decoder_start_token_id]])
    return model(**_embedded(model, ids, prompt), decoder_input_ids=start).logits[0, 0, task.words]


def _sentence(task: TextTask, model: Any, ids: Tensor, prompt: Tensor | None) -> Tensor:
    untouched, tokenizer = task.model.model, task.model.tokenizer
    before = 0 if prompt is None else len(prompt)
    text = model(**_embedded(model, ids, prompt)).last_hidden_state[0, before:].mean(0)
    labels = [
        untouched(**tokenizer(word, return_tensors="pt")).last_hidden_state[0].mean(0)
        for word in task.data.words
    ]
    return 20 * torch.cosine_similarity(text[None], torch.stack(labels))


SCORES = {"causal": _causal, "masked": _masked, "encoder-decoder": _decoded, "sentence": _sentence}
KINDS = {
    "prompt": ("points",),
    "lora": ("points", "low-rank"),
    "lora everywhere": ("points",),
    "full": ("points", "gaussian", "low-rank"),
}
CASES = [
    *((name, tuning, kind) for name in AROUND for tuning, kinds in KINDS.items() for kind in kinds),
    *((name, "full", kind) for name in BEFORE for kind in ("gaussian", "low-rank")),
    *((name, "lora", "points") for name in BEFORE),
    *((name, "prompt", "points") for name in ("qwen3", "gpt_neox")),
]


@pytest.mark.parametrize(("architecture", "tuning", "kind"), CASES)
def test_losses_equal_those_of_transformers_for_one_candidate_at_a_time(
    tiny: Tiny, architecture: str, tuning: str, kind: str
) -> None:
    task = make_task(tiny(architecture), TUNINGS[tuning](), minibatch=4)
    asked = population(task, kind, members=3)
    ours = task.evaluate([Request(asked, 0, 2)])[0].losses
    plain = plain_losses(task, parameters_of(asked, task.space), task.minibatch(0, 2))
    torch.testing.assert_close(ours, plain, rtol=1e-9, atol=1e-9)
    assert ours.std() > 1e-6, "candidates that do not differ show nothing"
    assert not task.model.tried, "the tested architectures are taken at their word"


@pytest.mark.parametrize("architecture", AROUND)
@pytest.mark.parametrize(
    ("tuning", "kind"), [("prompt", "points"), ("lora", "points"), ("full", "low-rank"), ("full", "gaussian")]
)
@pytest.mark.parametrize("minibatch", [1, 5])
def test_losses_are_bit_equal_whatever_the_company_and_chunking(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch, architecture: str, tuning: str, kind: str, minibatch: int
) -> None:
    task = make_task(tiny(architecture, "float32"), TUNINGS[tuning](), minibatch)
    mine = Request(population(task, kind), 0, 1)
    others = [Request(population(task, "points", n, seed=n), n % 3, n) for n in (1, 4)]
    alone = task.evaluate([mine])[0].losses
    assert not alone.isnan().any()
    for chunk in (1, 3, 1000):
        monkeypatch.setattr(Sizes, "choose", lambda sizes, most, left, n=chunk: max(sizes.fewest, n))
        company = [others[0], mine, others[1]]
        assert torch.equal(task.evaluate(company)[1].losses, alone)
        assert torch.equal(task.evaluate([Request(mine.population[1:3], 0, 1)])[0].losses, alone[1:3])


@pytest.mark.parametrize("architecture", AROUND)
@pytest.mark.parametrize("tuning", ["lora", "full"])
def test_scoring_agrees_with_evaluation_on_the_same_rows(tiny: Tiny, architecture: str, tuning: str) -> None:
    task = make_task(tiny(architecture), TUNINGS[tuning](), minibatch=32)
    points = population(task, "points", 2)
    losses = task.evaluate([Request(points, 0, 0)])[0].losses  # 32 rows: the whole train split
    scored = task.score([(points[0:1], 0), (points[1:2], 0), (None, 0)], "train")
    assert [s["loss"] for s in scored[:2]] == pytest.approx(losses.tolist(), rel=1e-9)


@pytest.mark.parametrize("architecture", ["deberta-v2", "bert", "sentence-bert"])
@pytest.mark.parametrize("tuning", ["prompt", "lora", "full"])
def test_gradients_equal_central_differences_of_the_losses(
    tiny: Tiny, architecture: str, tuning: str
) -> None:
    task = make_task(tiny(architecture), TUNINGS[tuning](), minibatch=4)
    generator = torch.Generator().manual_seed(1)
    at, along = (torch.randn(1, task.space.size, generator=generator, dtype=torch.float64) for _ in range(2))
    answer = task.evaluate([Request(Gradients(0.3 * at), 0, 0)])[0]
    assert answer.gradients is not None
    ends = Points(torch.cat([0.3 * at + 1e-5 * along, 0.3 * at - 1e-5 * along]))
    plus, minus = task.evaluate([Request(ends, 0, 0)])[0].losses
    torch.testing.assert_close((answer.gradients * along).sum(), (plus - minus) / 2e-5, rtol=1e-5, atol=1e-7)


def test_every_row_whose_padding_is_masked_keeps_a_padded_position(tiny: Tiny) -> None:
    """Where no position of a batch is masked, other code computes attention, with other last bits."""
    rows = [Row({"text": "dull"}, 0), Row({"text": "great"}, 1)]
    data = TextData("toy", {"train": rows * 20, "test": rows}, "{text} : it was", ("terrible", "great"))
    for architecture, tokens, padded in (
        ("bert", 8, 16),
        ("t5", 5, 8),
        ("sentence-bert", 3, 8),
        ("gpt2", 5, 8),
    ):
        task = TextTask(data, tiny(architecture), LoRATuning(), cross_entropy, Protocol(per_class=8), "toy")
        found = task.minibatch(0, 0)
        assert set(found.lengths.tolist()) == {tokens}
        assert found.ids.shape[1] == task.encoded["test"].ids.shape[1] == padded


def test_truncation_keeps_the_mask_and_the_special_tokens(tiny: Tiny) -> None:
    text = "the film was dull and the plot was slow and <mask> the actors were cold"
    rows = [Row({"text": text}, 0), Row({"text": "the film was dull"}, 1)]
    data = TextData(
        "toy", {"train": rows * 20, "test": rows}, "{text} . it was", ("terrible", "great"), max_tokens=12
    )
    model = tiny("bert")
    task = TextTask(data, model, LoRATuning(), cross_entropy, Protocol(per_class=8), "toy")
    tokenizer = model.tokenizer
    for ids, length in zip(task.encoded["test"].ids, task.encoded["test"].lengths, strict=True):
        tokens = tokenizer.convert_ids_to_tokens(ids[:length])
        assert len(tokens) <= 12
        assert tokens[0] == "<s>"
        assert tokens[-6:] == [".", "it", "was", "<mask>", ".", "</s>"]
        assert tokens.count("<mask>") == 1


def test_a_label_word_of_several_tokens_is_refused_at_a_mask_only(tiny: Tiny) -> None:
    rows = [Row({"text": "the film was dull"}, 0), Row({"text": "the film was great"}, 1)]
    splits = {"train": rows * 20, "test": rows}
    data = TextData("toy", splits, "{text} . it was", ("zyzzyva", "great"))
    with pytest.raises(UserError, match=r"'zyzzyva' is not one token.*'##y'"):
        tiny("bert").kind.check_words(data.worded("masked"), tiny("bert").tokenizer)
    tiny("gpt2").kind.check_words(data, tiny("gpt2").tokenizer)


def test_a_label_word_at_the_mask_keeps_its_leading_space() -> None:
    """As RoBERTa's tokenizer has it: words with a space before them are other tokens."""
    words = ["<s>", "</s>", "<pad>", "<unk>", "<mask>", "great", "\u0120great", "bad", "\u0120bad", "a"]
    words += ["\u0120it", "\u0120was", "\u0120.", "."]
    bare = Tokenizer(WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    bare.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=bare, unk_token="<unk>", mask_token=AddedToken("<mask>", lstrip=True, special=True)
    )
    rows = [Row({"text": "a"}, 0)]
    data = TextData("toy", {"train": rows, "test": rows}, "{text} it was {mask} .", ("bad", "great"))
    model = cast(LanguageModel, SimpleNamespace(tokenizer=tokenizer))
    found = FAMILIES["masked"].words(data, model)
    assert tokenizer.convert_ids_to_tokens(found) == ["\u0120bad", "\u0120great"]


def test_the_wording_of_the_model_s_family_is_asked(tiny: Tiny) -> None:
    rows = [Row({"text": "the film was dull"}, 0), Row({"text": "the film was great"}, 1)]
    wordings = {"masked": Wording("it was {mask} : {text}", ("great", "terrible"))}
    data = TextData(
        "toy", {"train": rows * 20, "test": rows}, "{text} . it was", ("terrible", "great"), wordings=wordings
    )
    task = TextTask(data, tiny("roberta"), LoRATuning(), cross_entropy, Protocol(per_class=8), "toy")
    tokenizer = task.model.tokenizer
    assert tokenizer.convert_ids_to_tokens(task.words) == ["great", "terrible"]
    first = task.encoded["test"]
    assert tokenizer.decode(first.ids[0, : first.lengths[0]]).startswith("<s> it was <mask> :")


def test_only_real_text_is_pooled_and_label_texts_stay_where_they_are(tiny: Tiny) -> None:
    model = tiny("sentence-bert")
    task = make_task(model, FullTuning())
    before = task.words.clone()
    asked = population(task, "gaussian")
    task.evaluate([Request(asked, 0, 0)])
    assert torch.equal(task.words, before)
    torch.testing.assert_close(before.norm(dim=1), torch.ones(2, dtype=torch.float64))


@pytest.mark.parametrize("config", [{"pooling_mode_max_tokens": True}, {"pooling_mode": "lasttoken"}])
def test_a_pooling_that_is_not_known_is_refused(
    tiny: Tiny, folders: Callable[[str], Path], tmp_path: Path, config: dict[str, Any]
) -> None:
    shutil.copytree(folders("sentence-bert"), tmp_path / "model")
    (tmp_path / "model" / "1_Pooling" / "config.json").write_text(json.dumps(config))
    model = LanguageModel(path=str(tmp_path / "model"))
    with pytest.raises(UserError, match=r"pooling .* is not supported"):
        _ = model.pooling


def test_the_first_token_is_pooled_where_the_model_says_so(
    tiny: Tiny, folders: Callable[[str], Path], tmp_path: Path
) -> None:
    shutil.copytree(folders("sentence-bert"), tmp_path / "model")
    (tmp_path / "model" / "1_Pooling" / "config.json").write_text(
        json.dumps({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False})
    )
    model = LanguageModel(path=str(tmp_path / "model"), dtype="float64")
    task = make_task(model, PromptTuning(tokens=3))
    points = population(task, "points", 2)
    ours = task.evaluate([Request(points, 0, 0)])[0].losses
    rows, losses = task.minibatch(0, 0), []
    for prompt in parameters_of(points, task.space)["prompt"].double():
        scores = []
        for ids, n in zip(rows.ids, rows.lengths, strict=True):
            hidden = model.model(**_embedded(model.model, ids[:n], prompt)).last_hidden_state[0, 3]
            scores.append(20 * torch.cosine_similarity(hidden[None], task.words))
        losses.append(torch.nn.functional.cross_entropy(torch.stack(scores), rows.labels))
    torch.testing.assert_close(ours, torch.stack(losses).detach(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("tuning", ["lora everywhere", "full"])
@pytest.mark.parametrize("kind", ["points", "gaussian", "low-rank"])
def test_an_untested_architecture_is_tried_and_one_that_fails_runs_alone(
    tiny: Tiny, tuning: str, kind: str
) -> None:
    """DeBERTa's first version reads tables and biases past the layers that own them."""
    task = make_task(tiny("deberta"), TUNINGS[tuning](), minibatch=4)
    asked = population(task, kind, members=3)
    ours = task.evaluate([Request(asked, 0, 2)])[0].losses
    plain = plain_losses(task, parameters_of(asked, task.space), task.minibatch(0, 2))
    torch.testing.assert_close(ours, plain, rtol=1e-9, atol=1e-9)
    assert False in task.model.tried.values()


@pytest.mark.parametrize(
    ("tuning", "kind", "batched"),
    [
        ("prompt", "points", []),
        ("lora", "points", [True]),
        ("lora everywhere", "points", [True]),
        ("full", "points", [False]),
        ("full", "gaussian", [False]),
        ("full", "low-rank", [False]),
    ],
)
def test_an_untested_architecture_runs_batched_where_its_layers_are_plain(
    folders: Callable[[str], Path], tuning: str, kind: str, batched: list[bool]
) -> None:
    """BART's linear layers are; its tables of positions are looked up in a way of their own."""
    model = LanguageModel(path=str(folders("bart")), dtype="float64")
    task = make_task(model, TUNINGS[tuning](), minibatch=4)
    asked = population(task, kind, members=3)
    ours = task.evaluate([Request(asked, 0, 2)])[0].losses
    plain = plain_losses(task, parameters_of(asked, task.space), task.minibatch(0, 2))
    torch.testing.assert_close(ours, plain, rtol=1e-9, atol=1e-9)
    assert ours.std() > 1e-6
    assert list(model.tried.values()) == batched


def test_a_position_that_is_overlooked_would_be_seen_by_the_trial(
    tiny: Tiny, folders: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its own rule, T5's bias would be the model's own for every member."""
    monkeypatch.setattr(alone, "PROVEN", frozenset())
    monkeypatch.setattr(forward, "positions_seen", lambda *_: nullcontext())
    for architecture in ("t5", "deberta-v2"):
        model = LanguageModel(path=str(folders(architecture)), dtype="float64")
        task = make_task(model, FullTuning(), minibatch=4)
        asked = population(task, "gaussian", members=3)
        ours = task.evaluate([Request(asked, 0, 2)])[0].losses
        plain = plain_losses(task, parameters_of(asked, task.space), task.minibatch(0, 2))
        torch.testing.assert_close(ours, plain, rtol=1e-9, atol=1e-9)
        assert list(model.tried.values()) == [False]


PUBLISHED = {  # parameters as counted by the hub's model cards and papers, tied ones once
    "roberta-large": 355_412_057,
    "facebook/opt-1.3b": 1_315_758_080,
    "facebook/opt-13b": 12_853_473_280,
    "meta-llama/Llama-2-7b-hf": 6_738_415_616,
    "Qwen/Qwen2.5-0.5B": 494_032_768,
    "Qwen/Qwen2.5-1.5B": 1_543_714_304,
    "Qwen/Qwen2.5-3B": 3_085_938_688,
    "Qwen/Qwen2.5-7B": 7_615_616_512,
    "mistralai/Mistral-7B-v0.1": 7_241_732_096,
    "google-t5/t5-large": 737_668_096,
    "gpt2": 124_439_808,
    "gpt2-xl": 1_557_611_200,
    "EleutherAI/pythia-1b": 1_011_781_632,
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_plan_knows_published_models_without_a_file_of_theirs(name: str) -> None:
    model = LanguageModel(path=name, planning=True, device="cuda")
    assert FullTuning().dimension(model) == PUBLISHED[name]
    assert name in all_shipped()
    with pytest.raises(UserError, match="a plan reads no weights"):
        _ = model.model


def test_a_plan_of_a_task_needs_no_tokenizer(monkeypatch: pytest.MonkeyPatch) -> None:
    model = LanguageModel(path="roberta-large", planning=True)
    assert not model.has_tokenizer
    assert model.longest == 512
    task = make_task(model, PromptTuning(tokens=50, subspace=500))
    assert task.dimension == 500
    assert task.data.template == sentiment().template + " {mask} ."


def test_a_name_that_is_not_known_here_is_said_with_those_that_are() -> None:
    with pytest.raises(UserError, match=r"its shape does not travel with gradfree; .*roberta-large"):
        LanguageModel(path="nobody/nothing", planning=True)


@pytest.mark.parametrize("name", ["roberta-large", "facebook/opt-13b", "t5-large", "EleutherAI/pythia-1b"])
def test_smoke_is_a_tiny_model_of_the_same_architecture(name: str) -> None:
    model, again = (LanguageModel(path=name, smoke=True) for _ in range(2))
    whole = LanguageModel(path=name, planning=True)
    assert (model.family, model.config.model_type) == (whole.family, whole.config.model_type)
    assert sum(p.numel() for p in model.parameters.values()) < 200_000
    assert model.digest == again.digest
    task = make_task(model, LoRATuning())
    assert not task.evaluate([Request(population(task, "points"), 0, 0)])[0].losses.isnan().any()


def test_a_family_may_be_said(folders: Callable[[str], Path]) -> None:
    assert LanguageModel(path=str(folders("bert")), family="sentence").kind.auto_class == "AutoModel"
    with pytest.raises(UserError, match="family 'bag-of-words' is not one of causal, masked"):
        LanguageModel(path=str(folders("bert")), family="bag-of-words")


def test_weights_that_are_missing_are_not_made_up(folders: Callable[[str], Path]) -> None:
    with pytest.raises(UserError, match=r"lack 'cls\..* it is no whole masked model; say .* family="):
        _ = LanguageModel(path=str(folders("sentence-bert")), family="masked").model


def test_the_attention_implementation_may_be_said(folders: Callable[[str], Path], tiny: Tiny) -> None:
    eager = LanguageModel(path=str(folders("bert")), dtype="float64", attention="eager")
    assert eager.model.config._attn_implementation == "eager"
    tasks = [make_task(model, LoRATuning()) for model in (eager, tiny("bert"))]
    losses = [t.evaluate([Request(population(t, "points"), 0, 0)])[0].losses for t in tasks]
    torch.testing.assert_close(*losses, rtol=1e-9, atol=1e-9)


def test_a_quantised_base_without_its_library_is_said(
    folders: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.language_model.find_spec", lambda _: None)
    with pytest.raises(UserError, match="gradfree\\[quantised\\]"):
        _ = LanguageModel(path=str(folders("llama")), quantised="4bit").model


class Coarse(torch.nn.Linear):
    """A frozen layer of whole numbers, as bitsandbytes' layers are: a weight that is no float."""

    def __init__(self, layer: torch.nn.Linear) -> None:
        super().__init__(1, 1, bias=False)
        self.step = float(layer.weight.abs().max()) / 100
        whole = (layer.weight / self.step).round().to(torch.int8)
        self.weight = torch.nn.Parameter(whole, requires_grad=False)
        self.bias = layer.bias

    def forward(self, x: Tensor) -> Tensor:
        return torch.nn.functional.linear(x, self.weight.to(x.dtype) * self.step, self.bias)


def test_lora_beside_a_base_of_few_bits_equals_lora_beside_what_it_stands_for(
    folders: Callable[[str], Path],
) -> None:
    coarse, plain = (LanguageModel(path=str(folders("qwen2")), dtype="float64") for _ in range(2))
    for (name, layer), (_, other) in zip(
        list(coarse.model.named_modules()), list(plain.model.named_modules()), strict=True
    ):
        if name.endswith("_proj"):
            small = Coarse(layer)
            coarse.model.set_submodule(name, small)
            other.weight.data.copy_(small.weight.double() * small.step)
    coarse.quantised = "8bit"
    tasks = [
        make_task(model, LoRATuning(matrices=("q_proj", "v_proj", "down_proj"))) for model in (coarse, plain)
    ]
    for block, other in zip(tasks[0].space.blocks, tasks[1].space.blocks, strict=True):
        assert block.scale == pytest.approx(other.scale, rel=1e-6)
    losses = [t.evaluate([Request(population(t, "points"), 0, 0)])[0].losses for t in tasks]
    torch.testing.assert_close(*losses, rtol=1e-5, atol=1e-5)
    with pytest.raises(UserError, match="8 bits"):
        _ = make_task(coarse, FullTuning()).dimension


def test_operations_are_counted_for_each_part_of_an_encoder_decoder(tiny: Tiny) -> None:
    # Width 32, 4 heads of 8, 48 inside, 2 layers on each side. Per token: the encoder's 4 attention
    # matrices and 2 of the feed-forward, and the decoder's keys and values of the text; per row the rest.
    encoder = 2 * (4 * 32 * 32 + 2 * 32 * 48 + 2 * 32) + 32
    decoder = 2 * (8 * 32 * 32 + 2 * 32 * 48 + 3 * 32) + 32
    crossed = 2 * 2 * 32 * 32
    attention = 2 * 4 * 32 * 16 + 2 * 4 * 32
    expected = 2 * (encoder + crossed + (decoder - crossed) / 16) + attention
    assert tiny("t5").flops_per_token(16) == pytest.approx(expected)


def test_the_default_matrices_of_lora_are_query_and_value_of_every_architecture(tiny: Tiny) -> None:
    named = {
        "gpt2": {"c_attn"},
        "gpt_neox": {"query_key_value"},
        "llama": {"q_proj", "v_proj"},
        "bert": {"query", "value"},
        "deberta-v2": {"query_proj", "value_proj"},
        "t5": {"q", "v"},
    }
    for architecture, endings in named.items():
        blocks = LoRATuning().native_space(tiny(architecture)).blocks
        assert {block.name.split(".")[-2] for block in blocks} == endings


def test_positions_of_roberta_begin_after_the_padding_s(tiny: Tiny) -> None:
    assert isinstance(tiny("roberta").config, transformers.RobertaConfig)
    assert tiny("roberta").longest == LONGEST
    assert tiny("roberta").config.max_position_embeddings == LONGEST + 1

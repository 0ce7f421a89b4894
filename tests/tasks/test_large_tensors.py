"""Full tuning of tensors that are larger than a tile of noise, and of weights that are lent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from harness.core import Gaussian, Perturbations, Request, UserError
from harness.core import space as space_module
from harness.core.space import TILE
from tasks import weights
from tasks.chunks import Sizes
from tasks.language_model import LanguageModel
from tasks.reference import model_path
from tasks.tuning.base import parameters_of
from tasks.tuning.full import FullTuning, LentTuning
from tests.algorithms.drive import make
from tests.tasks.plain import plain_losses
from tests.tasks.test_forward import make_task, population

Load = Callable[..., LanguageModel]


@pytest.fixture
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """The matrices of the tiny models take 15 tiles and more."""
    monkeypatch.setattr(space_module, "TILE", 70)


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("family", ["llama", "gpt2", "opt"])
@pytest.mark.parametrize("kind", ["gaussian", "sigma per entry"])
def test_tensors_of_many_tiles_equal_plain_evaluation_with_merged_weights(
    load: Load, family: str, kind: str
) -> None:
    task = make_task(load(family, "float64"), FullTuning())
    perturbed = population(task, kind)
    ours = task.evaluate([Request(perturbed, 1, 0)])[0].losses
    plain = plain_losses(task, parameters_of(perturbed, task.space), 1, 0)
    torch.testing.assert_close(ours, plain, rtol=1e-9, atol=1e-9)


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_losses_over_many_tiles_are_bit_equal_whatever_the_chunking(
    load: Load, monkeypatch: pytest.MonkeyPatch, family: str
) -> None:
    task = make_task(load(family), FullTuning())
    whole = population(task, "gaussian")
    losses = task.evaluate([Request(whole, 0, 1)])[0].losses
    for chunk in (1, 3, 1000):
        monkeypatch.setattr(Sizes, "choose", lambda sizes, most, left, n=chunk: max(sizes.fewest, n))
        assert torch.equal(task.evaluate([Request(whole, 0, 1)])[0].losses, losses)
        assert torch.equal(task.evaluate([Request(whole[3:5], 0, 1)])[0].losses, losses[3:5])


@pytest.mark.usefixtures("small_tiles")
def test_gpt2_in_bfloat16_sums_its_pieces_in_float32(load: Load) -> None:
    rounded, exact = (make_task(load("gpt2", dtype), FullTuning()) for dtype in ("bfloat16", "float32"))
    losses = [
        task.evaluate([Request(population(task, "gaussian"), 0, 1)])[0].losses for task in (rounded, exact)
    ]
    assert (losses[0] - losses[1]).abs().max() < 0.1


class Allocations(TorchDispatchMode):
    """Notes the largest storage that comes into being, beside those that are known."""

    def __init__(self, known: set[int]) -> None:
        super().__init__()
        self.known, self.largest = known, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, torch.Tensor) and leaf.untyped_storage().data_ptr() not in self.known:
                self.largest = max(self.largest, leaf.untyped_storage().nbytes())
        return out


@pytest.fixture(scope="module")
def wide_llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One layer; its embedding takes 8 tiles of noise, its largest matrices 6."""
    folder = tmp_path_factory.mktemp("wide")
    tokenizer = transformers.AutoTokenizer.from_pretrained(model_path())
    config = transformers.AutoConfig.for_model(
        "llama",
        vocab_size=8 * TILE // 512,
        hidden_size=512,
        intermediate_size=6 * TILE // 512,
        num_hidden_layers=1,
        num_attention_heads=8,
        max_position_embeddings=64,
        tie_word_embeddings=True,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        transformers.AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("name", ["mezo", "openai-es", "eggroll"])
def test_a_search_of_lent_weights_allocates_no_tensor_of_a_block_s_size(wide_llama: Path, name: str) -> None:
    """Nothing above the four tiles in float32 that the center moves at once; the embedding is twice that."""
    task = make_task(LanguageModel(path=str(wide_llama), dtype="bfloat16"), LentTuning(), minibatch=4)
    own = {value.untyped_storage().data_ptr() for value in task.model.parameters.values()}
    before = task.model.parameters["model.embed_tokens.weight"].clone()
    options = {"openai-es": {"population": 2, "decay": 0.0}, "eggroll": {"population": 2}}.get(name, {})
    with Allocations(own) as seen:
        search = make(name, task.space, 100, step="sgd", **options)
        for generation in range(2):
            asked = search.ask(2)
            search.tell(asked, task.evaluate([Request(asked, 0, generation)])[0].losses)
        best = search.best()
        task.score([(best, 0)], "train")
    assert seen.largest <= 4 * TILE * 4
    assert best.center["model.embed_tokens.weight"].data_ptr() in own
    assert not torch.equal(task.model.parameters["model.embed_tokens.weight"], before)


def test_lent_weights_serve_one_search_of_one_task(load: Load) -> None:
    model = load("llama")
    task = make_task(model, LentTuning())
    untouched = task.score([(None, 0)], "dev")[0]["loss"]
    assert task.signature().losses
    search = make("mezo", task.space, 100)
    asked = search.ask(2)
    assert isinstance(asked, Perturbations)
    with pytest.raises(UserError, match="nothing is untouched"):
        task.score([(None, 0)], "dev")
    assert task.score([(search.best(), 0)], "dev")[0]["loss"] == pytest.approx(untouched, rel=1e-5)
    with pytest.raises(UserError, match="load the model again"):
        _ = make_task(model, LentTuning()).space


def test_a_scale_is_the_same_whether_a_tensor_is_read_whole_or_by_slices(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = [block.scale for block in FullTuning().space(load("llama")).blocks]
    monkeypatch.setattr("tasks.tuning.full._SLICE", 100)
    by_slices = [block.scale for block in FullTuning().space(load("llama")).blocks]
    assert by_slices == pytest.approx(whole, rel=1e-6)


def test_a_draw_by_pieces_is_the_draw_of_the_whole(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    space = FullTuning().space(load("llama"))
    monkeypatch.setattr(space_module, "TILE", 70)
    members, signs = torch.tensor([0, 0, 3]), torch.tensor([1, -1, 1], dtype=torch.int8)
    pair = Perturbations(space.start(), Gaussian(space, 0, 0), 0.5, members, signs)
    view = weights.Perturbed(pair)
    for block in space.blocks:
        pieces = list(view.pieces(block.name) or ())
        assert len(pieces) == -(-block.rows // max(1, 70 // block.row_size))
        assert torch.equal(torch.cat([piece for _, piece in pieces], 1), pair.materialise(block.name))

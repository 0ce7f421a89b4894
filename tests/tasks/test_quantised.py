"""Frozen layers of 8 and 4 bits, as bitsandbytes makes them: populations beside one candidate at a time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from harness.core import Request, UserError
from tasks.families.detect import FAMILIES
from tasks.families.tiny import tiny_config, tiny_tokenizer, tiny_weights
from tasks.language_model import LanguageModel
from tasks.tuning.base import Tuning, parameters_of
from tasks.tuning.full import FullTuning
from tasks.tuning.lora import LoRATuning
from tasks.tuning.prompt import PromptTuning
from tests.tasks.test_forward import make_task, population

pytest.importorskip("bitsandbytes", reason="frozen layers of few bits are made by bitsandbytes")

WIDER: dict[str, dict[str, int]] = {  # 4 bits are read in blocks of 64
    "llama": {"hidden_size": 64, "intermediate_size": 128},
    "opt": {"hidden_size": 64, "ffn_dim": 128, "word_embed_proj_dim": 64},
}
TUNINGS: dict[str, Callable[[], Tuning]] = {
    "prompt": lambda: PromptTuning(tokens=3),
    "lora": lambda: LoRATuning(rank=2, alpha=3.0),
    "lora everywhere": lambda: LoRATuning(rank=1, matrices=("all",)),
}


@pytest.fixture(scope="module")
def wider(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Architecture -> the folder of a model whose layers have whole blocks."""
    made: dict[str, Path] = {}

    def make(architecture: str) -> Path:
        if architecture not in made:
            folder = tmp_path_factory.mktemp("wider") / architecture
            shape = tiny_config(architecture).to_dict()
            shape = {key: value for key, value in shape.items() if key not in ("model_type", "head_dim")}
            config = transformers.AutoConfig.for_model(architecture, **shape | WIDER[architecture])
            tiny_weights(config, FAMILIES["causal"]).save_pretrained(folder)
            tiny_tokenizer(FAMILIES["causal"]).save_pretrained(folder)
            made[architecture] = folder
        return made[architecture]

    return make


@pytest.mark.parametrize("architecture", WIDER)
@pytest.mark.parametrize("bits", ["8bit", "4bit"])
@pytest.mark.parametrize("tuning", TUNINGS)
def test_losses_on_few_bits_are_those_of_one_candidate_at_a_time(
    wider: Callable[[str], Path], architecture: str, bits: Any, tuning: str
) -> None:
    model = LanguageModel(path=str(wider(architecture)), quantised=bits)
    assert any(not weight.is_floating_point() for weight in model.parameters.values())
    task = make_task(model, TUNINGS[tuning](), minibatch=4)
    points = population(task, "points", 3)
    together = task.evaluate([Request(points, 0, 2)])[0].losses
    alone = [task.evaluate([Request(points[i : i + 1], 0, 2)])[0].losses for i in range(3)]
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-5, atol=1e-6)
    assert together.std() > 1e-4, "candidates that do not differ show nothing"


@pytest.mark.parametrize("bits", ["8bit", "4bit"])
def test_a_prompt_before_few_bits_is_read_as_by_the_library_alone(
    wider: Callable[[str], Path], bits: Any
) -> None:
    task = make_task(LanguageModel(path=str(wider("opt")), quantised=bits), PromptTuning(tokens=3), 4)
    points = population(task, "points", 2)
    ours = task.evaluate([Request(points, 0, 2)])[0].losses
    rows, losses = task.minibatch(0, 2), []
    for prompt in parameters_of(points, task.space)["prompt"]:
        with torch.no_grad():
            embedded = [
                torch.cat([prompt, task.model.embedding(ids[:n])])
                for ids, n in zip(rows.ids, rows.lengths, strict=True)
            ]
            logits = [task.model.model(inputs_embeds=each[None]).logits[0, -1] for each in embedded]
        scores = torch.stack(logits)[:, task.words].double()
        losses.append(torch.nn.functional.cross_entropy(scores, rows.labels))
    torch.testing.assert_close(ours, torch.stack(losses), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("bits", ["8bit", "4bit"])
def test_weights_of_few_bits_are_not_tuned_in_full(wider: Callable[[str], Path], bits: Any) -> None:
    task = make_task(LanguageModel(path=str(wider("opt")), quantised=bits), FullTuning())
    with pytest.raises(UserError, match=f"these have {bits[0]} bits"):
        _ = task.dimension  # which a plan asks for


def test_layers_without_whole_blocks_are_refused_for_four_bits(folders: Callable[[str], Path]) -> None:
    with pytest.raises(UserError, match=r"_proj has 32 inputs, and on processors they are read in blocks"):
        _ = LanguageModel(path=str(folders("opt")), quantised="4bit").model

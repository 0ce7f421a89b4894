"""What is exported is loaded by PEFT and transformers alone, and answers as the task does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
import transformers
from torch import Tensor

from harness.core import Points, Population, Protocol
from tasks.encoding import Encoded
from tasks.families.sentence import SCALE
from tasks.language_model import LanguageModel
from tasks.objectives import cross_entropy
from tasks.published.registered import sst2
from tasks.text_task import TextTask
from tasks.tuning.base import Tuning
from tasks.tuning.full import FullTuning
from tasks.tuning.lora import LoRATuning
from tasks.tuning.prompt import PromptTuning

PROMPT = 3
TUNINGS: dict[str, Callable[[], Tuning]] = {
    "prompt": lambda: PromptTuning(tokens=PROMPT),
    "projected prompt": lambda: PromptTuning(tokens=PROMPT, subspace=7),
    "lora": lambda: LoRATuning(rank=2, alpha=3.0),
    "full": FullTuning,
}
AUTO = {
    "llama": "AutoModelForCausalLM",
    "gpt2": "AutoModelForCausalLM",
    "roberta": "AutoModelForMaskedLM",
    "t5": "AutoModelForSeq2SeqLM",
    "sentence-bert": "AutoModel",
}


def loaded(auto: str, base: Path, folder: Path, tuning: str) -> Any:
    """The exported thing, through public calls of the two libraries."""
    kind = getattr(transformers, auto)
    if tuning == "full":
        return kind.from_pretrained(folder).eval()
    return peft.PeftModel.from_pretrained(kind.from_pretrained(base), folder).eval()


def answers(task: TextTask, model: Any, rows: Encoded, prefix: int) -> Tensor:
    """Class logits [R, C], row by row, as a user of the model would compute them."""
    found = []
    for ids, length in zip(rows.ids, rows.lengths, strict=True):
        text = ids[None, :length]
        mask = torch.ones_like(text)
        if task.model.family == "causal":
            logits = model(input_ids=text, attention_mask=mask).logits[0, -1][task.words]
        elif task.model.family == "masked":
            place = prefix + int((text[0] == task.model.tokenizer.mask_token_id).nonzero())
            logits = model(input_ids=text, attention_mask=mask).logits[0, place][task.words]
        elif task.model.family == "encoder-decoder":
            start = torch.tensor([[task.model.config.decoder_start_token_id]])
            out = model(input_ids=text, attention_mask=mask, decoder_input_ids=start)
            logits = out.logits[0, -1][task.words]
        else:
            pooled = model(input_ids=text, attention_mask=mask).last_hidden_state[0, prefix:].mean(0)
            logits = SCALE * torch.cosine_similarity(pooled[None], task.words)
        found.append(logits)
    return torch.stack(found)


@pytest.mark.parametrize("tuning", TUNINGS)
@pytest.mark.parametrize("architecture", AUTO)
def test_peft_and_transformers_alone_answer_as_the_task_does(
    architecture: str, tuning: str, folders: Callable[[str], Path], tmp_path: Path
) -> None:
    model = LanguageModel(path=str(folders(architecture)))
    protocol = Protocol(per_class=2, minibatch=4, test_rows=4)
    task = TextTask(sst2(smoke=True), model, TUNINGS[tuning](), cross_entropy, protocol, "tiny")
    generator = torch.Generator().manual_seed(1)
    candidate: Population = Points(torch.randn(1, task.space.size, generator=generator))
    rows = task.minibatch(0, 0)
    ours = task.searched.run_alone(candidate, rows)
    untouched = task.searched.run_alone(None, rows)

    about = task.export(candidate, tmp_path / "out")

    prefix = task.tuning.prefix_tokens
    with torch.no_grad():
        theirs = answers(
            task, loaded(AUTO[architecture], folders(architecture), tmp_path / "out", tuning), rows, prefix
        )
    assert about["family"] == model.family
    assert (ours - untouched).abs().max() > 1e-2  # so that the candidate matters
    torch.testing.assert_close(theirs, ours, rtol=1e-4, atol=1e-4)


def test_exporting_a_full_candidate_leaves_the_model_as_it_was(
    folders: Callable[[str], Path], tmp_path: Path
) -> None:
    model = LanguageModel(path=str(folders("llama")))
    protocol = Protocol(per_class=2, minibatch=4, test_rows=4)
    task = TextTask(sst2(smoke=True), model, FullTuning(), cross_entropy, protocol, "tiny")
    before = {name: value.clone() for name, value in model.parameters.items()}
    task.export(Points(torch.ones(1, task.space.size)), tmp_path / "out")
    assert all(torch.equal(value, before[name]) for name, value in model.parameters.items())


@pytest.mark.parametrize(("architecture", "transposed"), [("gpt2", True), ("llama", False)])
def test_an_adapter_says_how_the_layers_that_it_is_for_are_stored(
    architecture: str, transposed: bool, folders: Callable[[str], Path], tmp_path: Path
) -> None:
    model = LanguageModel(path=str(folders(architecture)))
    protocol = Protocol(per_class=2, minibatch=4, test_rows=4)
    task = TextTask(sst2(smoke=True), model, LoRATuning(), cross_entropy, protocol, "tiny")
    task.export(Points(torch.ones(1, task.space.size)), tmp_path / "out")
    assert peft.LoraConfig.from_pretrained(str(tmp_path / "out")).fan_in_fan_out is transposed

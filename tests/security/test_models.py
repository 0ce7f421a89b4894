"""Model folders and data folders from strangers: only safetensors, JSON and rows are read, no code is run."""

from __future__ import annotations

import contextlib
import json
import tomllib
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from harness.core import UserError
from harness.plugins.build import Builder
from harness.plugins.spec import Spec
from tasks.language_model import LanguageModel
from tasks.published.card import card
from tasks.published.folder import read_folder
from tasks.published.hub import WITHOUT_SCRIPTS, read_hub
from tests.security.strangers import Edit, Trap

WEIGHTS = "model.safetensors"
PICKLES = ("pytorch_model.bin", "model.pt", "pytorch_model.pt", "model.ckpt", "training_args.bin")


def use(folder: Path) -> LanguageModel:
    """Load all that is ever loaded of a model."""
    model = LanguageModel(path=str(folder))
    assert model.model is not None
    assert model.tokenizer is not None
    return model


def test_the_trap_works(trap: Trap, tmp_path: Path) -> None:
    # Else none of these tests would show anything.
    file = tmp_path / "trap.bin"
    file.write_bytes(trap.checkpoint)
    torch.load(file, weights_only=False)
    assert trap.sprung


@pytest.mark.parametrize("name", PICKLES)
def test_a_pickle_beside_safetensors_is_not_opened(name: str, model: Path, trap: Trap) -> None:
    (model / name).write_bytes(trap.checkpoint)
    use(model)
    assert not trap.sprung


@pytest.mark.parametrize("name", PICKLES)
@pytest.mark.parametrize("form", ["checkpoint", "pickled"])
def test_a_pickle_alone_is_refused(name: str, form: str, model: Path, trap: Trap) -> None:
    (model / WEIGHTS).unlink()
    (model / name).write_bytes(getattr(trap, form))
    with pytest.raises(UserError, match=r"no \*\.safetensors in this folder, and no other format is read"):
        use(model)
    assert not trap.sprung


def test_a_pickle_that_is_called_safetensors_is_refused(model: Path, trap: Trap) -> None:
    (model / WEIGHTS).write_bytes(trap.checkpoint)
    with pytest.raises(UserError):
        use(model)
    assert not trap.sprung


def test_an_index_that_names_a_pickle_is_refused(model: Path, trap: Trap) -> None:
    names = list(load_file(model / WEIGHTS))
    (model / WEIGHTS).rename(model / "other.safetensors")
    (model / "shard.bin").write_bytes(trap.checkpoint)
    index = {"metadata": {}, "weight_map": dict.fromkeys(names, "shard.bin")}
    (model / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(UserError, match=r"model\.safetensors\.index\.json"):
        use(model)
    assert not trap.sprung


def test_an_index_that_leads_out_of_the_folder_is_refused(model: Path, tmp_path: Path) -> None:
    weights = load_file(model / WEIGHTS)
    (model / WEIGHTS).rename(model / "other.safetensors")
    save_file(weights, tmp_path / "outside.safetensors", metadata={"format": "pt"})
    index = {"metadata": {}, "weight_map": dict.fromkeys(weights, "../outside.safetensors")}
    (model / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(UserError, match=r"model\.safetensors\.index\.json"):
        use(model)


REMOTE = {
    "AutoConfig": "trapped.TrappedConfig",
    "AutoModelForCausalLM": "trapped.TrappedModel",
    "AutoModel": "trapped.TrappedModel",
    "AutoTokenizer": ["trapped.TrappedTokenizer", "trapped.TrappedTokenizer"],
}


def test_code_beside_a_known_architecture_is_left_alone(model: Path, trap: Trap, edit: Edit) -> None:
    (model / "trapped.py").write_text(trap.python)
    edit(model / "config.json", lambda config: config.update(auto_map=REMOTE))
    edit(
        model / "tokenizer_config.json",
        lambda config: config.update(auto_map={"AutoTokenizer": REMOTE["AutoTokenizer"]}),
    )
    use(model)
    assert not trap.sprung


def test_an_architecture_that_needs_its_own_code_is_refused(model: Path, trap: Trap, edit: Edit) -> None:
    (model / "trapped.py").write_text(trap.python)
    edit(model / "config.json", lambda config: config.update(auto_map=REMOTE, model_type="trapped"))
    with pytest.raises(UserError, match="AutoConfig cannot load it"):
        use(model)
    assert not trap.sprung


def test_a_tokenizer_that_needs_its_own_code_is_refused(model: Path, trap: Trap, edit: Edit) -> None:
    (model / "trapped.py").write_text(trap.python)
    edit(
        model / "tokenizer_config.json",
        lambda config: config.update(
            auto_map={"AutoTokenizer": REMOTE["AutoTokenizer"]}, tokenizer_class="TrappedTokenizer"
        ),
    )
    with contextlib.suppress(UserError):  # refused, or another tokenizer taken: either will do
        use(model)
    assert not trap.sprung


@pytest.mark.parametrize("option", ["trust_remote_code", "trust-remote-code"])
def test_no_option_lets_a_model_s_code_run(option: str, model: Path, trap: Trap) -> None:
    with pytest.raises(UserError):
        Builder().model(Spec.parse(f'"{model}"[{option}=true]'))
    assert not trap.sprung


@pytest.mark.parametrize("key", ["attn_implementation", "_attn_implementation"])
def test_a_kernel_of_the_hub_is_not_fetched_because_a_configuration_says_so(
    key: str, model: Path, edit: Edit
) -> None:
    edit(model / "config.json", lambda config: config.update({key: "stranger/kernel"}))
    for asked in (None, "sdpa"):
        with pytest.raises(UserError, match="asks for the attention 'stranger/kernel'"):
            LanguageModel(path=str(model), attention=asked)
    # By name it is asked for; the library that would fetch it is not installed here.
    assert LanguageModel(path=str(model), attention="stranger/kernel").config is not None


@pytest.mark.parametrize("weights", ["adapter_model.bin", "adapter_model.safetensors"])
def test_an_adapter_in_the_folder_is_refused(weights: str, model: Path, trap: Trap) -> None:
    # The library would put it on the model, or take another model than was asked for.
    content = {"peft_type": "LORA", "base_model_name_or_path": "stranger/model", "r": 1, "lora_alpha": 1}
    content |= {"target_modules": ["c_attn"], "task_type": "CAUSAL_LM"}
    (model / "adapter_config.json").write_text(json.dumps(content))
    if weights.endswith("safetensors"):
        save_file({"w": torch.zeros(1)}, model / weights)
    else:
        (model / weights).write_bytes(trap.checkpoint)
    with pytest.raises(UserError, match=r"adapter_config\.json"):
        use(model)
    assert not trap.sprung


def test_a_sentence_model_s_modules_stay_in_its_folder(tmp_path: Path) -> None:
    from tasks.families.tiny import tiny_model

    folder = tiny_model("sentence-bert", tmp_path / "sentence")
    (tmp_path / "config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
    modules = json.loads((folder / "modules.json").read_text())
    for module in modules:
        module["path"] = ".."
    (folder / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(UserError, match=r"modules\.json"):
        _ = LanguageModel(path=str(folder)).pooling


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_a_loading_script_among_the_rows_is_not_run(split: str, tmp_path: Path, trap: Trap) -> None:
    for name in ("train", "dev", "test"):
        (tmp_path / f"{name}.tsv").write_text("sentence\tlabel\nfine\t1\ndull\t0\n")
    for name in ("sst2.py", f"{split}.py", f"{tmp_path.name}.py"):
        (tmp_path / name).write_text(trap.python)
    (tmp_path / f"{split}.pkl").write_bytes(trap.pickled)
    assert set(read_folder(tmp_path, card("sst2"), "sst2", None).splits) == {"train", "dev", "test"}
    assert not trap.sprung


def test_a_library_that_runs_loading_scripts_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets, "__version__", "3.6.0")
    with pytest.raises(UserError, match=r"datasets 3\.6\.0 may run scripts .* pip install \"datasets>=4\""):
        read_hub(card("sst2"), "sst2", None)
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert project["optional-dependencies"]["hub"] == [f"datasets>={WITHOUT_SCRIPTS}.0"]

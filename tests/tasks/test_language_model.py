"""Loading models from folders and from the hub's cache."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from harness.core import UserError
from tasks.language_model import LanguageModel
from tasks.reference import model_path


def hub_cache(folder: Path, root: Path, name: str) -> None:
    """Lay a model folder out as the hub's client caches it."""
    repository = root / "hub" / f"models--{name.replace('/', '--')}"
    commit = "0123456789abcdef0123456789abcdef01234567"
    shutil.copytree(folder, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)


def test_a_hub_name_is_loaded_from_the_cache_without_a_network(
    model_folder: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub.constants as hub

    hub_cache(model_folder("gpt2"), tmp_path, "someone/tiny-gpt2")
    monkeypatch.setattr(hub, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(hub, "HF_HUB_OFFLINE", True)
    from_hub = LanguageModel(path="someone/tiny-gpt2")
    local = LanguageModel(path=str(model_folder("gpt2")))
    assert from_hub.digest == local.digest
    assert from_hub.tokenizer.get_vocab() == local.tokenizer.get_vocab()


def test_a_hub_name_that_cannot_be_had_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants as hub

    monkeypatch.setattr(hub, "HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match=r"nobody/nothing: AutoConfig cannot load it") as error:
        LanguageModel(path="nobody/nothing")
    assert "\n" not in str(error.value)


def test_a_folder_without_safetensors_is_refused_with_the_remedy(tmp_path: Path) -> None:
    shutil.copy(model_path() / "config.json", tmp_path)
    torch.save({}, tmp_path / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"no \*\.safetensors.*save_pretrained"):
        LanguageModel(path=str(tmp_path))


def test_a_folder_without_a_configuration_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no config\.json"):
        LanguageModel(path=str(tmp_path))


def test_code_that_travels_with_a_model_is_not_run(tmp_path: Path) -> None:
    shutil.copytree(model_path(), tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    config["model_type"] = "strange"
    config["auto_map"] = {"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.Model"}
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))
    (tmp_path / "model" / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()")
    with pytest.raises(UserError):
        LanguageModel(path=str(tmp_path / "model"))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("changes", [{"dtype": "float8"}, {"device": "cuda:7"}])
def test_a_dtype_or_device_that_is_not_to_be_had_is_named(changes: dict[str, str]) -> None:
    if changes.get("device") and torch.cuda.is_available():
        return
    with pytest.raises(UserError, match=next(iter(changes.values()))):
        LanguageModel(path=str(model_path()), **changes)


def test_dimensions_are_known_without_reading_weights(model_folder: Callable[[str], Path]) -> None:
    model = LanguageModel(path=str(model_folder("opt")))
    assert model.width == 32
    assert sum(p.numel() for p in model.skeleton.parameters()) > 0
    assert "model" not in vars(model)


def test_the_weights_change_the_digest(model_folder: Callable[[str], Path]) -> None:
    first, second = (LanguageModel(path=str(model_folder("llama"))) for _ in range(2))
    assert first.digest == second.digest
    with torch.no_grad():
        next(iter(second.parameters.values())).add_(1e-3)
    del second.__dict__["digest"]
    assert first.digest != second.digest

"""Model folders: empty, broken, of other formats, with the tokenizer of another model."""

# ruff: noqa: E501, a case a line

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tasks.reference import model_path


def _edit(folder: Path, file: str, **keys: object) -> None:
    content = json.loads((folder / file).read_text()) | keys
    (folder / file).write_text(json.dumps(content))


def _keep(folder: Path, *files: str) -> None:
    for file in folder.iterdir():
        if file.name not in files:
            file.unlink()


def _cut(folder: Path, file: str, share: float) -> None:
    content = (folder / file).read_bytes()
    (folder / file).write_bytes(content[: int(share * len(content))])


def _reshaped(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    name = next(name for name, value in tensors.items() if value.ndim == 2)
    tensors[name] = tensors[name][:-1].clone()
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


def _fewer(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    del tensors[next(name for name in tensors if "layers.0" in name)]
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


def _pickled(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def _other_vocabulary(folder: Path) -> None:
    content = json.loads((folder / "tokenizer.json").read_text())
    numbers = content["model"]["vocab"]
    content["model"]["vocab"] = {
        word: number if number < 8 else number + 50_000 for word, number in numbers.items()
    }
    (folder / "tokenizer.json").write_text(json.dumps(content))


def _unknown_words(folder: Path) -> None:
    content = json.loads((folder / "tokenizer.json").read_text())
    content["model"]["vocab"] = {
        word if number < 8 else f"zz{number}": number for word, number in content["model"]["vocab"].items()
    }
    (folder / "tokenizer.json").write_text(json.dumps(content))


# Which tensors lack is known when they are loaded: of many models they are stored under the names of earlier
# years. The folder of results then holds a plan, and no row.
Change = Callable[[Path], object]
CHANGES: dict[str, tuple[Change, tuple[str, ...]]] = {
    "empty": (lambda f: _keep(f), ("config.json",)),
    "no config": (lambda f: (f / "config.json").unlink(), ("config.json",)),
    "config cut": (lambda f: _cut(f, "config.json", 0.5), ("config.json",)),
    "config of NUL": (lambda f: (f / "config.json").write_bytes(bytes(64)), ("config.json",)),
    "config a list": (lambda f: (f / "config.json").write_text("[]"), ("config.json",)),
    "config empty": (lambda f: (f / "config.json").write_text("{}"), ("config.json",)),
    "config a folder": (lambda f: [(f / "config.json").unlink(), (f / "config.json").mkdir()], ("config.json",)),
    "unknown architecture": (lambda f: _edit(f, "config.json", model_type="nobody"), ("nobody",)),
    "vision model": (lambda f: _edit(f, "config.json", model_type="vit", architectures=["ViT"]), ("vit",)),
    "width a text": (lambda f: _edit(f, "config.json", hidden_size="wide"), ()),
    "width 0": (lambda f: _edit(f, "config.json", hidden_size=0), ()),
    "width -1": (lambda f: _edit(f, "config.json", hidden_size=-1), ()),
    "width null": (lambda f: _edit(f, "config.json", hidden_size=None), ()),
    "heads of no share": (lambda f: _edit(f, "config.json", num_attention_heads=7), ()),
    "unknown activation": (lambda f: _edit(f, "config.json", hidden_act="nothing"), ("nothing",)),
    "more layers": (lambda f: _edit(f, "config.json", num_hidden_layers=9), ("lack",)),
    "other vocabulary": (lambda f: _edit(f, "config.json", vocab_size=17), ()),
    "other code": (
        lambda f: _edit(f, "config.json", model_type="own", auto_map={"AutoConfig": "own.Config"}), ("own",)
    ),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), ("safetensors",)),
    "pickled weights": (_pickled, ("safetensors",)),
    "weights cut": (lambda f: _cut(f, "model.safetensors", 0.5), ("model.safetensors",)),
    "weights cut in their header": (lambda f: _cut(f, "model.safetensors", 0.001), ("model.safetensors",)),
    "weights empty": (lambda f: (f / "model.safetensors").write_bytes(b""), ("model.safetensors",)),
    "weights text": (lambda f: (f / "model.safetensors").write_text("version https://git-lfs"), ("model.safetensors",)),
    "weights of another shape": (_reshaped, ()),
    "a tensor missing": (_fewer, ("lack",)),
    "no tokenizer": (lambda f: [(f / n).unlink() for n in ("tokenizer.json", "tokenizer_config.json")], ("okenizer",)),
    "tokenizer cut": (lambda f: _cut(f, "tokenizer.json", 0.5), ("okenizer",)),
    "tokenizer a list": (lambda f: (f / "tokenizer.json").write_text("[]"), ("okenizer",)),
    "tokenizer empty": (lambda f: (f / "tokenizer.json").write_text("{}"), ("okenizer",)),
    "tokenizer settings cut": (lambda f: _cut(f, "tokenizer_config.json", 0.5), ("okenizer",)),
    "tokenizer of another vocabulary": (_other_vocabulary, ("okenizer",)),
    "tokenizer without the words": (_unknown_words, ("words",)),
}  # fmt: skip


@pytest.mark.parametrize("case", CHANGES)
def test_a_broken_model_folder_is_refused(faults, tmp_path, case):
    change, names = CHANGES[case]
    shutil.copytree(model_path(), tmp_path / "own")
    change(tmp_path / "own")
    words = ("--algorithms", "random", "--budget", "2", "--out", "out", "--executor", "inline", "-q")
    late = "lack" in names
    bad = faults("sweep", "--tasks", "sentiment/own/prompt", *words, names=("own", *names), written=late)
    assert not bad, "\n".join(bad)
    assert not list(tmp_path.glob("out/**/*.parquet"))

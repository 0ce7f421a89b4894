"""Tiny models of several architectures, randomly initialised, as folders in transformers layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from tasks.families.tiny import tiny_model
from tasks.language_model import LanguageModel
from tasks.reference import model_path

CONFIGS: dict[str, dict[str, Any]] = {
    "llama": {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "tie_word_embeddings": True,
        "attention_bias": True,
    },
    "granite": {  # scales its logits after the output embedding
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "logits_scaling": 4.0,
    },
    "mixtral": {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 1,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "num_local_experts": 2,
    },
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4},
    "opt": {
        "hidden_size": 32,
        "ffn_dim": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "word_embed_proj_dim": 32,
    },
}


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Family name -> a folder that transformers wrote."""
    made: dict[str, Path] = {}

    def make(family: str) -> Path:
        if family not in made:
            folder = tmp_path_factory.mktemp("models") / family
            tokenizer = transformers.AutoTokenizer.from_pretrained(model_path())
            config = transformers.AutoConfig.for_model(
                family, vocab_size=len(tokenizer), max_position_embeddings=64, **CONFIGS[family]
            )
            with torch.random.fork_rng():
                torch.manual_seed(0)
                model = transformers.AutoModelForCausalLM.from_config(config)
                for parameter in model.parameters():  # biases and norms away from their trivial values
                    torch.nn.init.normal_(parameter, std=0.3)
            model.save_pretrained(folder)
            tokenizer.save_pretrained(folder)
            made[family] = folder
        return made[family]

    return make


@pytest.fixture
def load(model_folder: Callable[[str], Path]) -> Callable[..., LanguageModel]:
    """(family, dtype) -> a loaded model."""
    return lambda family, dtype="float32": LanguageModel(path=str(model_folder(family)), dtype=dtype)


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Architecture -> the folder of a tiny model."""
    made: dict[str, Path] = {}

    def make(architecture: str) -> Path:
        if architecture not in made:
            made[architecture] = tiny_model(architecture, tmp_path_factory.mktemp("tiny") / architecture)
        return made[architecture]

    return make

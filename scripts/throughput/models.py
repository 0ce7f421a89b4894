"""Models to measure on: the reference model, and public shapes with random weights."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import torch
from transformers import AutoModelForCausalLM, LlamaConfig

from tasks.language_model import DTYPES, LanguageModel
from tasks.reference import model_path

SHAPES: dict[str, dict[str, Any]] = {
    "20m": {
        "hidden_size": 512,
        "intermediate_size": 1376,
        "num_hidden_layers": 6,
        "num_attention_heads": 8,
        "vocab_size": 2048,
        "tie_word_embeddings": True,
    },
    "0.5b": {  # of Qwen2.5-0.5B
        "hidden_size": 896,
        "intermediate_size": 4864,
        "num_hidden_layers": 24,
        "num_attention_heads": 14,
        "num_key_value_heads": 2,
        "vocab_size": 151_936,
        "tie_word_embeddings": True,
    },
    "1b": {  # of Llama-3.2-1B
        "hidden_size": 2048,
        "intermediate_size": 8192,
        "num_hidden_layers": 16,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "vocab_size": 128_256,
        "tie_word_embeddings": True,
    },
    "3b": {  # of Llama-3.2-3B
        "hidden_size": 3072,
        "intermediate_size": 8192,
        "num_hidden_layers": 28,
        "num_attention_heads": 24,
        "num_key_value_heads": 8,
        "vocab_size": 128_256,
        "tie_word_embeddings": True,
    },
    "7b": {  # of Llama-2-7B
        "hidden_size": 4096,
        "intermediate_size": 11_008,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "vocab_size": 32_000,
    },
}
NAMES = ("reference", *SHAPES)


class RandomModel(LanguageModel):
    """A Llama of random weights, made on its device; there is no tokenizer."""

    def __init__(self, shape: str, device: str, dtype: str) -> None:
        self.path, self.lent = shape, False
        self.device, self.dtype = torch.device(device), DTYPES[dtype]
        self.config = LlamaConfig(**SHAPES[shape])

    @cached_property
    def model(self) -> Any:
        before = torch.get_default_dtype()
        torch.set_default_dtype(self.dtype)
        try:
            with self.device, torch.random.fork_rng():
                torch.manual_seed(0)
                model = AutoModelForCausalLM.from_config(self.config)
        finally:
            torch.set_default_dtype(before)
        return model.requires_grad_(False).eval()


def load(name: str, device: str, dtype: str) -> LanguageModel:
    """A model of that name, ready to run."""
    if name == "reference":
        return LanguageModel(path=str(model_path()), device=device, dtype=dtype)
    return RandomModel(name, device, dtype)

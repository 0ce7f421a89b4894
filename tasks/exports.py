"""What was tuned, in the formats that others read: a PEFT adapter, or a folder of ``transformers``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from harness.core import UserError
from tasks.language_model import LanguageModel

TASK_TYPES = {"causal": "CAUSAL_LM", "encoder-decoder": "SEQ_2_SEQ_LM"}
"""By family; PEFT puts prompts before the text of all other models as it does for feature extraction."""
ADAPTER = "adapter_model.safetensors"


def export_prompt(model: LanguageModel, prompt: Tensor, folder: Path) -> None:
    """Write a soft prompt ``[P, width]`` as an adapter of prompt tuning.

    Raises:
        UserError: where the ``peft`` library is not installed.
    """
    config = _peft().PromptTuningConfig(
        task_type=_task_type(model),
        base_model_name_or_path=model.path,
        num_virtual_tokens=len(prompt),
        token_dim=prompt.shape[1],
        num_transformer_submodules=1,  # a prompt of gradfree stands before the encoder's text only
        num_attention_heads=getattr(model.config, "num_attention_heads", 1),
        num_layers=getattr(model.config, "num_hidden_layers", 1),
        inference_mode=True,
    )
    _save(folder, config, {"prompt_embeddings": prompt})


def export_lora(
    model: LanguageModel, factors: Mapping[str, tuple[Tensor, Tensor]], alpha: float, folder: Path
) -> None:
    """Write LoRA factors, ``A [r, in]`` and ``B [out, r]`` by layer name, as an adapter.

    Raises:
        UserError: as ``export_prompt``.
    """
    rank = len(next(iter(factors.values()))[0])
    stored_transposed = any(
        not isinstance(module, nn.Linear)
        for name, module in model.skeleton.named_modules()
        if name in factors
    )
    config = _peft().LoraConfig(
        task_type=_task_type(model),
        base_model_name_or_path=model.path,
        r=rank,
        lora_alpha=alpha,
        target_modules=sorted(factors),
        fan_in_fan_out=stored_transposed,
        inference_mode=True,
    )
    weights = {}
    for layer, (down, up) in factors.items():
        weights[f"base_model.model.{layer}.lora_A.weight"] = down
        weights[f"base_model.model.{layer}.lora_B.weight"] = up
    _save(folder, config, weights)


def export_model(model: LanguageModel, weights: Mapping[str, Tensor], folder: Path) -> None:
    """Write the whole model with these weights, ``[*shape]`` by name, and its tokenizer."""
    import torch

    own = {name: weight.detach().clone() for name, weight in model.parameters.items()}
    with torch.no_grad():
        try:
            for name, weight in weights.items():
                model.parameters[name].copy_(weight)
            model.model.save_pretrained(folder)
        finally:
            for name, weight in own.items():
                model.parameters[name].copy_(weight)
    model.tokenizer.save_pretrained(folder)


def _task_type(model: LanguageModel) -> str:
    return TASK_TYPES.get(model.family, "FEATURE_EXTRACTION")


def _save(folder: Path, config: Any, weights: Mapping[str, Tensor]) -> None:
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    config.save_pretrained(str(folder))
    plain = {name: weight.detach().cpu().float().contiguous() for name, weight in weights.items()}
    save_file(plain, folder / ADAPTER, metadata={"format": "pt"})


def _peft() -> Any:
    try:
        import peft
    except ImportError:
        raise UserError("adapters are written by the peft library: pip install 'gradfree[peft]'") from None
    return peft

"""Which family a model is of, and the configurations of models that are known without looking them up."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any

from transformers.models.auto import modeling_auto

from harness.core import UserError
from tasks.families.base import Family
from tasks.families.causal import Causal
from tasks.families.encoder_decoder import EncoderDecoder
from tasks.families.masked import Masked
from tasks.families.sentence import Sentence

FAMILIES: Mapping[str, Family] = {
    family.name: family for family in (Causal(), Masked(), EncoderDecoder(), Sentence())
}


def family_of(config: Any, has_modules: Callable[[], bool]) -> Family:
    """The family of a model, from its configuration.

    Args:
        config: of ``transformers``.
        has_modules: looks up whether a modules.json lies beside it, as with sentence-transformers.

    Raises:
        UserError: where it is of none.

    >>> from transformers import BertConfig, GPT2Config
    >>> family_of(GPT2Config(), lambda: False).name
    'causal'
    >>> family_of(BertConfig(architectures=["BertForMaskedLM"]), lambda: False).name
    'masked'
    >>> family_of(BertConfig(architectures=["BertModel"]), lambda: True).name
    'sentence'
    """
    name = str((getattr(config, "architectures", None) or [""])[0])
    kind = getattr(config, "model_type", "")
    if getattr(config, "is_encoder_decoder", False):
        return FAMILIES["encoder-decoder"]
    looks_around = kind in modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES
    if looks_around and not getattr(config, "is_decoder", False) and "CausalLM" not in name:
        return FAMILIES["sentence" if name.endswith("Model") or has_modules() else "masked"]
    if kind in modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        return FAMILIES["causal"]
    raise UserError(f"{kind!r} is not a causal, masked, encoder-decoder or sentence model; choose another")


def shipped(name: str) -> dict[str, Any] | None:
    """The published configuration of a well-known model, or None.

    >>> shipped("roberta-large")["hidden_size"], shipped("nobody/nothing")
    (1024, None)
    """
    file = files("tasks.families") / "shapes" / f"{name.rpartition('/')[2].lower()}.json"
    if not file.is_file():
        return None
    shape: dict[str, Any] = json.loads(file.read_text())
    return shape if name in shape.pop("names") else None


def all_shipped() -> list[str]:
    """Names of the models whose configuration travels with gradfree.

    >>> "gpt2" in all_shipped()
    True
    """
    folder = files("tasks.families") / "shapes"
    return sorted(
        name
        for file in folder.iterdir()
        if file.name.endswith(".json")
        for name in json.loads(file.read_text())["names"]
    )

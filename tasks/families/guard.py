"""What a model's files may not do: bring code, other formats than safetensors, or files from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from harness.core import UserError

OWN_ATTENTION = (None, "eager", "sdpa", "flex_attention")
"""What a configuration may choose by itself; other ways may be compiled code that is fetched from the hub."""
INDEX = "model.safetensors.index.json"
ADAPTER = "adapter_config.json"
_SHARD = re.compile(r"[\w][\w.-]*\.safetensors")


def check_attention(config: Any, asked: str | None) -> None:
    """Refuse a configuration that names compiled code from elsewhere as its attention.

    Args:
        config: of ``transformers``.
        asked: the way that the user has named.

    Raises:
        UserError: where the configuration names one that only a user may.

    >>> from transformers import GPT2Config
    >>> check_attention(GPT2Config(attn_implementation="stranger/kernel"), None)
    Traceback (most recent call last):
        ...
    harness.core.errors.UserError: config.json asks for the attention 'stranger/kernel', which may be code from the hub; remove that line, or give attention=stranger/kernel if it is wanted
    """  # noqa: E501
    for part in _parts(config):
        attention = getattr(part, "_attn_implementation_internal", None)
        experts = getattr(part, "_experts_implementation_internal", None)
        found = attention if attention not in OWN_ATTENTION else experts if "/" in str(experts) else None
        if found is not None and found != asked:
            raise UserError(
                f"config.json asks for the attention {found!r}, which may be code from the hub; remove that "
                f"line, or give attention={found} if it is wanted"
            )


def check_weights(settings: Callable[[str], Any], config: Any) -> None:
    """Refuse weights that are not safetensors beside the model, and adapters that would be put on them.

    Args:
        settings: the JSON of a file beside the model, or an empty dict.
        config: of ``transformers``.

    Raises:
        UserError: naming the file.

    >>> check_weights({INDEX: {"weight_map": {"w": "../w.bin"}}}.get, None)
    Traceback (most recent call last):
        ...
    harness.core.errors.UserError: model.safetensors.index.json names the file '../w.bin'; only *.safetensors beside it are read
    """  # noqa: E501
    if settings(ADAPTER):
        raise UserError(
            f"{ADAPTER} lies beside it: an adapter is not taken for a model; merge it into the model, or "
            "remove it"
        )
    index = settings(INDEX) or {}
    shards = index.get("weight_map", {}) if isinstance(index, dict) else None
    if not isinstance(shards, dict):
        raise UserError(f"{INDEX}: is no index of tensors; save the model again")
    named = {INDEX: shards.values(), "config.json": [getattr(config, "transformers_weights", None) or INDEX]}
    for file, names in named.items():
        for name in names:
            if name != INDEX and not (isinstance(name, str) and _SHARD.fullmatch(name)):
                raise UserError(f"{file} names the file {name!r}; only *.safetensors beside it are read")


def _parts(config: Any) -> Iterator[Any]:
    """The configuration and those inside of it."""
    yield config
    for key in getattr(config, "sub_configs", ()):
        part = getattr(config, key, None)
        if part is not None:
            yield from _parts(part)

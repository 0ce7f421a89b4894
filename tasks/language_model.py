"""A frozen causal language model and its tokenizer, from a local folder or the hub."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from harness.core import UserError

DTYPES = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.bfloat16}
_HASHED = 2**18  # numbers of each tensor that are hashed: tells models apart, quick for large ones


class LanguageModel:
    """A causal ``transformers`` model whose weights are loaded on first use.

    Only safetensors are read, and no code that travels with a model is run.

    Args:
        path: a folder in ``transformers`` layout, or a name on the hub.
        device: ``cpu``, ``cuda`` or ``auto``.
        dtype: ``float32``, ``float64`` or ``bfloat16``, of the weights and of the forward pass.

    Raises:
        UserError: where the folder or name does not give a causal language model with safetensors.

    >>> LanguageModel(path="no/such/folder/at/all")
    Traceback (most recent call last):
        ...
    harness.core.errors.UserError: model no/such/folder/at/all: no such folder, and too deep for a hub name
    """

    def __init__(self, *, path: str, device: str = "cpu", dtype: str = "float32") -> None:
        if dtype not in DTYPES:
            raise UserError(f"model {path}: dtype {dtype!r} is not one of {', '.join(DTYPES)}")
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        if device.startswith("cuda") and not torch.cuda.is_available():
            raise UserError(f"model {path}: device {device!r} is not available here; use --device cpu")
        self.path = path
        self.lent = False
        self.device = torch.device(device)
        self.dtype = DTYPES[dtype]
        self._check_folder()
        self.config = self._load("AutoConfig")

    def _check_folder(self) -> None:
        folder = Path(self.path)
        if not folder.is_dir():
            if self.path.count("/") > 1 or self.path.startswith((".", "/", "~")):
                raise UserError(f"model {self.path}: no such folder, and too deep for a hub name")
            return
        if not (folder / "config.json").is_file():
            raise UserError(f"model {self.path}: no config.json in this folder; give a transformers folder")
        if not any(folder.glob("*.safetensors")):
            raise UserError(
                f"model {self.path}: no *.safetensors in this folder, and no other format is read; "
                "save it again with model.save_pretrained(folder)"
            )

    def _load(self, auto_class: str, **options: Any) -> Any:
        import transformers

        transformers.utils.logging.disable_progress_bar()
        try:
            return getattr(transformers, auto_class).from_pretrained(
                self.path, trust_remote_code=False, **options
            )
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:200]
            offline = " (offline: HF_HUB_OFFLINE is set)" if os.environ.get("HF_HUB_OFFLINE") == "1" else ""
            raise UserError(f"model {self.path}: {auto_class} cannot load it{offline}: {reason}") from error

    @cached_property
    def tokenizer(self) -> Any:
        """The model's own fast tokenizer."""
        tokenizer = self._load("AutoTokenizer")
        if not tokenizer.is_fast:
            raise UserError(f"model {self.path}: its tokenizer is not a fast one (tokenizer.json)")
        tokenizer.model_max_length = sys.maxsize  # texts are cut with care later on, so no warning here
        return tokenizer

    @cached_property
    def skeleton(self) -> Any:
        """The model's shapes on the meta device: no weights are read."""
        import transformers

        try:
            with torch.device("meta"):
                return transformers.AutoModelForCausalLM.from_config(self.config, trust_remote_code=False)
        except ValueError as error:
            kind = getattr(self.config, "model_type", "?")
            raise UserError(f"model {self.path}: {kind!r} is not a causal language model") from error

    @cached_property
    def model(self) -> Any:
        """The model with its weights, frozen, in evaluation mode."""
        model = self._load("AutoModelForCausalLM", use_safetensors=True, dtype=self.dtype)
        model.requires_grad_(False)
        return model.eval().to(self.device)

    @property
    def width(self) -> int:
        """Width of the input embeddings, without reading weights."""
        return int(self.skeleton.get_input_embeddings().weight.shape[1])

    @property
    def longest(self) -> int:
        """Most tokens that a sequence may have."""
        return int(getattr(self.config, "max_position_embeddings", None) or 2**20)

    @property
    def bytes_per_token(self) -> int:
        """About what the activations of one token take that live at once in a forward pass."""
        inner = getattr(self.config, "intermediate_size", None) or 4 * self.width
        return int((8 * self.width + 3 * inner) * self.dtype.itemsize)

    @property
    def embedding(self) -> nn.Embedding:
        """The input embedding."""
        embedding: nn.Embedding = self.model.get_input_embeddings()
        return embedding

    @cached_property
    def parameters(self) -> dict[str, Tensor]:
        """The model's own weights by name; tied ones once, under the first name."""
        return dict(self.model.named_parameters())

    @cached_property
    def head_names(self) -> tuple[str, str | None]:
        """Names of the output embedding's weight and bias; a tied weight has the input embedding's name."""
        head = self.model.get_output_embeddings()
        names = {id(value): name for name, value in self.parameters.items()}
        bias = getattr(head, "bias", None)
        return names[id(head.weight)], None if bias is None else names[id(bias)]

    @cached_property
    def resumes(self) -> bool:
        """Whether a sequence may be computed in two parts, the second from what attention keeps of the first.

        Found by trying: not all architectures hand that on, and not all that do are right.
        """
        ids = torch.arange(2, 18, device=self.device).reshape(2, 8) % self.embedding.num_embeddings
        try:
            with torch.no_grad():
                whole = self.model(input_ids=ids, use_cache=False).logits[:, -1].float()
                kept = self.model.base_model(input_ids=ids[:, :5], use_cache=True).past_key_values
                kept.batch_repeat_interleave(1)
                rest = self.model(input_ids=ids[:, 5:], past_key_values=kept, use_cache=True)
        except Exception:  # whatever it is that such a model does not do
            return False
        tolerance = 1e-3 if self.dtype.itemsize >= 4 else 0.05
        return bool((rest.logits[:, -1].float() - whole).abs().max() <= tolerance * whole.std())

    @cached_property
    def digest(self) -> str:
        """A hash of the configuration and of the first numbers of each tensor."""
        config = {
            k: v for k, v in self.config.to_dict().items() if k[0] != "_" and k != "transformers_version"
        }
        content = hashlib.sha256(json.dumps(config, sort_keys=True, default=str).encode())
        for name, value in self.parameters.items():
            content.update(f"{name}{tuple(value.shape)}".encode())
            flat = value.detach().cpu().reshape(-1)[:_HASHED].contiguous()
            content.update(flat.view(torch.uint8).numpy().tobytes())
        return content.hexdigest()

    def lend(self) -> None:
        """Leave the weights to one search, which moves them; the digest stays that of what they are now.

        Raises:
            UserError: the second time.
        """
        if self.lent:
            raise UserError(f"model {self.path}: its weights are lent already: load the model again")
        _ = self.digest
        self.lent = True

    def flops_per_token(self, length: int) -> float:
        """Floating-point operations of a forward pass, per token of a sequence of that length.

        Two for each weight of the layers, and the attention's two products; the embedding is a lookup.
        """
        depth = getattr(self.config, "num_hidden_layers", 1)
        return 2.0 * self._layer_weights + 4.0 * depth * length * getattr(self.config, "hidden_size", 1)

    @cached_property
    def _layer_weights(self) -> int:
        """Numbers in all layers but the embeddings."""
        tables = [m.weight for m in self.skeleton.modules() if isinstance(m, nn.Embedding)]
        every = sum(p.numel() for p in self.skeleton.base_model.parameters())
        return every - sum(table.numel() for table in tables)

"""A frozen language model and its tokenizer, from a local folder or the hub."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from importlib.util import find_spec
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from harness.core import UserError
from tasks.families import sentence, tiny
from tasks.families.base import Family, layer_weights, unloaded
from tasks.families.detect import FAMILIES, family_of
from tasks.families.guard import check_attention, check_weights
from tasks.families.source import Source
from tasks.families.whole import check_shapes

DTYPES = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.bfloat16}
Bits = Literal["8bit", "4bit"]
ATTENTION = ("eager", "sdpa", "flex_attention", "flash_attention_2", "flash_attention_3")
BLOCK_OF_4_BITS = 64
"""Weights that share a scale in bitsandbytes."""
_HASHED = 2**18  # numbers of each tensor that are hashed: tells models apart, quick for large ones


class LanguageModel:
    """A ``transformers`` model whose weights are loaded on first use.

    Only safetensors are read, and no code that travels with a model is run. Candidates go through the model
    together; where an architecture's layers do not allow that (found by trying, at first use, for those that
    are not among ``tasks.families.alone.PROVEN``), one after another: as right, but slower.

    Args:
        path: a folder in ``transformers`` layout, or a name on the hub.
        device: ``cpu``, ``cuda`` or ``auto``.
        dtype: ``float32``, ``float64`` or ``bfloat16``, of the weights and of the forward pass.
        family: ``causal``, ``masked``, ``encoder-decoder`` or ``sentence``; None is what the model says.
        attention: implementation, such as ``eager``, ``sdpa`` or ``flash_attention_2``; None is the model's.
        quantised: ``8bit`` or ``4bit`` weights of the frozen layers, through bitsandbytes; for prompt and
            LoRA tuning. With 8 bits all columns are rounded, outliers too (a threshold of zero): the library
            finds outliers in a whole batch, and a loss would show its company.
        smoke: a tiny, randomly initialised model of the same architecture instead; nothing is downloaded.
        planning: shapes only; weights are never read, and nothing is downloaded.

    Raises:
        UserError: where the folder or name does not give a model with safetensors.

    >>> LanguageModel(path="no/such/folder/at/all")
    Traceback (most recent call last):
        ...
    harness.core.errors.UserError: model no/such/folder/at/all: no such folder, and too deep for a hub name
    >>> LanguageModel(path="roberta-large", smoke=True).family
    'masked'
    """

    kind: Family = FAMILIES["causal"]
    attention: str | None = None
    quantised: Bits | None = None
    smoke = planning = False

    def __init__(
        self,
        *,
        path: str,
        device: str = "cpu",
        dtype: str = "float32",
        family: str | None = None,
        attention: str | None = None,
        quantised: Bits | None = None,
        smoke: bool = False,
        planning: bool = False,
    ) -> None:
        if dtype not in DTYPES:
            raise UserError(f"model {path}: dtype {dtype!r} is not one of {', '.join(DTYPES)}")
        if family is not None and family not in FAMILIES:
            raise UserError(f"model {path}: family {family!r} is not one of {', '.join(FAMILIES)}")
        if attention is not None and "/" not in attention and attention not in ATTENTION:
            raise UserError(
                f"model {path}: attention {attention!r} is not one of {', '.join(ATTENTION)}, nor owner/name "
                "of a kernel on the hub"
            )
        if quantised is not None and quantised not in get_args(Bits):
            raise UserError(
                f"model {path}: quantised {quantised!r} is not one of {', '.join(get_args(Bits))}"
            )
        if not re.fullmatch(r"auto|cpu|meta|cuda(:\d+)?", device):
            raise UserError(f"model {path}: device {device!r} is not one of auto, cpu, cuda, cuda:N")
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        if device.startswith("cuda") and not (torch.cuda.is_available() or planning):
            raise UserError(f"model {path}: device {device!r} is not available here; use --device cpu")
        self.path = path
        self.lent = False
        self.device = torch.device(device)
        self.dtype = DTYPES[dtype]
        self.attention, self.smoke, self.planning = attention, smoke, planning
        self.quantised = None if smoke else quantised
        self.source = Source(path, weights=not (smoke or planning), local=smoke or planning)
        with self._named():
            self.config = self.source.config()
            check_attention(self.config, attention)
        self.kind = FAMILIES[family] if family else self._found_family()
        if smoke:
            self.config = tiny.tiny_config(self.config.model_type)

    def _found_family(self) -> Family:
        with self._named():
            return family_of(self.config, lambda: bool(self.settings("modules.json")))

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Puts the model's path before what is wrong with it."""
        try:
            yield
        except UserError as error:
            said = str(error)
            place = f"model {self.path}: "
            raise UserError(said if said.startswith(place) else place + said) from error.__cause__

    @property
    def family(self) -> str:
        """``causal``, ``masked``, ``encoder-decoder`` or ``sentence``."""
        return self.kind.name

    def settings(self, file: str) -> Any:
        """The JSON of a file beside the model, or an empty dict where there is none."""
        return self.source.settings(file)

    @cached_property
    def tokenizer(self) -> Any:
        """The model's own fast tokenizer."""
        if self.smoke:
            return tiny.tiny_tokenizer(self.kind)
        tokenizer = self.source.load("AutoTokenizer")
        if not tokenizer.is_fast:
            raise UserError(f"model {self.path}: its tokenizer is not a fast one (tokenizer.json)")
        tokenizer.model_max_length = sys.maxsize  # texts are cut with care later on, so no warning here
        return tokenizer

    @cached_property
    def has_tokenizer(self) -> bool:
        """Whether a tokenizer is at hand; only in planning may it be missing."""
        if not self.planning:
            return True
        try:
            return self.tokenizer is not None
        except UserError:
            return False

    @cached_property
    def mask_token(self) -> int:
        """The mask's token; of masked models."""
        return int(self.tokenizer.mask_token_id)

    @cached_property
    def pooling(self) -> str:
        """How a sentence encoder makes a text's vector: ``mean`` or ``cls``."""
        return sentence.pooling(self)

    @cached_property
    def skeleton(self) -> Any:
        """The model's shapes on the meta device: no weights are read."""
        try:
            with torch.device("meta"):
                skeleton = unloaded(self.config, self.kind)
        except Exception as error:  # the library raises whatever odd settings lead it to
            kind = getattr(self.config, "model_type", "?")
            if isinstance(error, ValueError) and "nrecognized" in str(error):
                said = f"{kind!r} is not a {self.family} language model; leave family out, or say what it is"
            else:
                reason = " ".join(str(error).split())[:200]
                said = f"its config.json gives no model: {type(error).__name__}: {reason}; mend config.json"
            raise UserError(f"model {self.path}: {said}") from error
        if getattr(self.config, "quantization_config", None) is None:
            with self._named():
                check_shapes(self.source.shapes, skeleton)
        return skeleton

    @cached_property
    def model(self) -> Any:
        """The model with its weights, frozen, in evaluation mode.

        Raises:
            UserError: in planning, or where what quantises weights is not installed.
        """
        if self.planning:
            raise UserError(f"model {self.path}: a plan reads no weights")
        if self.smoke:
            model = tiny.tiny_weights(self.config, self.kind).to(self.dtype)
        else:
            _ = self.skeleton  # tells in one line what is no model of this family
            model = self._with_weights()
        model.requires_grad_(False)
        return model.eval() if self.quantised else model.eval().to(self.device)

    def _with_weights(self) -> Any:
        options: dict[str, Any] = {
            "use_safetensors": True,
            "dtype": self.dtype,
            **self.kind.made_with(self.config),
        }
        if self.attention is not None:
            options["attn_implementation"] = self.attention
        if self.quantised is not None:
            if find_spec("bitsandbytes") is None or find_spec("accelerate") is None:
                raise UserError(
                    f"model {self.path}: quantised={self.quantised} needs bitsandbytes and accelerate: "
                    "pip install 'gradfree[quantised]'"
                )
            from transformers import BitsAndBytesConfig

            options["quantization_config"] = BitsAndBytesConfig(
                **{f"load_in_{self.quantised}": True}, llm_int8_threshold=0.0
            )
            options["device_map"] = {"": self.device}
        with self._named():
            check_weights(self.settings, self.config)
        if self.quantised == "4bit" and self.device.type == "cpu":
            self._check_blocks()
        model, found = self.source.load(self.kind.auto_class, output_loading_info=True, **options)
        if missing := sorted(found["missing_keys"]):
            raise UserError(
                f"model {self.path}: its files lack {missing[0]!r} ({len(missing)} tensors in all), so "
                f"it is no whole {self.family} model; say what it is with family=..."
            )
        return model

    def _check_blocks(self) -> None:
        """Refuse layers of which 4 bits cannot be read by whole blocks: bitsandbytes fails on processors."""
        head = self.skeleton.get_output_embeddings()
        for name, layer in self.skeleton.named_modules():
            if isinstance(layer, nn.Linear) and layer is not head and layer.in_features % BLOCK_OF_4_BITS:
                raise UserError(
                    f"model {self.path}: quantised=4bit: layer {name} has {layer.in_features} inputs, and on "
                    f"processors they are read in blocks of {BLOCK_OF_4_BITS}; choose 8bit, or leave it out"
                )

    def check_tokens(self, ids: Iterable[int]) -> None:
        """Refuse tokens for which the model has no embedding.

        Raises:
            UserError: naming model and token.
        """
        rows = int(self.skeleton.get_input_embeddings().num_embeddings)
        largest = max(ids, default=0)
        if largest >= rows:
            raise UserError(
                f"model {self.path}: its tokenizer gives token {largest}, and it has {rows:,} embeddings: "
                "the tokenizer is another model's; save both together again"
            )

    @property
    def width(self) -> int:
        """Width of the input embeddings, without reading weights."""
        return int(self.skeleton.get_input_embeddings().weight.shape[1])

    @cached_property
    def longest(self) -> int:
        """Most positions that a sequence may have."""
        return self.kind.longest(self)

    @property
    def bytes_per_token(self) -> int:
        """About what the activations of one token take that live at once in a forward pass."""
        return self.kind.bytes_per_token(self)

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
        """Names of the output embedding's weight and bias; a tied weight has the input embedding's name.

        Raises:
            UserError: where the model says another layer is its output embedding (DeBERTa with legacy off).
        """
        head = self.model.get_output_embeddings()
        if head.weight.shape[0] < self.embedding.num_embeddings:
            raise UserError(f"model {self.path}: its output embedding has no row for every token")
        names = {id(value): name for name, value in self.parameters.items()}
        bias = getattr(head, "bias", None)
        return names[id(head.weight)], None if bias is None else names[id(bias)]

    @cached_property
    def head_module(self) -> nn.Module | None:
        """The module that ends with the output embedding, where that is but a part of a head."""
        head = self.model.get_output_embeddings()
        parts = [child for child in self.model.children() if child is not self.model.base_model]
        return next((part for part in parts if part is not head and head in list(part.modules())), None)

    @cached_property
    def tried(self) -> dict[Any, bool]:
        """Which kinds of population go through the layers at once, as far as tried."""
        return {}

    @cached_property
    def resumes(self) -> bool:
        """Whether a sequence may be computed in two parts, the second from what attention keeps of the first.

        Found by trying: not all architectures hand that on, and not all that do are right.
        """
        if not self.kind.resumes:
            return False
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
        if self.kind.matters:
            config = {"config": config, "family": self.family, "pooling": self.pooling}
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
        return self.kind.flops_per_token(self, length)

    @cached_property
    def layer_weights(self) -> int:
        """Numbers in all layers but the embeddings."""
        base = self.skeleton.base_model
        head = self.skeleton.get_output_embeddings() if base is self.skeleton else None
        if head is None or head.weight is self.skeleton.get_input_embeddings().weight:
            return layer_weights(base)
        return layer_weights(base) - int(head.weight.numel())

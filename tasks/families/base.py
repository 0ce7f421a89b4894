"""What a family of models is: how its inputs are made, where its answer stands, how classes are scored."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from tasks.datasets import Row, TextData
from tasks.weights import Weights

if TYPE_CHECKING:
    from tasks.language_model import LanguageModel

HIDDEN = "hidden_size"
INNER = ("intermediate_size", "ffn_dim", "d_ff", "n_inner", "encoder_ffn_dim")


class Family(ABC):
    """A kind of model: one stateless object for all models of the kind.

    A family whose attention sees the whole row takes a mask for the padding, and each of its rows keeps at
    least one padded position (``spare``): where no position is masked, other code computes attention, and a
    row's last bits would depend on its company.
    """

    name: ClassVar[str]
    auto_class: ClassVar[str]
    """The ``transformers`` class that loads it."""
    spare: ClassVar[int] = 1
    """Padded positions that every row keeps."""
    resumes: ClassVar[bool] = False
    """Whether what rows begin with may be computed once: only where attention looks back."""
    matters: ClassVar[bool] = False
    """Whether the family is part of a model's identity beside the configuration."""
    between: ClassVar[str | None] = None
    """What stands between examples in a prompt; None where a model reads none."""

    @abstractmethod
    def ids(self, tokenizer: Any, text: str) -> list[int]:
        """Ids of a filled template."""

    def made_with(self, config: Any) -> dict[str, Any]:
        """Arguments with which the auto class makes a model of that configuration."""
        return {}

    def mask(self, tokenizer: Any) -> str:
        """What stands at a template's ``{mask}``."""
        return ""

    @abstractmethod
    def check_words(self, data: TextData, tokenizer: Any) -> None:
        """Refuse label words that cannot be told apart.

        Raises:
            UserError: naming the data set and the word.
        """

    @abstractmethod
    def words(self, data: TextData, model: LanguageModel) -> Tensor:
        """What stands for the classes: tokens int64 ``[C]``, or vectors ``[C, width]``."""

    def inputs(
        self, model: LanguageModel, ids: Tensor, lengths: Tensor, prompts: Tensor | None
    ) -> dict[str, Any]:
        """Arguments of the model's forward for rows of ids, with soft prompts ``[n * R, P, width]`` first."""
        masks = (torch.arange(ids.shape[1], device=ids.device) < lengths[:, None]).long()
        if prompts is None:
            return {"input_ids": ids, "attention_mask": masks}
        before = masks.new_ones(prompts.shape[:2])
        embedded = torch.cat([prompts, model.embedding(ids)], dim=1)
        return {"inputs_embeds": embedded, "attention_mask": torch.cat([before, masks], dim=1)}

    @abstractmethod
    def logits(
        self,
        model: LanguageModel,
        words: Tensor,
        weights: Weights,
        rows: Answered,
        call: Callable[[], Any],
    ) -> Tensor:
        """Logits ``[n, R, C]``, float32 or wider, of the rows that ``call`` runs through the model."""

    @abstractmethod
    def features(
        self, model: LanguageModel, words: Tensor, rows: Answered, call: Callable[[], Any]
    ) -> Tensor:
        """What the untouched model's answer is read from, ``[R, width]``, float32 or wider."""

    def longest(self, model: LanguageModel) -> int:
        """Positions that a sequence may have."""
        return int(getattr(model.config, "max_position_embeddings", None) or 2**20)

    def flops_per_token(self, model: LanguageModel, length: int) -> float:
        """Operations of a forward per token of a row: two for each weight, and the attention's products."""
        depth = getattr(model.config, "num_hidden_layers", 1)
        attended = length + positional(model.config)
        return 2.0 * model.layer_weights + 4.0 * depth * attended * getattr(model.config, HIDDEN, 1)

    def bytes_per_token(self, model: LanguageModel) -> int:
        """About what the activations of one token take that live at once in a forward."""
        inner = next((n for key in INNER if (n := getattr(model.config, key, None))), 4 * model.width)
        return int((8 * model.width + 3 * inner) * model.dtype.itemsize)


class Answered:
    """Where the answers of a batch stand: n members' rows after one another.

    Args:
        ids: int64 ``[n * R, T]``, padded at the right.
        lengths: of the rows, int64 ``[n * R]``.
        before: soft tokens before each row.
    """

    def __init__(self, ids: Tensor, lengths: Tensor, before: int) -> None:
        self.ids, self.lengths, self.before = ids, lengths, before

    @property
    def last(self) -> Tensor:
        """The last position of each row."""
        return self.lengths - 1 + self.before

    @property
    def real(self) -> Tensor:
        """Which positions hold text, bool ``[n * R, before + T]``: not padding, and not soft tokens."""
        place = torch.arange(self.before + self.ids.shape[1], device=self.ids.device)
        return (place >= self.before) & (place < self.before + self.lengths[:, None])


def positional(config: Any) -> int:
    """Relative positions whose vectors meet each query and each key, as in DeBERTa."""
    if not getattr(config, "relative_attention", False):
        return 0
    buckets = getattr(config, "position_buckets", -1)
    return 2 * (buckets if buckets > 0 else config.max_position_embeddings)


def empty(data: TextData, text: str = "a") -> Row:
    """A row whose every field is the same short text."""
    return Row(dict.fromkeys(data.fields, text), 0)


def padded(rows: Sequence[Sequence[int]], length: int) -> Tensor:
    """Ids of several lengths as one int64 ``[R, length]``, zeros at the right."""
    ids = torch.zeros(len(rows), length, dtype=torch.long)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row)
    return ids


def unloaded(config: Any, family: Family) -> Any:
    """A model of that configuration; its weights are as its architecture initialises them."""
    import transformers

    auto_class = getattr(transformers, family.auto_class)
    return auto_class.from_config(config, trust_remote_code=False, **family.made_with(config))


def layer_weights(module: nn.Module) -> int:
    """Numbers in a module but for its embeddings."""
    tables = {id(m.weight): m.weight.numel() for m in module.modules() if isinstance(m, nn.Embedding)}
    return sum(p.numel() for p in module.parameters()) - sum(tables.values())

"""One candidate at a time: for models whose layers a population cannot pass through as one.

Whether it can is tried at first use, for every architecture that the tests do not compare: some layers read
a tensor without calling the layer that owns it, or give it no batch dimension.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from harness.core import UserError
from tasks.kernels import written_out
from tasks.weights import Weights

if TYPE_CHECKING:
    from tasks.language_model import LanguageModel

PROVEN = frozenset(
    {
        *("gpt2", "opt", "llama", "qwen2", "qwen3", "mistral", "gpt_neox", "granite"),
        *("bert", "roberta", "deberta-v2", "electra", "t5"),
    }
)
"""Architectures whose batched forward the tests compare with plain evaluation."""


def passes(
    model: LanguageModel,
    weights: Weights,
    tensors: frozenset[str],
    compute: Callable[[Weights, bool], Tensor],
) -> bool:
    """Whether members computed at once get what each gets alone; found by trying, once for each kind.

    Args:
        model: whose layers run.
        weights: of which kind members are.
        tensors: names of what they see differently.
        compute: logits ``[n, R, C]`` of given weights, at once or (True) one at a time.

    Raises:
        UserError: for a model of few bits, whose members cannot be computed apart.
    """
    kind = getattr(model.config, "model_type", None)
    if not tensors or kind in PROVEN:
        return True
    if model.quantised:
        raise UserError(f"model {model.path}: populations of a quantised {kind} are not supported")
    tried = weights.kind, tensors
    if tried not in model.tried:
        with torch.no_grad():
            shaken = Shaken(weights.kind, weights.members, {name: model.parameters[name] for name in tensors})
            model.tried[tried] = _equal(lambda alone: compute(shaken, alone), model.dtype)
    return model.tried[tried]


def _equal(compute: Callable[[bool], Tensor], dtype: torch.dtype) -> bool:
    try:
        together = compute(False)
    except torch.OutOfMemoryError:
        raise
    except Exception:  # whatever it is that such a layer does not do
        return False
    apart = compute(True)
    tolerance = 1e-3 if dtype.itemsize >= 4 else 0.05
    return bool((together - apart).abs().max() <= tolerance * apart.std())


def own_tensors(model: LanguageModel, weights: Weights, tensors: frozenset[str]) -> dict[str, Tensor]:
    """The tensors that one member sees differently, written out.

    Args:
        model: whose own they replace.
        weights: of that one member.
        tensors: their names.
    """
    found = {}
    for name in tensors:
        own = model.parameters[name]
        whole, shared = written_out(weights, name, own), weights.shared(name)
        found[name] = whole[0] if whole is not None else own if shared is None else shared
    return found


class Shaken(Weights):
    """Members whose every tensor is far from the model's own, so that one overlooked shows in the logits.

    Args:
        kind: of ``Weights``: matrices by factors where ``low-rank``.
        members: n.
        own: the model's tensors.

    >>> shaken = Shaken("low-rank", 2, {"w": torch.ones(3, 4), "b": torch.ones(3)})
    >>> shaken.factors("w")[0].shape, shaken.stacked("b").shape, shaken.stacked("w") is None
    (torch.Size([2, 3, 1]), torch.Size([2, 3]), True)
    """

    def __init__(self, kind: str, members: int, own: Mapping[str, Tensor]) -> None:
        super().__init__(members)
        self.kind = kind
        self._tensors: dict[str, Tensor] = {}
        self._pairs: dict[str, tuple[Tensor, Tensor]] = {}
        generator = torch.Generator().manual_seed(0)
        for name, value in sorted(own.items()):
            size = 0.5 * float(value.float().square().mean().sqrt()) or 0.5
            if kind == "low-rank" and value.ndim == 2:
                left, right = (torch.randn(members, k, 1, generator=generator) for k in value.shape)
                self._pairs[name] = size * left.to(value), right.to(value)
                continue
            shape = value.shape if kind == "shared" else (members, *value.shape)
            self._tensors[name] = value + size * torch.randn(shape, generator=generator).to(value)

    def alone(self, member: int) -> Weights:
        part = slice(member, member + 1)
        one = Shaken(self.kind, 1, {})
        one._pairs = {name: (left[part], right[part]) for name, (left, right) in self._pairs.items()}
        shared = self.kind == "shared"
        one._tensors = {name: x if shared else x[part] for name, x in self._tensors.items()}
        return one

    def shared(self, name: str) -> Tensor | None:
        return self._tensors.get(name) if self.kind == "shared" else None

    def factors(self, name: str) -> tuple[Tensor, Tensor] | None:
        return self._pairs.get(name)

    def stacked(self, name: str) -> Tensor | None:
        return None if self.kind == "shared" else self._tensors.get(name)

"""What is measured: a model, a tuning, and a population on rows of random tokens."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from harness.core import Gaussian, LowRank, Perturbations, Space
from tasks.batching import Batches, Member
from tasks.encoding import Encoded
from tasks.language_model import LanguageModel
from tasks.tuning.base import Tuning, parameters_of
from tasks.tuning.full import FullTuning
from tasks.tuning.lora import LoRATuning
from tasks.tuning.prompt import PromptTuning

SOFT_TOKENS = 8
RANK = 8
TUNINGS = ("prompt", "lora", "low-rank", "dense", "dense one-sided")
SIGMA = 0.1


@dataclass(frozen=True, eq=False)
class Setting:
    """A population of n members, each on R rows of T positions, soft prompt included.

    Args:
        model: loaded on first use.
        tuning: ``prompt`` (8 soft tokens), ``lora`` (r = 8, all linear layers), and the whole model with
            perturbations of rank 1 (``low-rank``), or dense normal ones of mirrored pairs (``dense``) or of
            single members (``dense one-sided``).
        population: n.
        rows: R.
        tokens: T.
    """

    model: LanguageModel
    tuning: str
    population: int
    rows: int
    tokens: int

    @cached_property
    def parts(self) -> tuple[Tuning, Space]:
        """The tuning and its space."""
        tuning: Tuning = {
            "prompt": lambda: PromptTuning(tokens=SOFT_TOKENS),
            "lora": lambda: LoRATuning(rank=RANK, matrices=("all",)),
        }.get(self.tuning, FullTuning)()
        return tuning, tuning.space(self.model)

    @cached_property
    def batches(self) -> Batches:
        """Ours."""
        return Batches(self.model, *self.parts, self.words)

    @cached_property
    def words(self) -> Tensor:
        """Two label words."""
        return torch.tensor([5, 9])

    @cached_property
    def minibatch(self) -> Encoded:
        """R rows of random tokens, those of a soft prompt left out."""
        generator = torch.Generator().manual_seed(1)
        length = self.tokens - self.parts[0].prefix_tokens
        vocabulary = int(self.model.config.vocab_size)
        ids = torch.randint(10, vocabulary, (self.rows, length), generator=generator)
        return Encoded(ids, torch.full((self.rows,), length), torch.zeros(self.rows, dtype=torch.long))

    def asked(self, generation: int) -> Perturbations:
        """The population of a generation; mirrored pairs, but for ``dense one-sided``."""
        _, space = self.parts
        numbers = torch.arange(self.population)
        one_sided = self.tuning == "dense one-sided"
        members = numbers if one_sided else numbers // 2
        signs = torch.ones_like(numbers) if one_sided else 1 - 2 * (numbers % 2)
        law = (LowRank if self.tuning == "low-rank" else Gaussian)(space, 0, generation)
        return Perturbations(space.start(), law, SIGMA, members, signs.to(torch.int8))

    def written_out(self, generation: int) -> dict[str, Tensor]:
        """Parameters ``[n, *shape]`` of every block, drawn beforehand."""
        return parameters_of(self.asked(generation), self.parts[1])

    def members(self, generation: int) -> list[Member]:
        """As ours takes them."""
        asked = self.asked(generation)
        return [Member(asked, i, self.minibatch) for i in range(self.population)]

    @property
    def positions(self) -> int:
        """Tokens through the model, soft prompts counted: ``n R T``."""
        return self.population * self.rows * self.tokens

"""What a tuning is: a space over a frozen model, and how candidates of it change the model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field
from torch import Tensor

from harness.core import Points, Population, Projected, Space, UserError
from tasks.language_model import LanguageModel
from tasks.weights import Weights

Seed = Annotated[int, Field(ge=0, lt=2**31)]


@dataclass(frozen=True, eq=False)
class View:
    """How n members see the model: weights, the tensors these change, and soft prompts ``[n, P, width]``."""

    weights: Weights
    tensors: frozenset[str] = field(default=frozenset())
    prefix: Tensor | None = None


class Tuning(ABC):
    """How a candidate changes a model.

    Args:
        subspace: dimension of a random projection through which the space is searched, or None.
        seed: of the starting point and of the projection.
    """

    packs: ClassVar[bool]
    """Candidates of several runs share the frozen model, so their rows go through one forward."""
    prefix_tokens: int = 0
    """Soft tokens that a candidate puts before each sequence."""

    def __init__(self, subspace: int | None = None, seed: int = 0) -> None:
        self.subspace = subspace
        self.seed = seed

    def dimension(self, model: LanguageModel) -> int:
        """d of the space, without reading weights.

        Raises:
            UserError: for a subspace larger than what it projects to.
        """
        native = self.native_dimension(model)
        if self.subspace is not None and self.subspace > native:
            raise self._too_large(native)
        return self.subspace or native

    def space(self, model: LanguageModel) -> Space:
        """The space that algorithms search."""
        native = self.native_space(model)
        if self.subspace is None:
            return native
        if self.subspace > native.size:
            raise self._too_large(native.size)
        return Projected(native, self.subspace, self.seed)

    def _too_large(self, native: int) -> UserError:
        return UserError(
            f"subspace={self.subspace} is more than the {native:,} parameters it projects to; lower it"
        )

    @abstractmethod
    def native_dimension(self, model: LanguageModel) -> int:
        """Number of tuned parameters, without reading weights."""

    @abstractmethod
    def native_space(self, model: LanguageModel) -> Space:
        """The tuned parameters themselves."""

    @abstractmethod
    def view(self, model: LanguageModel, parameters: Mapping[str, Tensor]) -> View:
        """Members given as parameters ``[n, *shape]`` of each block of the native space."""

    def view_of(self, model: LanguageModel, population: Population, space: Space) -> View:
        """Members given as a population; one that can be seen without writing it out overrides this."""
        return self.view(model, parameters_of(population, space))

    def view_alone(self, model: LanguageModel, candidate: Population, space: Space) -> View:
        """A population of one, to be scored on many rows."""
        return self.view_of(model, candidate, space)

    def export(self, model: LanguageModel, candidate: Population, space: Space, folder: Path) -> str:
        """Write a population of one in a format that others read; returns what that is, in a few words.

        Raises:
            UserError: where there is no such format.
        """
        raise UserError(f"{type(self).__name__} has no format in which others could use it")


def parameters_of(population: Population, space: Space) -> dict[str, Tensor]:
    """A population's parameters ``[n, *shape]`` of each block of the (native) space, written out."""
    if isinstance(population, Points):
        return space.parameters(population.values)
    own = {block.name: population.materialise(block.name) for block in population.space.blocks}
    return space.parameters(own["z"]) if isinstance(space, Projected) else own

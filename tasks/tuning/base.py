"""What a tuning is: a space over a frozen model, and how candidates of it change the model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from torch import Tensor

from harness.core import Perturbations, Points, Population, Projected, Space, UserError
from tasks.language_model import LanguageModel
from tasks.weights import Weights


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

    def __init__(self, subspace: int | None = None, seed: int = 0) -> None:
        self.subspace = subspace
        self.seed = seed

    def task(self, data: Any, model: Any, objective: Any, protocol: Any, name: str) -> Any:
        """The task of tuning this model on these data: see ``tasks.text_task.TextTask``."""
        from tasks.text_task import TextTask

        return TextTask(data, model, self, objective, protocol, name)

    def dimension(self, model: LanguageModel) -> int:
        """d of the space, without reading weights."""
        return self.subspace or self.native_dimension(model)

    def space(self, model: LanguageModel) -> Space:
        """The space that algorithms search."""
        native = self.native_space(model)
        if self.subspace is None:
            return native
        if self.subspace > native.size:
            raise UserError(
                f"subspace={self.subspace} is more than the {native.size:,} parameters it projects to"
            )
        return Projected(native, self.subspace, self.seed)

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


def parameters_of(population: Population, space: Space) -> dict[str, Tensor]:
    """A population's parameters ``[n, *shape]`` of each block of the (native) space, written out."""
    if isinstance(population, Points):
        return space.parameters(population.values)
    own = {block.name: population.materialise(block.name) for block in population.space.blocks}
    return space.parameters(own["z"]) if isinstance(space, Projected) else own


def center_of(population: Population, space: Space) -> dict[str, Tensor]:
    """The parameters ``shape`` of a population of one; a center is passed on without a copy."""
    if (
        isinstance(population, Perturbations)
        and not isinstance(space, Projected)
        and not bool(population.signs.any())
    ):
        return dict(population.center)
    return {name: value[0] for name, value in parameters_of(population, space).items()}

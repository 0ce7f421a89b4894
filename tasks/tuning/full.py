"""Full-parameter tuning: the model's own weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar, TypeGuard

import torch
from pydantic import Field
from torch import Tensor, nn

from harness.core import Block, Perturbations, Population, Projected, Space, UserError
from harness.core.space import Kind
from tasks.exports import export_model
from tasks.language_model import LanguageModel
from tasks.text_task import TextTuning
from tasks.tuning.base import Seed, View, parameters_of
from tasks.weights import Perturbed, Replaced, Stacked

_SLICE = 2**20


class FullTuning(TextTuning):
    """Every weight of the model, tied ones once.

    The starting point is the model itself, not a copy. A tensor's scale is ``CHANGE`` times the root mean
    square of its entries (of an all-zero one, such as a fresh bias, that of the largest vector).

    Args:
        subspace: dimension of a random projection, or None for the weights themselves.
        seed: of the projection.

    >>> from tasks.reference.registered import reference
    >>> FullTuning().dimension(reference()) > 100_000
    True
    """

    packs: ClassVar[bool] = False
    CHANGE: ClassVar[float] = 0.25
    in_place: ClassVar[bool] = False

    def __init__(self, *, subspace: Annotated[int, Field(ge=1)] | None = None, seed: Seed = 0) -> None:
        super().__init__(subspace, seed)

    def native_dimension(self, model: LanguageModel) -> int:
        if model.quantised:
            raise UserError(
                f"model {model.path}: full tuning moves weights, and these have {model.quantised[:-3]} bits; "
                "leave quantised out, or choose prompt or lora"
            )
        return sum(parameter.numel() for parameter in model.skeleton.parameters())

    def native_space(self, model: LanguageModel) -> Space:
        tables = {id(module.weight) for module in model.model.modules() if isinstance(module, nn.Embedding)}
        weights = {name: weight.detach() for name, weight in model.parameters.items()}
        sizes = {name: _root_mean_square(weight) for name, weight in weights.items()}
        largest = max((sizes[name] for name, w in weights.items() if w.ndim == 1), default=1.0) or 1.0
        blocks = []
        for name, weight in model.parameters.items():
            kind: Kind = "vector" if weight.ndim == 1 else "embedding" if id(weight) in tables else "matrix"
            blocks.append(Block(name, tuple(weight.shape), kind, self.CHANGE * (sizes[name] or largest)))
        return Space(blocks, weights, in_place=self.in_place)

    def view(self, model: LanguageModel, parameters: Mapping[str, Tensor]) -> View:
        members = len(next(iter(parameters.values())))
        return View(Stacked(members, parameters), frozenset(parameters))

    def view_of(self, model: LanguageModel, population: Population, space: Space) -> View:
        if isinstance(population, Perturbations) and not isinstance(space, Projected):
            return View(Perturbed(population), frozenset(block.name for block in space.blocks))
        return super().view_of(model, population, space)

    def view_alone(self, model: LanguageModel, candidate: Population, space: Space) -> View:
        """One candidate is a model of its own: its weights replace the model's, a bare center uncopied."""
        center = _weights_of(candidate, space)
        return View(Replaced(1, center), frozenset(center))

    def export(self, model: LanguageModel, candidate: Population, space: Space, folder: Path) -> str:
        export_model(model, _weights_of(candidate, space), folder)
        return "transformers folder"


class LentTuning(FullTuning):
    """Full tuning that lends the model's own weights to one search, which moves them in place.

    For models of which memory holds one copy; from Python, not in sweeps, whose cells share a model. The
    task's signature has to be asked for before the search, its ``best()`` is the model as it goes on
    moving, and the model is of no use to another task: load it again.

    >>> from tasks.reference.registered import reference
    >>> model = reference()
    >>> LentTuning().space(model).lend()["model.norm.weight"].data_ptr() == (
    ...     model.parameters["model.norm.weight"].data_ptr()
    ... )
    True
    >>> LentTuning().space(model)
    Traceback (most recent call last):
        ...
    harness.core.errors.UserError: ...: its weights are lent already: load the model again
    """

    in_place: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__()

    def native_space(self, model: LanguageModel) -> Space:
        model.lend()
        return super().native_space(model)


def _root_mean_square(weight: Tensor) -> float:
    """Over all entries, by slices of rows: of a large tensor no copy in float32 is made."""
    slices = weight.split(max(1, _SLICE // weight[0].numel()))
    shares = [len(rows) / len(weight) * rows.float().square().mean() for rows in slices]
    return float(torch.stack(shares).sum().sqrt())


def _weights_of(candidate: Population, space: Space) -> Mapping[str, Tensor]:
    """A candidate's own weights by name, a bare center uncopied."""
    if _bare_center(candidate, space):
        return candidate.center
    return {name: value[0] for name, value in parameters_of(candidate, space).items()}


def _bare_center(candidate: Population, space: Space) -> TypeGuard[Perturbations]:
    return (
        isinstance(candidate, Perturbations)
        and not isinstance(space, Projected)
        and not bool(candidate.signs.any())
    )

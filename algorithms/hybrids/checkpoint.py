"""A point that another run has left in a file, to start from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from harness.core import Algorithm, Budget, Gaussian, Perturbations, Points, Population, Space, UserError

_FLOATS = ("F64", "F32", "F16", "BF16")


class Checkpoint(Algorithm):
    """Report the point in a file, and ask for nothing.

    For ``chain[first=checkpoint[path=FILE],then=mezo,share=0]``. A marked reference: no budget counts what
    the point has cost. ``save_checkpoint`` writes such a file.

    Args:
        path: a safetensors file with a floating-point tensor of each block's name and shape; tensors of
            other names are left alone. From the working directory. None for the start of the space.

    ``best()`` is the point in the file, in the dtype of the start.

    Raises:
        UserError: if the file cannot be read, or does not fit the space.

    >>> import tempfile
    >>> from harness.core import Block
    >>> space = Space([Block("w", (2,), "vector")])
    >>> file = Path(tempfile.mkdtemp()) / "point.safetensors"
    >>> save_checkpoint(file, Points(torch.tensor([[1.0, -2.0]])), space)
    >>> checkpoint = Checkpoint(space, Budget(20), seed=0, path=file)
    >>> checkpoint.ask(remaining=20) is None, checkpoint.best().center["w"]
    (True, tensor([ 1., -2.]))
    """

    family = "hybrids"
    reference = True
    smallest_budget = 0

    def __init__(self, space: Space, budget: Budget, seed: int, *, path: Path | None = None) -> None:
        super().__init__(space, budget, seed)
        self.path = path
        if path is not None:
            _check(path, space)

    @classmethod
    def configured(cls, **options: Any) -> type[Algorithm]:
        path = options.get("path")
        if path is not None:
            with _read(path):
                pass
        return cls

    def ask(self, remaining: int) -> None:
        return None

    def tell(self, population: Population, losses: Tensor, gradients: Tensor | None = None) -> None:
        raise ValueError("a checkpoint asks for nothing, so there is nothing to tell it")

    def best(self) -> Perturbations | None:
        if self.path is None:
            return None
        with safe_open(self.path, framework="pt", device=str(self.space.device)) as file:
            center = {
                block.name: file.get_tensor(block.name).to(self.space.start_of(block.name).dtype)
                for block in self.space.blocks
            }
        itself = torch.zeros(1, dtype=torch.int64)
        return Perturbations(center, Gaussian(self.space, self.seed, 0), 0.0, itself, itself.to(torch.int8))


def save_checkpoint(path: Path, best: Population | None, space: Space) -> None:
    """Write what an algorithm reports as a file that ``checkpoint`` takes; None for the start.

    Args:
        path: of the safetensors file; one that is there is replaced.
        best: a population of one, of that space.
        space: gives the names and, for points, the parameters.

    Raises:
        ValueError: for a population of another size than one.
    """
    if best is not None and len(best) != 1:
        raise ValueError(f"a checkpoint holds one candidate, not {len(best)}")
    if best is None:
        parameters = space.start()
    elif isinstance(best, Points):
        # The base class's: a projected space's own would lift the coordinates to the model's parameters.
        parameters = {name: value[0] for name, value in Space.parameters(space, best.values).items()}
    else:
        parameters = {block.name: best.materialise(block.name)[0] for block in space.blocks}
    save_file({name: value.detach().cpu().contiguous() for name, value in parameters.items()}, path)


_REMEDY = "write the file with save_checkpoint from a run on the same task"


@contextmanager
def _read(path: Path) -> Iterator[Any]:
    """The open file; no tensor is read."""
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (OSError, SafetensorError) as problem:
        said = " ".join(str(problem).split())
        raise UserError(f"path: {path} cannot be read as safetensors: {said}; {_REMEDY}") from problem


def _check(path: Path, space: Space) -> None:
    """Compare names, shapes and types with the space's."""
    with _read(path) as file:
        names = set(file.keys())
        for block in space.blocks:
            if block.name not in names:
                raise UserError(f"path: {path} holds no tensor {block.name!r}; {_REMEDY}")
            found = file.get_slice(block.name)
            if tuple(found.get_shape()) != block.shape or found.get_dtype() not in _FLOATS:
                shape = "x".join(map(str, found.get_shape()))
                wanted = "x".join(map(str, block.shape))
                raise UserError(
                    f"path: {path}: tensor {block.name!r} is {found.get_dtype()} {shape}, "
                    f"not floating-point {wanted}; {_REMEDY}"
                )

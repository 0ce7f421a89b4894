"""Whether the weights in a folder are whole and those of its configuration: by their headers alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from harness.core import UserError

Shapes = Mapping[str, tuple[int, ...]]


def shapes_in(folder: Path) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor in the safetensors files of a folder, by name.

    Raises:
        UserError: naming a file that is cut short, or is something else.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "model.safetensors").write_text("no tensors")
    >>> shapes_in(folder)
    Traceback (most recent call last):
        ...
    harness.core.errors.UserError: model.safetensors: is cut short or no safetensors (header too large); copy it again
    """  # noqa: E501
    found = {}
    for file in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(file, framework="pt") as tensors:
                for name in tensors.keys():  # noqa: SIM118  # it is no mapping
                    found[name] = tuple(tensors.get_slice(name).get_shape())
        except (OSError, SafetensorError) as error:
            said = str(error).strip().splitlines()[0].removeprefix("Error while deserializing header: ")
            raise UserError(f"{file.name}: is cut short or no safetensors ({said}); copy it again") from None
    return found


def check_shapes(stored: Shapes, skeleton: Any) -> None:
    """Refuse weights that are not of the shapes that the configuration asks for.

    Tensors of other names are left to the library, which knows under which they were stored in earlier years.

    Args:
        stored: shapes by name.
        skeleton: the model without weights.

    Raises:
        UserError: naming the tensor.

    >>> from torch import nn
    >>> check_shapes({"weight": (2, 3)}, nn.Linear(3, 4, device="meta"))
    Traceback (most recent call last):
        ...
    harness.core.errors.UserError: its weights hold 'weight' as 2x3, and its config.json asks for 4x3; take both files from one model
    """  # noqa: E501
    for name, value in skeleton.state_dict().items():
        own = stored.get(name)
        if own is not None and own != tuple(value.shape):
            sizes = ["x".join(map(str, shape)) for shape in (own, value.shape)]
            raise UserError(
                f"its weights hold {name!r} as {sizes[0]}, and its config.json asks for {sizes[1]}; "
                "take both files from one model"
            )

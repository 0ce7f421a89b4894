"""A user's own data sets and models, as a sweep file defines them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.core.errors import UserError
from harness.plugins.messages import shown

FILES = "files"
"""The registered data set that reads a user's files."""
TRANSFORMERS = "transformers"
"""The registered model that reads a folder, or a name on the hub, through the transformers library."""

FILE_KEYS = ("train", "test", "dev")
"""Options of ``files`` that are paths."""


@dataclass(frozen=True)
class Definitions:
    """Data sets and models by name, each with the options of its factory.

    Args:
        datasets: name -> options of ``files``, such as ``train``, ``test``, ``text``, ``label``.
        models: name -> options of ``transformers``: ``path``, and what else it takes.
        folder: that relative paths start from.

    >>> Definitions(models={"stories": {"path": "models/stories260k"}}).models["stories"]["path"]
    'models/stories260k'
    """

    datasets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    models: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    folder: Path = Path()

    def dataset(self, name: str) -> dict[str, Any]:
        """Options of a defined data set, its paths absolute; raises UserError for a missing file."""
        options = dict(self.datasets[name])
        for key in FILE_KEYS:
            if options.get(key) is None:
                options.pop(key, None)
                continue
            with _naming(f"datasets.{name}.{key}"):
                path = (self.folder / expanded(str(options[key]))).absolute()
            if not os.path.isfile(path):  # unlike Path's, False for any text that can be no path
                raise UserError(
                    f"datasets.{name}.{key}: there is no file {shown(options[key])} "
                    f"in {str(self.folder.absolute())!r}; give its path from there"
                )
            options[key] = str(path)
        return options

    def model(self, name: str) -> dict[str, Any]:
        """Options of a defined model with an absolute path where it is a folder."""
        options = dict(self.models[name])
        with _naming(f"models.{name}.path"):
            return {**options, "path": self.locate(str(options.get("path", "")))}

    def locate(self, path: str) -> str:
        """The absolute folder a model's path means, or the path itself as a name on the hub.

        Raises:
            UserError: for a path that can only be a folder, and is not there.
        """
        folder = (self.folder / expanded(path)).absolute()
        if path and os.path.isdir(folder):
            return str(folder)
        if not path or path.startswith((".", "/", "~")) or path.count("/") > 1:
            raise UserError(
                f"there is no folder {shown(path)} in {str(self.folder.absolute())!r}; give its path from "
                f"there, or a hub name as owner/model"
            )
        return path


@contextmanager
def _naming(place: str) -> Iterator[None]:
    try:
        yield
    except UserError as error:
        raise UserError(f"{place}: {error}") from None


def expanded(path: str) -> Path:
    """A path with the home folder in place of its ``~``.

    Raises:
        UserError: where there is no such home.

    >>> expanded("results/mine").as_posix()
    'results/mine'
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise UserError(f"{shown(path)}: there is no such home; write the whole path") from None


def fingerprint(value: Any) -> Any:
    """What stands for a value in a content hash, wherever the files lie: the same data, the same hash.

    A file stands for its bytes; a folder for its files' names and sizes; anything else for itself.

    Raises:
        UserError: for a file that cannot be read.

    >>> fingerprint({"rank": 4})
    {'rank': 4}
    """
    if isinstance(value, Mapping):
        return {str(key): fingerprint(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [fingerprint(each) for each in value]
    if not (isinstance(value, str | Path) and os.path.isabs(value)):
        return value
    path = Path(value)
    if os.path.isfile(path):  # unlike Path's, False for any text that can be no path
        try:
            with path.open("rb") as file:
                return f"file {hashlib.file_digest(file, 'sha256').hexdigest()}"
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror}); name a file that can") from error
    if os.path.isdir(path):
        files = sorted(each for each in path.rglob("*") if each.is_file())
        return ["folder", *([each.relative_to(path).as_posix(), each.stat().st_size] for each in files)]
    return str(path)

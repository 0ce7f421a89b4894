"""A user's own data sets and models, as a sweep file defines them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.core.errors import UserError

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
            path = (self.folder / Path(str(options[key])).expanduser()).absolute()
            if not path.is_file():
                raise UserError(
                    f"datasets.{name}.{key}: there is no file {options[key]!r} "
                    f"in {str(self.folder.absolute())!r}; give its path from there"
                )
            options[key] = str(path)
        return options

    def model(self, name: str) -> dict[str, Any]:
        """Options of a defined model with an absolute path where it is a folder."""
        options = dict(self.models[name])
        try:
            return {**options, "path": self.locate(str(options.get("path", "")))}
        except UserError as error:
            raise UserError(f"models.{name}.path: {error}") from None

    def locate(self, path: str) -> str:
        """The absolute folder a model's path means, or the path itself as a name on the hub.

        Raises:
            UserError: for a path that can only be a folder, and is not there.
        """
        folder = (self.folder / Path(path).expanduser()).absolute()
        if path and folder.is_dir():
            return str(folder)
        if not path or path.startswith((".", "/", "~")) or path.count("/") > 1:
            raise UserError(
                f"there is no folder {path!r} in {str(self.folder.absolute())!r}; give its path from there, "
                f"or a hub name as owner/model"
            )
        return path


def fingerprint(value: Any) -> Any:
    """What stands for a value in a content hash, wherever the files lie: the same data, the same hash.

    A file stands for its bytes; a folder for its files' names and sizes; anything else for itself.

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
        with path.open("rb") as file:
            return f"file {hashlib.file_digest(file, 'sha256').hexdigest()}"
    if os.path.isdir(path):
        files = sorted(each for each in path.rglob("*") if each.is_file())
        return ["folder", *([each.relative_to(path).as_posix(), each.stat().st_size] for each in files)]
    return str(path)

"""Where a model comes from: a folder, the hub, the hub's cache, or what travels with gradfree."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch

from harness.core import UserError
from tasks.families.detect import all_shipped, shipped
from tasks.families.whole import shapes_in


class Source:
    """A folder in ``transformers`` layout, or a name on the hub. No code that travels with a model is run.

    Args:
        path: folder or name.
        weights: whether weights will be read: then a folder has to hold safetensors.
        local: look into folders, the hub's cache and the shipped shapes only.

    Raises:
        UserError: for a folder or name that cannot be a model.
    """

    def __init__(self, path: str, weights: bool, local: bool) -> None:
        self.path, self.local = path, local
        self.shapes: dict[str, tuple[int, ...]] = {}
        folder = Path(path)
        if not folder.is_dir():
            if path.count("/") > 1 or path.startswith((".", "/", "~")):
                raise UserError(f"model {path}: no such folder, and too deep for a hub name")
            return
        if not (folder / "config.json").is_file():
            raise UserError(f"model {path}: no config.json in this folder; give a transformers folder")
        if weights and not any(folder.glob("*.safetensors")):
            raise UserError(
                f"model {path}: no *.safetensors in this folder, and no other format is read; "
                "save it again with model.save_pretrained(folder)"
            )
        if weights:
            try:
                self.shapes = shapes_in(folder)
            except UserError as error:
                raise UserError(f"model {path}: {error}") from None

    def load(self, auto_class: str, **options: Any) -> Any:
        """What an auto class of ``transformers`` makes of it.

        Raises:
            UserError: in one line, where it cannot.
        """
        import transformers

        logging = transformers.utils.logging
        logging.disable_progress_bar()
        before = logging.get_verbosity()
        logging.set_verbosity_error()  # what is missing is told by whoever asks for weights
        if self.local:
            options["local_files_only"] = True
        try:
            return getattr(transformers, auto_class).from_pretrained(
                self.path, trust_remote_code=False, **options
            )
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # the library raises whatever broken files lead it to
            if Path(self.path).is_dir():
                part = {"AutoConfig": "config.json", "AutoTokenizer": "tokenizer"}.get(auto_class, "weights")
                reason = " ".join(str(error).split())[:300]
                raise UserError(
                    f"model {self.path}: {auto_class} cannot load it: {type(error).__name__}: {reason}; "
                    f"mend its {part}, or save the model again"
                ) from error
            reason = " ".join(str(error).split())[:200]
            offline = " (offline: HF_HUB_OFFLINE is set)" if os.environ.get("HF_HUB_OFFLINE") == "1" else ""
            raise UserError(f"model {self.path}: {auto_class} cannot load it{offline}: {reason}") from error
        finally:
            logging.set_verbosity(before)

    def config(self) -> Any:
        """The configuration.

        Raises:
            UserError: where only a shipped one would do, and there is none of that name.
        """
        if not self.local or Path(self.path).is_dir():
            return self.load("AutoConfig")
        try:
            return self.load("AutoConfig")
        except UserError:
            shape = shipped(self.path)
        if shape is None:
            raise UserError(
                f"model {self.path}: neither a folder nor in the hub's cache, and its shape does not travel "
                f"with gradfree; those that do are {', '.join(all_shipped())}"
            )
        from transformers import AutoConfig

        return AutoConfig.for_model(**shape)

    def settings(self, file: str) -> Any:
        """The JSON of a file beside the model, or an empty dict where there is none."""
        from transformers.utils import cached_file

        try:
            found = cached_file(
                self.path,
                file,
                local_files_only=self.local,
                _raise_exceptions_for_missing_entries=False,
                _raise_exceptions_for_connection_errors=False,
                _raise_exceptions_for_gated_repo=False,
            )
        except (OSError, ValueError):
            found = None
        return {} if found is None else json.loads(Path(found).read_text(encoding="utf-8"))

"""The reference model and its data sets: a language small enough to ship with the package.

`model_path()` is the model's folder; `tasks.reference.datasets` has the data.
"""

from __future__ import annotations

from pathlib import Path


def model_path() -> Path:
    """The folder of the stored model and tokenizer, for the `from_pretrained` of transformers' Auto classes.

    >>> (model_path() / "config.json").is_file()
    True
    """
    return Path(__file__).parent / "model"

"""The rows of a published set from the Hugging Face hub, at the pinned revision."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.core import UserError
from tasks.published.card import Card
from tasks.published.table import Line, kept

WITHOUT_SCRIPTS = 4
"""The major version of the library that runs no code of a data set."""


def read_hub(card: Card, name: str, rows: int | None) -> dict[str, list[Line]]:
    """Lines of each split, from the library's cache where they are there already.

    Args:
        card: of the data set.
        name: of the data set, for messages.
        rows: at most so many of each split, the same ones every time; None for all.

    Raises:
        UserError: where the library is not installed, or the rows can be had neither from the hub nor from
            the cache.
    """
    hub = card.hub
    library = _library(name)
    try:
        builder = library.load_dataset_builder(hub.name, hub.config, revision=hub.revision)
        _check_revision(builder, card, name)
        builder.download_and_prepare()
        parts = {split: builder.as_dataset(split=theirs) for split, theirs in hub.splits.items()}
    except UserError:
        raise
    except (OSError, ValueError, RuntimeError) as error:  # how the library says offline, unknown and moved
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(
            f"{name}: {hub.name} cannot be had from the hub, and is not in its cache: {reason}; "
            f"go online once, or give a local folder: {name}[path=...]"
        ) from None
    return {split: _lines(part, name, split, rows) for split, part in parts.items()}


def is_cached(card: Card) -> bool:
    """Whether the rows are in the library's cache; False too where the library is not installed."""
    try:
        import datasets
    except ImportError:
        return False
    owner, _, own = card.hub.name.partition("/")
    folder = Path(datasets.config.HF_DATASETS_CACHE) / f"{owner}___{own.lower()}"
    return any(folder.glob(f"{card.hub.config or '*'}/*/{card.hub.revision or '*'}/dataset_info.json"))


def _library(name: str) -> Any:
    try:
        import datasets
    except ImportError:
        raise UserError(
            f'{name}: rows of the hub need the library datasets: pip install "gradfree[hub]", '
            f"or give a local folder: {name}[path=...]"
        ) from None
    if int(datasets.__version__.partition(".")[0]) < WITHOUT_SCRIPTS:
        raise UserError(
            f"{name}: datasets {datasets.__version__} may run scripts that lie beside the rows: pip install "
            f'"datasets>={WITHOUT_SCRIPTS}", or give a local folder: {name}[path=...]'
        )
    return datasets


def _check_revision(builder: Any, card: Card, name: str) -> None:
    # Offline, the library takes whatever revision it finds in its cache.
    cached = type(builder).__module__.startswith("datasets.packaged_modules.cache")
    if cached and card.hub.revision not in (None, builder.hash):
        raise UserError(
            f"{name}: the cache holds revision {builder.hash} of {card.hub.name}, and results are pinned to "
            f"{card.hub.revision}; go online once"
        )


def _lines(part: Any, name: str, split: str, rows: int | None) -> list[Line]:
    numbers = kept(len(part), rows, f"{name}/{split}")
    return [
        Line(f"{name}: {split}: row {number}", {column.lower(): value for column, value in row.items()})
        for number, row in zip(numbers, part.select(numbers), strict=True)
    ]

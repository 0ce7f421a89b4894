"""The rows of a published set from a local folder."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from harness.core import UserError
from tasks.published.card import Card
from tasks.published.rows import is_labelled, known_columns
from tasks.published.table import SUFFIXES, Line, read_table

SEEDS = (13, 21, 42, 87, 100)
"""Of the published k-shot splits, in the order of repetitions."""
NAMES = {"train": ("train",), "dev": ("dev", "validation", "valid", "val"), "test": ("test",)}
"""How the file of a split may be called; ``dev_matched`` and ``snli_1.0_dev`` count as ``dev``."""


@dataclass
class Folder:
    """Lines of each split, and the k-shot splits among them.

    Args:
        splits: lines by name of the split.
        shots: (train, dev) splits of repetition 0, 1, ... where the folder has k-shot splits.
        per_class: k of those.
    """

    splits: dict[str, list[Line]]
    shots: tuple[tuple[str, str], ...] = ()
    per_class: int | None = field(default=None)


def read_folder(path: Path, card: Card, name: str, per_class: int | None) -> Folder:
    """Read ``train``, ``dev`` and ``test`` files, or the published splits ``16-13``, ``16-21``, ...

    Where the publishers keep the labels of the test file, the dev file is what is reported on.

    Args:
        path: the folder.
        card: of the data set.
        name: of the data set, for messages.
        per_class: chooses k where there are splits of several.

    Raises:
        UserError: naming the file and the remedy.
    """
    if not path.is_dir():
        raise UserError(f"{name}: there is no folder {str(path)!r}; give the path of a folder of split files")
    shots = _shot_folders(path, name, per_class)
    if shots is None:
        return Folder(_read(path, card, name))
    k, folders = shots
    splits: dict[str, list[Line]] = {}
    for seed, folder in folders.items():
        own = _read(folder, card, name, needed=("train", "dev", "test"))
        if "test" in splits and _values(own["test"]) != _values(splits["test"]):
            raise UserError(
                f"{name}: {folder}: its test rows are not those of {next(iter(folders.values())).name}; "
                "give all seeds the same test file, as the published splits do"
            )
        splits |= {f"train-{seed}": own["train"], f"dev-{seed}": own["dev"], "test": own["test"]}
    return Folder(splits, tuple((f"train-{seed}", f"dev-{seed}") for seed in folders), k)


def _values(lines: list[Line]) -> list[object]:
    return [line.values for line in lines]


def _shot_folders(path: Path, name: str, per_class: int | None) -> tuple[int, dict[int, Path]] | None:
    found: dict[int, dict[int, Path]] = {}
    for folder in path.iterdir():
        match = re.fullmatch(r"(\d+)-(\d+)", folder.name)
        if match and folder.is_dir():
            found.setdefault(int(match[1]), {})[int(match[2])] = folder
    if not found:
        return None
    if per_class is None and len(found) > 1:
        raise UserError(
            f"{name}: {path}: has splits of {', '.join(map(str, sorted(found)))} rows per class; "
            f"choose one: {name}[path=...,per_class={min(found)}]"
        )
    k = per_class if per_class is not None else next(iter(found))
    if k not in found:
        known = ", ".join(map(str, sorted(found)))
        raise UserError(
            f"{name}: {path}: has no splits of {k} rows per class, but of {known}; choose per_class"
        )
    seeds = sorted(
        found[k], key=lambda seed: (seed not in SEEDS, SEEDS.index(seed) if seed in SEEDS else seed)
    )
    return k, {seed: found[k][seed] for seed in seeds}


def _read(path: Path, card: Card, name: str, needed: tuple[str, ...] = ("train",)) -> dict[str, list[Line]]:
    files = {split: _file(path, split, name) for split in NAMES}
    for split in needed:
        if files[split] is None:
            raise UserError(f"{name}: {path}: has no {split} file; name it {split}.tsv, .csv, .jsonl or .txt")
    columns = known_columns(card)
    splits = {split: read_table(file, columns) for split, file in files.items() if file is not None}
    if "test" in splits and not is_labelled(card, splits["test"]):
        del splits["test"]
    if "test" not in splits and "dev" in splits:
        splits["test"] = splits.pop("dev")
    if "test" not in splits:
        raise UserError(f"{name}: {path}: has neither a test nor a dev file with labels; add test.tsv")
    return splits


def _file(path: Path, split: str, name: str) -> Path | None:
    def is_one(file: Path) -> bool:
        parts = re.split(r"[._-]", file.stem.lower())
        return file.suffix in SUFFIXES and "mismatched" not in parts and bool(set(NAMES[split]) & set(parts))

    found = sorted(file for file in path.iterdir() if file.is_file() and is_one(file))
    if len(found) > 1:
        both = " and ".join(file.name for file in found)
        raise UserError(f"{name}: {path}: both {both} could be the {split} rows; move one away")
    return found[0] if found else None

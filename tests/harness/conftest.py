"""Distributions made on the spot, with real metadata."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Puts a distribution on the search path: its entry points of a group, and the source of its module."""
    modules = []

    def put(name: str, group: str, points: Mapping[str, str], module: str, source: str) -> None:
        folder = tmp_path / "site" / name
        information = folder / f"{name}-1.2.dist-info"
        information.mkdir(parents=True)
        lines = "\n".join(f"{key} = {value}" for key, value in points.items())
        (information / "entry_points.txt").write_text(f"[{group}]\n{lines}\n")
        (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
        (folder / f"{module}.py").write_text(source)
        monkeypatch.syspath_prepend(folder)
        monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)  # of processes that are started
        modules.append(module)

    yield put
    for module in modules:
        sys.modules.pop(module, None)

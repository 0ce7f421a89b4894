"""What a stranger may send: files that act when they are loaded, and a folder of results to be altered."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness import sweep
from tasks.families.tiny import tiny_model
from tests.security.strangers import SMALL, Edit, Trap


@pytest.fixture
def trap(tmp_path: Path) -> Trap:
    """A trap that has not sprung."""
    return Trap(tmp_path / "sprung")


@pytest.fixture(scope="session")
def _model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model("gpt2", tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def model(_model: Path, tmp_path: Path) -> Path:
    """A folder with a tiny model, to be spoilt."""
    return Path(shutil.copytree(_model, tmp_path / "model"))


@pytest.fixture(scope="session")
def _results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("results") / "theirs"
    sweep(SMALL, out=out)
    return out


@pytest.fixture
def theirs(_results: Path, tmp_path: Path) -> Path:
    """A stranger's folder of results, to be spoilt: random and zero-shot, a repetition each."""
    return Path(shutil.copytree(_results, tmp_path / "theirs"))


@pytest.fixture
def mine(_results: Path, tmp_path: Path) -> Path:
    """Results of one's own, to be merged with."""
    return Path(shutil.copytree(_results, tmp_path / "mine"))


@pytest.fixture
def edit() -> Edit:
    """Changes a JSON file."""

    def change(file: Path, by: Callable[[dict[str, Any]], None]) -> None:
        content = json.loads(file.read_text())
        by(content)
        content.pop("checksum", None)  # which tells of accidents, and which a forger leaves away
        file.write_text(json.dumps(content))

    return change


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Runs the command line; returns exit code, standard output and standard error."""
    from harness import cli

    def run(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["gradfree", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        out, err = capsys.readouterr()
        code = end.value.code
        return (0 if code is None else int(code)), out, err

    return run


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str, str], None]]:
    """Puts an installed distribution with one algorithm on the search path: name, module, source."""
    modules = []

    def put(name: str, module: str, source: str) -> None:
        folder = tmp_path / "site" / name
        information = folder / f"{name}-1.0.dist-info"
        information.mkdir(parents=True)
        (information / "entry_points.txt").write_text(f"[gradfree.algorithms]\n{name} = {module}:Algorithm\n")
        (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (folder / f"{module}.py").write_text(source)
        monkeypatch.syspath_prepend(folder)
        modules.append(module)

    yield put
    for module in modules:
        sys.modules.pop(module, None)

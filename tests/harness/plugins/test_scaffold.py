"""What ``gradfree new`` writes is installed for real, in an environment over this one's packages."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from harness import load_results
from harness.core import UserError
from harness.plugins.scaffold import write_package


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """The Python of a virtual environment that sees this environment's packages, editable ones too."""
    folder = tmp_path / "environment"
    venv.create(folder, symlinks=True, with_pip=False)
    scheme = sysconfig.get_preferred_scheme("prefix") if sys.prefix == sys.base_prefix else "venv"
    paths = sysconfig.get_paths(scheme, {"base": str(folder), "platbase": str(folder)})
    here = sysconfig.get_paths()["purelib"]
    Path(paths["purelib"], "below.pth").write_text(f"import site; site.addsitedir({here!r})\n")
    return Path(paths["scripts"], "python")


def test_a_new_package_is_installed_checked_and_swept_at_once(tmp_path: Path, environment: Path) -> None:
    def run(*words: str) -> str:
        variables = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": ""}
        done = subprocess.run(
            [environment, *words], cwd=tmp_path, capture_output=True, text=True, env=variables, check=False
        )
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    gradfree = ("-c", "from harness.cli import main; main()")
    said = run(*gradfree, "new", "my-optimizer")
    assert (
        said
        == "my-optimizer is written; next: pip install -e my-optimizer, then gradfree check my-optimizer\n"
    )
    run(
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "-e",
        "my-optimizer",
    )
    (report,) = json.loads(run(*gradfree, "check", "my-optimizer", "--json"))
    assert report["ok"]
    sweep = ("sweep", "--tasks", "sphere", "--algorithms", "my-optimizer", "--budget", "50")
    run(*gradfree, *sweep, "--repetitions", "1", "--quiet", "--out", "out")
    runs = load_results(tmp_path / "out").runs.set_index("algorithm")
    assert runs.status["my-optimizer"] == "finished"
    assert runs.test_metric["my-optimizer"] < runs.test_metric["zero-shot"]
    run("-m", "pytest", "-q", "my-optimizer")


def test_the_package_names_the_algorithm_everywhere(tmp_path: Path) -> None:
    folder = write_package("my-optimizer2", tmp_path)
    texts = {path.name: path.read_text() for path in folder.rglob("*") if path.is_file()}
    assert set(texts) == {"pyproject.toml", "README.md", "my_optimizer2.py", "test_my_optimizer2.py"}
    assert 'my-optimizer2 = "my_optimizer2:MyOptimizer2"' in texts["pyproject.toml"]
    assert "class MyOptimizer2(Algorithm):" in texts["my_optimizer2.py"]
    assert not any("emplate" in text or "{" in texts["README.md"] for text in texts.values())


@pytest.mark.parametrize("name", ["My-Optimizer", "my_optimizer", "2nd", "my--optimizer", "", "../up", "a b"])
def test_a_bad_name_is_refused_with_a_good_one(name: str, tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match="is no name for a package; write lower-case words as in my-optimizer"
    ):
        write_package(name, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("mezo", r"algorithm 'mezo' is already registered by gradfree==.*; choose another name"),
        ("json", r"'json': Python knows 'json' as something else; choose another name"),
        ("class", r"'class': Python knows 'class' as something else"),
        ("harness", r"'harness': Python knows 'harness'"),
    ],
)
def test_a_name_that_is_taken_is_refused(name: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=said):
        write_package(name, tmp_path)


def test_an_existing_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(UserError, match="mine exists; choose another name, or another folder with --into"):
        write_package("mine", tmp_path)
    assert not list((tmp_path / "mine").iterdir())


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(
        UserError, match="mine cannot be written: Not a directory; choose another with --into"
    ):
        write_package("mine", tmp_path / "file")


@pytest.mark.parametrize("name", ["points", "space", "budget"])
def test_a_class_that_would_hide_what_the_algorithm_uses_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="choose another name"):
        write_package(name, tmp_path)
    assert not list(tmp_path.iterdir())

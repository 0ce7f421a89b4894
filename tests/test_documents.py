"""What the documents tell people to type works."""

from __future__ import annotations

import importlib
import re
import shlex
import shutil
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from harness import Sweep, check_algorithm, load_results, make_plan, sweep
from harness.cli import app
from harness.plugins.registry import ALGORITHMS
from tasks.reference import model_path
from tasks.reference.registered import topic

ROOT = Path(__file__).parents[1]
SMALL = ["--repetitions", "1", "--budget", "12", "--quiet"]


def blocks(document: str, language: str) -> list[str]:
    text = (ROOT / document).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def commands(document: str, program: str) -> list[list[str]]:
    lines = [line for block in blocks(document, "bash") for line in block.splitlines()]
    return [shlex.split(line) for line in lines if line.startswith(program)]


def run(arguments: list[str]) -> None:
    small = SMALL if arguments[0] == "sweep" else []
    result = CliRunner().invoke(app, [*arguments, *small], catch_exceptions=False)
    assert result.exit_code == 0, (arguments, result.output)


def test_the_commands_of_the_readme_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = commands("README.md", "gradfree")
    assert [arguments[1] for arguments in found[:5]] == ["list", "plan", "sweep", "status", "leaderboard"]
    for arguments in found:
        one_algorithm = ["--algorithms", "mezo"] if arguments[1:3] == ["sweep", "quick"] else []
        run([*arguments[1:], *one_algorithm])
    assert (tmp_path / "results" / "quick" / "leaderboard.csv").is_file()


def test_the_scripts_of_the_readme_exist_and_share_their_set_up() -> None:
    scripts = [arguments[1] for arguments in commands("README.md", "bash")]
    assert scripts == ["scripts/quickstart.sh", "scripts/test.sh"]
    assert all("setup.sh" in (ROOT / script).read_text() for script in scripts)
    assert "scripts/test.sh" in (ROOT / ".ci" / "run").read_text()


def test_the_python_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(blocks("README.md", "python")[0], {})
    assert set(load_results("results/quick").runs.status) <= {"finished", "skipped"}


def test_the_figure_of_the_results_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sweep(
        "quick",
        out="results/quick",
        tasks=["sentiment/reference/prompt"],
        algorithms=["mezo", "random"],
        repetitions=2,
        budget=20,
    )
    exec(blocks("results/README.md", "python")[0], {})
    assert (tmp_path / "convergence.png").stat().st_size > 1000


def test_the_algorithm_of_the_readme_runs_beside_the_built_in_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(blocks("README.md", "python")[1], namespace)
    with ALGORITHMS.register("hill-climb", namespace["HillClimb"]):
        results = sweep(
            Sweep.from_flags(
                tasks=["sphere"], algorithms=["hill-climb[sigma=0.3]", "random"], repetitions=3, budget=200
            ),
            out=tmp_path / "out",
        )
        check_algorithm("hill-climb")
    losses = results.runs.groupby("algorithm").test_metric.mean()
    assert losses["hill-climb[sigma=0.3]"] < losses["zero-shot"]


def test_the_plugins_of_the_document_are_checked_and_swept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a distribution with the entry points that the document names."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GRADFREE_EXECUTOR", "inline")
    *module, test, slow = blocks("docs/plugins.md", "python")
    site = tmp_path / "site"
    (site / "climbers-1.0.dist-info").mkdir(parents=True)
    (site / "climbers.py").write_text("\n".join([*module, slow]))
    project = tomllib.loads(blocks("docs/plugins.md", "toml")[0])["project"]
    groups = [
        "\n".join([f"[{group}]", *(f"{name} = {place}" for name, place in points.items())])
        for group, points in project["entry-points"].items()
    ]
    (site / "climbers-1.0.dist-info" / "entry_points.txt").write_text("\n".join(groups))
    (site / "climbers-1.0.dist-info" / "METADATA").write_text("Name: climbers\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(site)
    new, *others = commands("docs/plugins.md", "gradfree")
    run(new[1:])
    monkeypatch.syspath_prepend(tmp_path / "my-optimizer")
    climbers, mine = importlib.import_module("climbers"), importlib.import_module("my_optimizer")
    with ALGORITHMS.register("my-optimizer", mine.MyOptimizer):  # tests/harness/plugins install it for real
        for arguments in others:
            run(arguments[1:])
    namespace: dict[str, Any] = {}
    exec(test, namespace)
    namespace["test_the_plugins_keep_the_contract"]()
    assert check_algorithm(climbers.Slow)["better-than-random-at-500"].status == "expected failure"
    for name in ("climbers", "my_optimizer"):
        sys.modules.pop(name)


def test_the_sweep_file_for_ones_own_data_runs_as_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the paths it names: a CSV of four classes, and a model folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "news.yaml").write_text(blocks("docs/your-own-data.md", "yaml")[0])
    shutil.copytree(model_path(), tmp_path / "models" / "stories260k")
    (tmp_path / "news").mkdir()
    for split in ("train", "test"):
        rows = [f'{row.label},"{row.fields["text"]}"' for row in topic().splits[split]]
        (tmp_path / "news" / f"{split}.csv").write_text("label,text\n" + "\n".join(rows))
    words = dict(zip(("world", "game", "money", "tech"), topic().words, strict=True))
    text = (tmp_path / "news.yaml").read_text()
    for there, known in words.items():  # the reference model knows a few hundred words only
        text = text.replace(f": {there}", f": {known}")
    (tmp_path / "news.yaml").write_text(text.replace("It is about", ". it is about"))
    assert len(make_plan(Sweep.load("news.yaml")).cells) == 3 * 10 * 3
    for arguments in commands("docs/your-own-data.md", "gradfree"):
        run(arguments[1:])
    exec(blocks("docs/your-own-data.md", "python")[0], {})
    assert set(load_results("results/news").runs.status) == {"finished", "skipped"}

"""YAML from strangers: texts, lists and mappings; a tag that makes an object makes none."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from harness import Sweep
from harness.core import UserError
from tasks.published.card import Card
from tests.security.strangers import Trap

TAGS = (
    '!!python/object/apply:os.system ["touch {mark}"]',
    '!!python/object/apply:subprocess.check_output [["touch", "{mark}"]]',
    '!!python/object/new:os.system ["touch {mark}"]',
    "!!python/object/apply:pathlib.Path.touch [!!python/object/apply:pathlib.Path [{mark}]]",
    "!!python/name:os.system",
    "!!python/module:os",
)


@pytest.fixture(params=TAGS)
def tagged(request: pytest.FixtureRequest, trap: Trap) -> str:
    """A value that would run a command, or name one."""
    return str(request.param).format(mark=trap.mark)


def test_the_trap_works(trap: Trap) -> None:
    yaml.unsafe_load(TAGS[0].format(mark=trap.mark))
    assert trap.sprung


@pytest.mark.parametrize("key", ["tasks", "algorithms", "out", "budget", "models", "protocol"])
def test_a_sweep_file_makes_no_objects(key: str, tagged: str, trap: Trap, tmp_path: Path) -> None:
    file = tmp_path / "sweep.yaml"
    keys = {"tasks": "[sphere]", "algorithms": "[random]", key: tagged}
    file.write_text("".join(f"{name}: {value}\n" for name, value in keys.items()))
    try:
        read = Sweep.load(file)
    except UserError:
        read = None
    assert not trap.sprung
    # What is read is what stands there, as text.
    assert read is None or isinstance(read.out or "", str)


def test_a_card_makes_no_objects(tagged: str, trap: Trap) -> None:
    # As tasks.published.card reads it.
    with pytest.raises(yaml.YAMLError, match="could not determine a constructor"):
        Card.model_validate(yaml.safe_load(f"summary: {tagged}\n"))
    assert not trap.sprung


def test_aliases_within_aliases_are_refused_before_they_are_written_out(tmp_path: Path) -> None:
    # Ten lists of ten of the list before: small to hold, endless to print.
    lines = ["a0: &a0 [x]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12))]
    file = tmp_path / "sweep.yaml"
    file.write_text("\n".join([*lines, "tasks: *a11", "algorithms: [random]"]))
    with pytest.raises(UserError, match="more than 100,000 values"):
        Sweep.load(file)
    file.write_text("tasks: &a [*a]\nalgorithms: [random]\n")
    with pytest.raises(UserError, match="an alias stands inside of what it names"):
        Sweep.load(file)


def test_aliases_that_repeat_a_little_are_read(tmp_path: Path) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text(
        "tasks: [sphere, rastrigin]\nalgorithms: [random]\nexceptions:\n"
        "  - {tasks: &one [sphere], budget: 8}\npublished:\n"
        "  - &figure {task: sphere, algorithm: random, metric: loss, value: 1, source: me}\n  - *figure\n"
    )
    assert len(Sweep.load(file).published) == 2

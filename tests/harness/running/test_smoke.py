"""A smoke run is small whatever the sweep says, and cannot be taken for the real one."""

from __future__ import annotations

import pytest

from harness.core import Algorithm
from harness.plugins.registry import ALGORITHMS, DATASETS, MODELS
from harness.running.plan import make_plan
from harness.running.smoke import BUDGETS, least_budget
from harness.running.sweep_file import Sweep

FILE = """\
tasks: ["{data}/reference/prompt", "sphere"]
algorithms: [random]
repetitions: 4
budget: 5000
smoke: true
protocol: {{per_class: 16, minibatch: 1, train_rows: 1000}}
tuning: {{trials: 8}}
exceptions: [{{tasks: [sphere], budget: 9000, train_rows: 77}}]
"""


class Needy(Algorithm):
    """Needs ten evaluations."""

    smallest_budget = 10

    def ask(self, remaining):
        return None

    def tell(self, population, losses, gradients=None): ...

    def best(self):
        return None


class Hopeless(Needy):
    smallest_budget = 10**6


def test_the_key_cuts_everything_that_costs_and_raises_nothing(tmp_path):
    file = tmp_path / "sweep.yaml"
    file.write_text(FILE.format(data="sentiment"))
    words = Sweep.load(file)
    assert (words.repetitions, words.budget, words.tuning.trials) == (1, 24, 2)
    protocol = words.protocol
    assert (protocol.per_class, protocol.minibatch, protocol.test_rows, protocol.dev_points) == (2, 1, 8, 2)
    assert (protocol.train_rows, protocol.dev_rows) == (4, None)
    assert [each.sizes for each in words.exceptions] == [{}]
    assert Sweep.from_dict(words.to_dict()) == words
    (tmp_path / "again.yaml").write_text(words.to_yaml())
    assert Sweep.load(tmp_path / "again.yaml").to_dict()["protocol"] == words.to_dict()["protocol"]


def test_the_budget_is_the_least_that_every_algorithm_accepts():
    with ALGORITHMS.register("needy", Needy), ALGORITHMS.register("hopeless", Hopeless):
        words = Sweep.from_flags(tasks="sphere", algorithms="random,needy,hopeless", budget=5000, smoke=True)
        cells = make_plan(words).cells
    assert {cell.budget for cell in cells} == {12}
    assert {cell.algorithm for cell in cells if cell.skip} == {"hopeless"}


def test_a_budget_that_is_small_already_stays():
    assert least_budget(3, [dict.fromkeys(BUDGETS)]) == 3


def test_names_say_what_is_replaced_and_the_column_marks_the_rest():
    def data(*, per_class: int | None = None, smoke: bool = False):
        from tasks.reference.registered import sentiment

        return sentiment()

    def model(*, smoke: bool = False):
        from tasks.reference.registered import reference

        return reference()

    with DATASETS.register("offered", data), MODELS.register("offering", model):
        tasks = ["offered[per_class=512]/offering/prompt", "sentiment/reference/prompt"]
        words = Sweep.from_flags(tasks=tasks, algorithms="random")
        real, small = make_plan(words).cells, make_plan(words.override(smoke=True)).cells
    assert list(dict.fromkeys(cell.task for cell in small)) == [
        "offered[per_class=2,smoke=true]/offering[smoke=true]/prompt",
        "sentiment/reference/prompt",
    ]
    assert all(cell.smoke for cell in small)
    assert not any(cell.smoke for cell in real)
    assert not {cell.id for cell in small} & {cell.id for cell in real}


def test_a_smoke_run_has_ids_of_its_own_even_where_nothing_is_smaller():
    tiny = {"per_class": 2, "minibatch": 2, "dev_points": 2, "test_rows": 8}
    words = Sweep.from_flags(tasks="sphere", algorithms="random", repetitions=1, budget=4, protocol=tiny)
    real, small = make_plan(words).cells, make_plan(words.override(smoke=True)).cells
    assert [cell.budget for cell in real] == [cell.budget for cell in small]
    assert not {cell.id for cell in small} & {cell.id for cell in real}


@pytest.mark.parametrize("verb", ["plan", "sweep"])
def test_the_command_line_says_that_it_is_a_smoke_run(verb, tmp_path, monkeypatch):
    from typer.testing import CliRunner

    from harness.cli import app

    monkeypatch.chdir(tmp_path)
    words = ["--tasks", "sphere[dimension=2]", "--algorithms", "random", "--smoke"]
    result = CliRunner().invoke(app, [verb, *words, *(["--out", "mine"] if verb == "sweep" else [])])
    assert result.exit_code == 0
    assert "smoke run" in result.output

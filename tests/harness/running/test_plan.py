"""A plan says what will be run, by cells named after all that their results depend on."""

import hashlib
import json
from contextlib import ExitStack

import pytest
import torch

from harness.core import Algorithm, Block, Cost, Evaluation, Signature, Space, Task, UserError
from harness.plugins.registry import ALGORITHMS, DATASETS, MODELS, TASKS, TUNINGS
from harness.running.plan import Plan, builder_of, canonical_task, make_plan
from harness.running.schema import SCHEMA_VERSION
from harness.running.sweep_file import Sweep

NAME = "planned-data/planned-model/planned-tuning"


class Planned(Algorithm):
    """At most ten coordinates."""

    largest_dimension = 10

    def __init__(self, space, budget, seed, *, population: int = 4):
        super().__init__(space, budget, seed)

    @classmethod
    def misfit(cls, dimension, budget, *, population=4):
        return "too many members" if population > budget else super().misfit(dimension, budget)

    def ask(self, remaining):
        return None

    def tell(self, population, losses, gradients=None): ...

    def best(self):
        return None


class Marked(Planned):
    """A reference."""

    reference = True


class Function(Task):
    def __init__(self, *, dimension: int = 2):
        self.space = Space([Block("x", (dimension,), "vector")])

    def evaluate(self, requests):
        return [Evaluation(torch.zeros(len(r.population)), None, Cost()) for r in requests]

    def score(self, candidates, split):
        return [{"accuracy": 0.0} for _ in candidates]

    def signature(self):
        return Signature("planned", ())


class Tuning:
    def __init__(self, *, dimension: int = 3):
        self.dimension = dimension

    def task(self, data, model, objective, protocol, name):
        return Function(dimension=self.dimension)


@pytest.fixture(autouse=True)
def plugins():
    registered = [
        (ALGORITHMS, "planned", Planned),
        (ALGORITHMS, "marked", Marked),
        (TASKS, "planned-function", Function),
        (TUNINGS, "planned-tuning", Tuning),
        (DATASETS, "planned-data", lambda: "data"),
        (MODELS, "planned-model", lambda: "model"),
    ]
    with ExitStack() as stack:
        for registry, name, thing in registered:
            stack.enter_context(registry.register(name, thing))
        yield


def sweep(**keys) -> Sweep:
    return Sweep.from_flags(
        **{"tasks": NAME, "algorithms": "planned", "repetitions": 2, "device": "cpu", **keys}
    )


def ids(**keys) -> list[str]:
    return [cell.id for cell in make_plan(sweep(**keys)).cells]


def test_cells_come_by_tasks_then_algorithms_then_repetitions():
    plan = make_plan(sweep(tasks=f"planned-function,{NAME}", algorithms="marked,planned"))
    order = [
        (task, name, r)
        for task in ("planned-function", NAME)
        for name in ("marked", "planned", "zero-shot")
        for r in (0, 1)
    ]
    assert [(cell.task, cell.algorithm, cell.repetition) for cell in plan.cells] == order
    assert [len(cells) for cells in plan.cells_of_task().values()] == [6, 6]
    assert list(plan.cells_of_task()) == ["planned-function", NAME]


def test_the_untouched_model_is_added_once():
    plan = make_plan(sweep(algorithms="zero-shot,planned"))
    assert [cell.algorithm for cell in plan.cells] == ["zero-shot"] * 2 + ["planned"] * 2
    assert [cell.reference for cell in plan.cells] == [True, True, False, False]


TEXT = "sentiment/reference/prompt"
UNTUNED = ["zero-shot", "majority-class", "in-context", "linear-probe"]


def algorithms_of(**keys) -> list[str]:
    cells = make_plan(Sweep.from_flags(**{"algorithms": "random", "repetitions": 1, **keys})).cells
    assert all(cell.reference and not cell.evaluations for cell in cells if cell.algorithm != "random")
    return [cell.algorithm for cell in cells if cell.skip is None]


def test_a_text_task_has_all_references_that_tune_nothing():
    assert algorithms_of(tasks=TEXT) == ["random", *UNTUNED]
    assert algorithms_of(tasks=f"{TEXT}[objective=accuracy]") == ["random", *UNTUNED]


def test_a_reference_that_is_listed_takes_the_place_of_the_usual_one():
    found = algorithms_of(tasks=TEXT, algorithms="in-context[shots=4],in-context[shots=8],random")
    usual = ["zero-shot", "majority-class", "linear-probe"]
    assert found == ["in-context[shots=4]", "in-context[shots=8]", "random", *usual]


def test_a_reference_that_does_not_fit_has_no_row_unless_it_was_asked_for():
    assert algorithms_of(tasks="sphere") == ["random", "zero-shot"]
    cells = make_plan(Sweep.from_flags(tasks="sphere", algorithms="linear-probe", repetitions=1)).cells
    skips = [(cell.algorithm, cell.skip) for cell in cells]
    assert skips == [("linear-probe", "it is no task of texts with labels"), ("zero-shot", None)]


def test_the_references_of_a_task_change_no_other_cell():
    cells = make_plan(Sweep.from_flags(tasks=TEXT, algorithms="random,in-context", repetitions=2)).cells
    plain = make_plan(Sweep.from_flags(tasks=TEXT, algorithms="random", repetitions=2)).cells
    assert [cell for cell in cells if cell.algorithm != "in-context"] == [
        cell for cell in plain if cell.algorithm != "in-context"
    ]


def test_a_misfit_is_decided_now_and_the_other_cells_run():
    plan = make_plan(sweep(tasks="planned-function[dimension=11],planned-function", algorithms="planned"))
    skips = [(cell.dimension, cell.skip) for cell in plan.cells if cell.algorithm == "planned"]
    reason = "11 coordinates are more than its limit of 10"
    assert skips == [(11, reason), (11, reason), (2, None), (2, None)]


def test_a_first_order_reference_is_a_misfit_where_there_is_no_gradient():
    tasks = ["sentiment/reference/prompt", "sentiment/reference/prompt[objective=accuracy]"]
    cells = make_plan(Sweep.from_flags(tasks=tasks, algorithms=["adam"], repetitions=1)).cells
    skips = {cell.task: cell.skip for cell in cells if cell.algorithm == "adam"}
    assert skips[tasks[0]] is None
    assert "needs gradients" in skips[tasks[1]]


def test_a_misfit_knows_the_options():
    plan = make_plan(sweep(algorithms="planned[population=300]"))
    assert plan.cells[0].skip == "too many members"


def test_ids_are_twelve_hexadecimal_digits_and_all_different():
    found = ids(algorithms="planned,planned[population=5],marked", repetitions=3)
    assert len(set(found)) == len(found)
    assert all(len(each) == 12 and int(each, 16) >= 0 for each in found)


@pytest.mark.parametrize(
    "other",
    [
        {"budget": 100},
        {"objective": "accuracy"},
        {"dtype": "float64"},
        {"protocol": {"per_class": 4}},
        {"protocol": {"seed": 1}},
        {"tasks": f"{NAME}[dimension=4]"},
        {"algorithms": "planned[population=5]"},
    ],
)
def test_an_id_changes_with_what_the_result_depends_on(other):
    assert ids()[0] != ids(**other)[0]


@pytest.mark.parametrize(
    "other",
    [
        {"repetitions": 5},
        {"algorithms": "planned,marked"},
        {"algorithms": "planned[]"},
        {"tasks": f"{NAME}[objective=cross-entropy],planned-function"},
        {"protocol": {"timeout": 5}},
        {"out": "elsewhere"},
    ],
)
def test_an_id_does_not_change_with_anything_else(other):
    assert ids()[:2] == ids(**other)[:2]


def test_an_id_is_the_same_on_every_machine_and_in_every_session():
    cell = make_plan(sweep()).cells[1]
    protocol = '{"dev_points":10,"minibatch":16,"per_class":16,"seed":0,"test_rows":256}'
    content = f'[{SCHEMA_VERSION},"{NAME}",[{{}},{{}}],200,{protocol},"float32","cpu","planned",1]'
    assert cell.id == hashlib.sha256(content.encode()).hexdigest()[:12]
    first = hashlib.sha256(f'["planned","{NAME}",1]'.encode()).digest()[:8]
    assert cell.algorithm_seed == int.from_bytes(first, "big") % (2**31 - 1) + 1


def test_repetitions_share_their_data_among_algorithms_and_nothing_among_their_seeds():
    cells = make_plan(sweep(algorithms="planned,marked", protocol={"seed": 7})).cells
    assert {(cell.repetition, cell.data_seed) for cell in cells} == {(0, 7), (1, 8)}
    assert len({cell.algorithm_seed for cell in cells}) == len(cells)
    assert all(1 <= cell.algorithm_seed < 2**31 for cell in cells)


def test_the_sweeps_objective_is_that_of_tasks_without_their_own():
    assert str(canonical_task(NAME, "accuracy")) == f"{NAME}[objective=accuracy]"
    assert str(canonical_task(f"{NAME}[objective=hinge]", "accuracy")) == f"{NAME}[objective=hinge]"
    assert str(canonical_task("planned-function", "accuracy")) == "planned-function"


def test_a_plan_is_the_same_after_json():
    plan = make_plan(sweep(tasks="planned-function[dimension=11]"))
    assert Plan.from_json(plan.to_json()) == plan
    assert Plan.from_json(plan.to_json()).to_json() == plan.to_json()


def test_a_plan_that_was_altered_is_told_from_one_that_was_stored():
    text = make_plan(sweep()).to_json()
    altered = text.replace('"repetition": 1', '"repetition": 0')
    with pytest.raises(UserError, match=r"plan\.json: its checksum says that it was altered; plan"):
        Plan.from_json(altered)


def test_a_plan_that_was_stored_without_a_checksum_is_read():
    plan = make_plan(sweep())
    content = json.loads(plan.to_json())
    del content["checksum"]
    assert Plan.from_json(json.dumps(content)) == plan


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"sweep": {}, "cells": []}', '{"sweep": 3, "cells": [{}]}']
)
def test_what_is_no_plan_is_refused(text):
    with pytest.raises(UserError):
        Plan.from_json(text)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"algorithms": "planed"}, "--algorithms: unknown algorithm 'planed': did you mean 'planned'?"),
        (
            {"algorithms": "planned[popluation=3]"},
            "--algorithms: planned: unknown option 'popluation': did you mean",
        ),
        (
            {"algorithms": "planned[population=x]"},
            "--algorithms: planned: population: must be a whole number, got 'x'",
        ),
        ({"algorithms": "planned,planned[]"}, "--algorithms: 'planned' is listed twice; remove one"),
        (
            {"tasks": f"{NAME},{NAME}[objective=cross-entropy]"},
            f"--tasks: '{NAME}' is listed twice; remove one",
        ),
        ({"tasks": "a/b"}, "--tasks: 'a/b': a text task has three parts; write dataset/model/tuning"),
        (
            {"tasks": "planned-functoin"},
            "--tasks: planned-functoin: unknown task 'planned-functoin': did you mean",
        ),
        ({"objective": "accurcy"}, "--objective: unknown objective 'accurcy': did you mean 'accuracy'?"),
        ({"device": "cuda:99"}, "--device: this machine has no cuda:99; use cpu or auto"),
    ],
)
def test_what_is_wrong_with_a_sweep_is_said_before_anything_is_run(keys, said):
    with pytest.raises(UserError) as caught:
        make_plan(sweep(**keys))
    assert str(caught.value).startswith(said)


def test_a_space_that_cannot_be_had_is_said_by_the_plan():
    class Cramped(Function):
        @property
        def dimension(self):
            raise UserError("subspace: 9 coordinates are more than the 2 of the model; lower it")

    with TASKS.register("cramped", Cramped), pytest.raises(UserError) as caught:
        make_plan(sweep(tasks="cramped"))
    said = "--tasks: cramped: subspace: 9 coordinates are more than the 2 of the model; lower it"
    assert str(caught.value) == said


def test_a_definition_does_not_hide_what_is_registered():
    files = {"train": "a.csv", "test": "b.csv"}
    with pytest.raises(UserError, match=r"--datasets\.planned-data: the name is registered by unpackaged"):
        make_plan(sweep(datasets={"planned-data": files}))
    with pytest.raises(UserError, match=r"--models\.planned-model: the name is registered by unpackaged"):
        make_plan(sweep(models={"planned-model": {"path": "a"}}))


def test_a_plan_of_a_file_names_the_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sweep.yaml").write_text("tasks: [planned-function]\nalgorithms: [planed]\n")
    with pytest.raises(UserError, match=r"sweep\.yaml: algorithms: unknown algorithm 'planed'"):
        make_plan(Sweep.load("sweep.yaml"))


def test_an_exception_changes_its_tasks_and_no_others():
    tasks = "planned-function,planned-function[dimension=3]"
    exceptions = [{"tasks": "planned-function[dimension=3]", "budget": 900, "algorithms": "marked"}]
    cells = make_plan(sweep(tasks=tasks, algorithms="planned", exceptions=exceptions)).cells
    assert {(cell.task, cell.algorithm, cell.budget) for cell in cells} == {
        ("planned-function", "planned", 200),
        ("planned-function", "zero-shot", 200),
        ("planned-function[dimension=3]", "marked", 900),
        ("planned-function[dimension=3]", "zero-shot", 900),
    }
    usual = ids(tasks=tasks, algorithms="planned")
    assert [cell.id for cell in cells[:4]] == usual[:4]


def test_an_exception_to_the_protocol_reaches_the_task_and_its_cells_names():
    plain = sweep(repetitions=1)
    other = sweep(repetitions=1, exceptions=[{"tasks": NAME, "train_rows": 50, "dev_rows": 20}])
    protocol = builder_of(other).protocols[NAME]
    assert (protocol.train_rows, protocol.dev_rows, protocol.minibatch) == (50, 20, 16)
    assert make_plan(plain).cells[0].id != make_plan(other).cells[0].id


@pytest.mark.parametrize(
    ("exceptions", "said"),
    [
        ([{"tasks": "planned-functoin", "budget": 9}], "'planned-functoin' is none of the tasks"),
        ([{"tasks": "planned-function"}, {"tasks": "planned-function"}], "is in two exceptions"),
        ([{"tasks": "planned-function", "algorithms": "planed"}], "unknown algorithm 'planed'"),
    ],
)
def test_an_exception_to_nothing_is_refused(exceptions, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = {"tasks": ["planned-function"], "algorithms": ["planned"], "exceptions": exceptions}
    (tmp_path / "sweep.yaml").write_text(json.dumps(text))
    with pytest.raises(UserError, match=rf"sweep\.yaml: exceptions: .*{said}"):
        make_plan(Sweep.load("sweep.yaml"))


def test_an_exception_may_be_to_a_task_that_a_flag_leaves_out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = {
        "tasks": ["planned-function", NAME],
        "algorithms": ["planned"],
        "exceptions": [{"tasks": [NAME], "budget": 9}],
    }
    (tmp_path / "sweep.yaml").write_text(json.dumps(text))
    cells = make_plan(Sweep.load("sweep.yaml").override(tasks="planned-function")).cells
    assert {cell.budget for cell in cells} == {200}


def test_more_repetitions_than_there_are_splits_are_refused():
    class Given(Function):
        repetitions = 2

    with TASKS.register("given", Given), pytest.raises(UserError, match="given for 2 repetitions"):
        make_plan(sweep(tasks="given", repetitions=3))
    with TASKS.register("given", Given):
        cells = make_plan(sweep(tasks="given", algorithms="random", tuning={"trials": 2})).cells
    assert {cell.repetition for cell in cells if cell.kind == "trial"} == {0}

"""One sweep may hold a task at several numbers of examples per class; other tasks stay as they were."""

from __future__ import annotations

import pytest

from harness.core.errors import UserError
from harness.plugins.build import Builder
from harness.plugins.spec import TaskSpec
from harness.running.plan import builder_of, make_plan
from harness.running.sweep_file import Sweep

PROMPT = "sentiment/reference/prompt"


def planned(*tasks, **keys):
    return make_plan(
        Sweep.from_flags(tasks=tasks, algorithms="random", repetitions=1, budget=8, device="cpu", **keys)
    ).cells


def test_a_name_with_a_number_of_examples_is_read_and_written():
    spec = TaskSpec.parse(f"{PROMPT}[tokens=3, per_class=4, objective=accuracy]")
    assert (spec.per_class, spec.tuning.options) == ("4", (("tokens", "3"),))
    assert str(spec) == f"{PROMPT}[objective=accuracy,per_class=4,tokens=3]"


def test_each_task_is_split_by_its_own_number():
    names = [f"{PROMPT}[per_class=4]", PROMPT, f"{PROMPT}[per_class=64]"]
    builder = Builder()
    sizes = [
        (len(split.train), len(split.dev), len(split.test))
        for split in (builder.task(n).splits(0) for n in names)
    ]
    assert sizes == [(8, 8, 256), (32, 32, 256), (128, 128, 256)]


def test_the_cells_of_a_task_that_says_nothing_have_the_ids_that_they_have_alone():
    alone = {cell.id for cell in planned(PROMPT)}
    beside = {cell.id for cell in planned(PROMPT, f"{PROMPT}[per_class=4]") if cell.task == PROMPT}
    assert alone == beside


def test_a_cell_with_its_own_number_does_not_hang_on_the_protocols():
    name = f"{PROMPT}[per_class=4]"
    ids = [[cell.id for cell in planned(name, protocol={"per_class": k})] for k in (16, 32)]
    assert ids[0] == ids[1]
    assert ids[0] != [cell.id for cell in planned(PROMPT, protocol={"per_class": 4})]


@pytest.mark.parametrize(
    ("name", "keys", "reason"),
    [
        (f"{PROMPT}[per_class=0]", {}, "must be a whole number from 1 on, got '0'"),
        (f"{PROMPT}[per_class=a]", {}, "must be a whole number from 1 on, got 'a'"),
        ("sst2[per_class=4]/reference/prompt[per_class=4]", {}, "given for the data set and for the tuning"),
        (f"{PROMPT}[per_class=4]", {"protocol": {"train_rows": 8}}, "means nothing beside train_rows"),
        (f"{PROMPT}[per_class=9999]", {}, "the protocol needs 9999"),
    ],
)
def test_a_number_that_cannot_be_is_refused_with_the_task(name, keys, reason):
    with pytest.raises(UserError, match=reason) as refused:
        planned(name, **keys)
    assert str(refused.value).startswith("--tasks: ")


def test_an_exception_holds_for_the_task_of_that_name():
    name = f"{PROMPT}[per_class=4]"
    exceptions = [{"tasks": [PROMPT], "train_rows": 40}]
    sweep = Sweep.from_flags(tasks=[PROMPT, name], algorithms="random", budget=8, exceptions=exceptions)
    builder = builder_of(sweep)
    assert [len(builder.task(each).splits(0).train) for each in (PROMPT, name)] == [40, 8]


def test_in_a_smoke_run_numbers_of_examples_come_to_the_same_task_once():
    names = [f"{PROMPT}[per_class={k}]" for k in (4, 64)]
    cells = planned(*names, smoke=True)
    assert {cell.task for cell in cells} == {f"{PROMPT}[per_class=2]"}
    assert len({cell.id for cell in cells}) == len(cells)

"""The shipped suites: plans are made without weights or rows, and each runs end to end in a smoke run."""

from __future__ import annotations

import math
from functools import cache

import pytest

from harness.plugins.build import algorithm_class
from harness.report.entries import needs_gradient
from harness.report.first_order import has_gradients
from harness.running.catalog import plan_overview
from harness.running.estimate import total
from harness.running.plan import builder_of, canonical_task, make_plan
from harness.running.sweep_file import Sweep, suites
from harness.running.sweeping import sweep

PUBLISHED = sorted(set(suites()) - {"quick"})
OTHERS = {"fine-tuning", "zero-shot", "GRPO", "GRPO-z (30)"}


@pytest.fixture(autouse=True)
def _offline(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@cache
def planned(name):
    words = Sweep.load(name).override(device="cpu")
    builder = builder_of(words, planning=True)
    return make_plan(words, builder), builder


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_figures_stand_beside_cells_of_the_suite(name):
    words = Sweep.load(name)
    plan, _ = planned(name)
    cells = {(cell.task, cell.algorithm) for cell in plan.cells}
    for figure in words.published:
        task = str(canonical_task(figure.task, words.objective))
        assert figure.algorithm in OTHERS or (task, figure.algorithm) in cells
        assert 0 < figure.value < 1
        assert figure.source


# Parameters of the published models: OPT-1.3B and OPT-13B (Zhang et al., 2022, by their configurations),
# RoBERTa-large (355M), Qwen2.5 0.49B; evaluations from the publications' steps and populations.
@pytest.mark.parametrize(
    ("name", "evaluations", "dimension"),
    [
        ("bbt-roberta-large", 3 * (6 * 8000 + 20000), 500),
        ("mezo-roberta-large", 5 * 22 * 2 * 100_000, 355_412_057),
        ("mezo-opt", 7 * 2 * 20_000, 12_853_473_280),
        ("zo-bench-opt-1.3b", 3 * 4 * 2 * 20_000, 1_315_758_080),
        ("es-at-scale-countdown", 4 * 30 * 500, 494_032_768),
        ("eggroll-countdown", 3 * 618 * 256, 1_543_714_304),
    ],
)
def test_a_plan_counts_what_the_publication_spent_and_tells_its_cost(name, evaluations, dimension):
    plan, builder = planned(name)
    rows = plan_overview(plan, builder)
    sums = total(rows)
    assert sum(row["evaluations"] for row in rows if not row["reference"]) == evaluations
    assert rows[0]["dimension"] == dimension
    assert not any(row["skipped"] for row in rows)
    priced = [row for row in rows if row["algorithm"] != "majority-class"]  # which asks no model
    assert all(row["tokens"] > 0 and row["flops"] > 0 and row["memory"] > 0 for row in priced)
    # Two operations for each weight and token at least, of all weights but the embeddings; less than three.
    peak = {"bfloat16": 989e12, "float32": 67e12}[plan.sweep.dtype]
    assert sums["gpu_hours"] == pytest.approx(sums["flops"] / (0.4 * peak) / 3600)


def test_opt_13b_in_bfloat16_takes_its_weights_the_center_and_the_best_one():
    plan, builder = planned("mezo-opt")
    row = plan_overview(plan, builder)[0]
    # 2 bytes each: the model, the center that moves, and a copy of the one that would be reported.
    assert row["memory"] / (3 * 2 * 12_853_473_280) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("name", suites())
def test_every_suite_runs_end_to_end_in_a_smoke_run(name, tmp_path):
    words = Sweep.load(name).override(smoke=True, device="cpu")
    runs = sweep(words, out=tmp_path).runs
    assert set(runs["status"]) <= {"finished", "skipped"}, runs["reason"].dropna().unique()
    assert (runs["status"] == "finished").sum() > len(runs) / 2
    assert runs["smoke"].all()
    assert set(runs["repetition"]) == {0}
    assert runs["budget"].max() <= 24
    finished = runs[runs["status"] == "finished"]
    assert all(math.isfinite(value) for value in finished["test_metric"])
    if name != "quick":  # the embedded model is tiny as it is
        assert all("smoke=true" in model for model in runs["model"])
        assert all("smoke=true" in data for data in runs["dataset"])
    assert not set(runs["id"]) & {cell.id for cell in planned(name)[0].cells}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_settings_are_in_raw_units_or_searched_as_published(name):
    for cell in planned(name)[0].cells:
        _, options = algorithm_class(cell.algorithm)
        assert not options or options.get("units") == "raw" or cell.algorithm.startswith("pycma")


@pytest.mark.parametrize("name", suites())
def test_every_task_that_a_first_order_method_can_tune_has_one_as_its_reference(name):
    cells = planned(name)[0].cells
    having = {cell.task for cell in cells if needs_gradient(cell.algorithm)}
    limit = algorithm_class("adam")[0].largest_dimension
    able = {cell.task for cell in cells if cell.dimension <= limit and has_gradients(cell.task)}
    assert having == able
    assert bool(able) == (name not in ("mezo-opt", "es-at-scale-countdown", "eggroll-countdown"))

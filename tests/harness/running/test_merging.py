"""Results of several machines: joined where they may stand in one table, refused with the reason."""

from __future__ import annotations

import json
import shutil

import pytest

from harness import Sweep, UserError, load_results, sweep
from harness.running.checksums import sealed
from harness.running.merging import merge
from harness.running.plan import Plan


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """Two sweeps of one task, with an algorithm and the zero-shot reference in both."""
    out = tmp_path_factory.mktemp("parts")

    def part(name, **flags):
        words = {"tasks": "sphere[dimension=2]", "algorithms": "random", "budget": 20, "repetitions": 2}
        sweep(Sweep.from_flags(**{**words, **flags}), out=out / name)
        return out / name

    return part("a"), part("b", algorithms="random,spsa"), part("c", tasks="sphere[dimension=3]", budget=30)


def copied(source, target):
    shutil.copytree(source, target)
    return target


def edit(folder, change):
    """Change the status files of a folder, as if they had been stored so."""
    for file in folder.glob("cells/*/status.json"):
        content = json.loads(file.read_text())
        change(content)
        file.write_text(json.dumps(sealed(content)))


def test_what_both_hold_is_there_once_and_all_else_too(parts, tmp_path):
    a, b, c = parts
    made = merge([a, b, c], tmp_path / "out")
    runs = made.runs
    assert not runs["id"].duplicated().any()
    assert set(runs["id"]) == set().union(*(load_results(each).runs["id"] for each in parts))
    assert (runs["status"] == "finished").all()
    kept = runs[runs["task"] == "sphere[dimension=3]"]
    assert kept["test_metric"].tolist() == load_results(c).runs["test_metric"].tolist()
    assert len(made.curve) == len(load_results(b).curve) + len(load_results(c).curve)


def test_a_merged_folder_is_a_plan_whose_sweep_names_all(parts, tmp_path):
    merge(parts, tmp_path / "out")
    plan = Plan.from_json((tmp_path / "out" / "plan.json").read_text())
    assert plan.sweep.tasks == ("sphere[dimension=2]", "sphere[dimension=3]")
    assert plan.sweep.algorithms == ("random", "spsa")
    assert Sweep.load(tmp_path / "out" / "sweep.yaml").budget == 30
    assert len(json.loads((tmp_path / "out" / "breakdown.json").read_text())["sessions"]) == 3


def test_of_a_cell_that_one_has_not_finished_the_finished_one_is_taken(parts, tmp_path):
    a = copied(parts[0], tmp_path / "a")
    edit(a, lambda content: content.update(status="running"))
    assert (merge([a, parts[1]], tmp_path / "out").runs["status"] == "finished").all()


def test_a_merged_folder_can_be_merged_again(parts, tmp_path):
    once = merge(parts[:2], tmp_path / "once").path
    assert len(merge([once, parts[2]], tmp_path / "twice").runs) == 10


def test_another_schema_version_is_refused(parts, tmp_path):
    old = copied(parts[1], tmp_path / "old")
    edit(old, lambda content: content.update(schema_version=1))
    with pytest.raises(UserError, match=r"old: has results of schema 1, and this version .* schema \d"):
        merge([parts[0], old], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_other_data_or_another_model_is_refused(parts, tmp_path):
    other = copied(parts[1], tmp_path / "other")
    edit(other, lambda content: content["signature"].update(digest="other"))
    with pytest.raises(UserError, match=r"sphere\[dimension=2\] has other data, model or templates"):
        merge([parts[0], other], tmp_path / "out")


def test_a_signature_whose_losses_are_off_is_refused_and_last_bits_are_not(parts, tmp_path):
    def signed(source, name, loss):
        folder = copied(source, tmp_path / name)
        edit(folder, lambda content: content["signature"].update(losses=[loss]))
        return folder

    ours = signed(parts[0], "ours", 1.0)
    with pytest.raises(UserError, match="has other losses"):
        merge([ours, signed(parts[1], "far", 1.1)], tmp_path / "out")
    assert len(merge([ours, signed(parts[1], "near", 1.000001)], tmp_path / "out").runs) == 6


def test_another_protocol_or_dtype_is_refused(parts, tmp_path):
    words = Sweep.from_flags(tasks="sphere[dimension=4]", algorithms="random", budget=20, repetitions=1)
    sweep(words.override(protocol={"dev_points": 3}), out=tmp_path / "p")
    with pytest.raises(UserError, match=r"protocol\.dev_points is \d+ and 3"):
        merge([parts[0], tmp_path / "p"], tmp_path / "out")
    sweep(words.override(dtype="float64"), out=tmp_path / "d")
    with pytest.raises(UserError, match="dtype is float32 and float64"):
        merge([parts[0], tmp_path / "d"], tmp_path / "out")


def test_the_same_cell_under_another_id_is_refused(parts, tmp_path):
    other = copied(parts[1], tmp_path / "other")
    plan = json.loads((other / "plan.json").read_text())
    plan["cells"][0]["id"] = "0" * 12
    del plan["checksum"]
    (other / "plan.json").write_text(json.dumps(plan))
    with pytest.raises(UserError, match="both hold random on sphere"):
        merge([parts[0], other], tmp_path / "out")


def test_places_that_cannot_be_read_or_written_are_refused(parts, tmp_path):
    with pytest.raises(UserError, match="two folders"):
        merge([parts[0]], tmp_path / "out")
    with pytest.raises(UserError, match=r"holds no plan\.json"):
        merge([parts[0], tmp_path / "nothing"], tmp_path / "out")
    with pytest.raises(UserError, match="is not empty"):
        merge(parts[:2], parts[2])

"""The benchmark of throughput on the reference model: every way computes the same, and a table is written."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

import benchmark_throughput
from throughput.contestants import InPlace, Mapped, OneByOne, Ours
from throughput.models import load
from throughput.setting import TUNINGS, Setting


@pytest.fixture(scope="module")
def model():
    return load("reference", "cpu", "float64")


@pytest.mark.filterwarnings("ignore:There is a performance drop")
@pytest.mark.parametrize("tuning", TUNINGS)
def test_every_way_that_draws_the_same_noise_computes_the_same(model, tuning):
    setting = Setting(model, tuning, population=4, rows=3, tokens=16)
    with torch.no_grad():
        ours, alone, mapped = (way(setting).run(1) for way in (Ours, OneByOne, Mapped))
    torch.testing.assert_close(ours, alone, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(ours, mapped, rtol=1e-9, atol=1e-9)
    assert ours.std() > 1e-3


def test_the_loop_in_place_leaves_the_weights_about_where_they_were(model):
    setting = Setting(model, "dense", population=4, rows=3, tokens=16)
    before = {name: weight.clone() for name, weight in model.parameters.items()}
    with torch.no_grad():
        assert InPlace(setting).run(0).shape == (4, 3, 2)
    for name, weight in model.parameters.items():
        torch.testing.assert_close(weight, before[name], rtol=1e-9, atol=1e-12)
        weight.copy_(before[name])


@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_the_script_writes_its_table(tmp_path, monkeypatch, capsys):
    words = [str(tmp_path), "--models", "reference", "--tunings", "lora", "--population", "2", "--rows", "4"]
    monkeypatch.setattr(sys, "argv", ["benchmark_throughput.py", *words, "--rounds", "3", "--tokens", "16"])
    benchmark_throughput.main()
    written = json.loads((tmp_path / "throughput.json").read_text())
    rows = {row["way"]: row for row in written["rows"]}
    assert {"plain", "ours", "one by one", "vmap"} <= set(rows)
    assert rows["plain"]["ratio"] == 1.0
    assert 0 < rows["ours"]["low"] <= rows["ours"]["ratio"] <= rows["ours"]["high"]
    assert 0 < rows["ours"]["limit"] < 1
    assert "| ours |" in (tmp_path / "throughput.md").read_text()
    assert "ours" in capsys.readouterr().out

"""Joules are read from counters, split as seconds are, and missing where nothing counts."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from harness.core import Protocol
from harness.running import cohort
from harness.running.energy import Meter, meter_of, processors


def package(root, number, energy, limit=10_000_000):
    folder = root / f"intel-rapl:{number}"
    folder.mkdir(exist_ok=True)
    (folder / "energy_uj").write_text(f"{energy}\n")
    (folder / "max_energy_range_uj").write_text(f"{limit}\n")


def test_the_packages_counters_are_added_and_one_that_wraps_goes_on(tmp_path):
    package(tmp_path, 0, 1_000_000)
    package(tmp_path, 1, 9_000_000)
    package(tmp_path, "0:0", 5_000_000)  # a part of package 0, counted there
    meter = Meter(processors(tmp_path))
    package(tmp_path, 0, 1_500_000)
    package(tmp_path, 1, 500_000)  # 1 J up to its limit of 10 J, and half a joule more
    assert meter.lap() == pytest.approx(0.5 + 1.5)
    assert meter.lap() == 0.0
    package(tmp_path, 1, 750_000)
    assert meter.lap() == pytest.approx(0.25)


def test_where_no_counter_can_be_read_there_is_none(tmp_path):
    assert Meter(processors(tmp_path)).lap() is None
    package(tmp_path, 0, "no number")
    assert Meter(processors(tmp_path)).lap() is None
    assert meter_of(torch.device("meta")).lap() is None


def test_every_joule_goes_to_the_cells_that_ran_by_their_tokens(tmp_path, toys, monkeypatch):
    counter = itertools.count(step=2.0)
    readings = []

    def read():
        readings.append(float(next(counter)))
        return readings[-1]

    monkeypatch.setattr(cohort, "meter_of", lambda device: Meter(read))
    cells = [toys.cell("walk", repetition) for repetition in range(2)]
    runs = toys.run(tmp_path, cells, protocol=Protocol(dev_points=2)).runs
    assert runs["energy"].sum() == pytest.approx(readings[-1] - readings[0])
    assert runs["energy"].nunique() == 1  # the two ask for populations of one size


def test_a_cell_alone_has_all_of_it_and_one_without_a_meter_has_none(tmp_path, toys, monkeypatch):
    monkeypatch.setattr(cohort, "meter_of", lambda device: Meter(lambda: None))
    runs = toys.run(tmp_path, [toys.cell("walk")]).runs
    assert math.isnan(runs["energy"].item())

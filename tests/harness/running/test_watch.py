"""What an algorithm leaves behind: nothing that belongs to the whole process, and text that can be stored."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from harness.running.watch import Watch


def test_what_belongs_to_the_whole_process_is_as_it_was(tmp_path: Path) -> None:
    before = os.getcwd(), np.geterr(), torch.get_default_device(), torch.get_float32_matmul_precision()
    with Watch().acting("ask", ["a1"]):
        os.chdir(tmp_path)
        np.seterr(all="raise")
        torch.set_default_device("meta")
        torch.set_float32_matmul_precision("medium")
        torch.set_default_dtype(torch.float64)
    after = os.getcwd(), np.geterr(), torch.get_default_device(), torch.get_float32_matmul_precision()
    assert after == before
    assert torch.zeros(1).dtype == torch.float32
    assert torch.zeros(1).device.type == "cpu"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not copied here")
def test_a_copy_of_the_process_that_comes_back_ends_there() -> None:
    reader, writer = os.pipe()
    with Watch().acting("ask", ["a1"]):
        child = os.fork()
    os.write(writer, b"x")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
    os.close(writer)
    assert os.read(reader, 9) == b"x", "one process came out, not two"
    os.close(reader)


def test_a_message_that_is_no_text_is_stored_written_out_and_not_endless(tmp_path: Path, toys: Any) -> None:
    results = toys.run(tmp_path, [toys.cell("oddlynamed"), toys.cell("walk")])
    reason = results.runs.set_index("algorithm").loc["oddlynamed", "reason"]
    assert "caf\\udce9.bin" in reason
    assert len(reason) < 3000
    assert results.runs.set_index("algorithm").loc["walk", "status"] == "finished"
    again = toys.run(tmp_path, [toys.cell("oddlynamed"), toys.cell("walk")])
    assert again.runs.set_index("algorithm").loc["oddlynamed", "reason"] == reason


def test_a_population_that_shares_no_forward_is_evaluated_before_the_next_is_asked_for(
    tmp_path: Path, toys: Any
) -> None:
    """Of large models one population is in memory, and not those of a round."""
    said: list[str] = []

    class Quadratic(toys.Quadratic):
        shares_forward = False

        def evaluate(self, requests: Any) -> Any:
            said.append("evaluate")
            return super().evaluate(requests)

    class Walk(toys.Walk):
        def ask(self, remaining: int) -> Any:
            said.append("ask")
            return super().ask(remaining)

    cells = [toys.cell("walk", repetition) for repetition in range(3)]
    toys.run(
        tmp_path,
        cells,
        Quadratic(),
        make=lambda cell, task, budget: Walk(task.space, budget, cell.algorithm_seed),
    )
    assert said == 30 * ["ask", "evaluate"]

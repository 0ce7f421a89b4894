"""What an algorithm leaves behind when it has acted: nothing that belongs to the whole process."""

from __future__ import annotations

import os
from pathlib import Path

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

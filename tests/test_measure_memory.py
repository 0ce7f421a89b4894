"""The script that measures memory, on a tiny model and one algorithm, without its processes."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parent.parent / "scripts" / "measure_memory.py"
TINY = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 2000,
    "max_position_embeddings": 64,
}
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("measure_memory", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_every_row_of_the_model_s_table_runs_and_steps(script: ModuleType, tmp_path: Path) -> None:
    script.write_model(tmp_path, TINY)
    files = {path: path.read_bytes() for path in tmp_path.glob("*.safetensors")}
    found = [script.run_row(str(tmp_path), row, 4) for row in script.ROWS]
    assert all(row["peak"] >= row["loaded"] > 0 for row in found)
    table = script.model_table(found)
    assert table.ratio[0] == 1.0
    assert (table.moved[1:] > 0).all(), "a search that moves no weight is not measured"
    assert {path: path.read_bytes() for path in files} == files, "the stored weights are not written to"


def test_an_algorithm_s_memory_is_found_in_a_process_of_its_own(script: ModuleType) -> None:
    """A generation of n random points of d float32 numbers takes n vectors at least."""
    found = script.in_child(script.run_algorithm, "random", 100_000)
    assert found["bytes"] >= 0.9 * 4 * 100_000 * found["population"]
    assert "limit" in script.run_algorithm("cma-es", 10**9)["reason"]
    assert script.in_child(script.run_algorithm, "random", 10**7, seconds=0.0)["reason"] == "over 0 s"
    assert "KeyError" in script.in_child(script.run_algorithm, "no such name", 10)["reason"]

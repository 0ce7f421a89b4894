"""Peak memory of searches: on a randomly initialised Llama in bfloat16, and of every registered algorithm.

    python scripts/measure_memory.py model results/memory
    python scripts/measure_memory.py algorithms results/memory

``model`` writes the weights to a temporary folder, then runs each row of the table in a process of its own
through the task of full tuning: the plain forward of one minibatch, and searches that ask, evaluate and tell.
``algorithms`` only asks and tells, with random losses: what an algorithm itself holds. A peak is the resident
size's high-water mark (Linux), set back after imports and, in ``model``, after loading.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import entry_points
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from harness.core import Algorithm, Block, Budget, Gradients, Points, Protocol, Request, Space
from tasks.datasets import TextData
from tasks.forward import answer_logits
from tasks.language_model import LanguageModel
from tasks.objectives import cross_entropy
from tasks.reference import model_path
from tasks.reference.registered import sentiment
from tasks.text_task import TextTask
from tasks.tuning.full import FullTuning, LentTuning
from tasks.weights import Weights

GIB = 2**30
SIZES = {  # of TinyLlama 1.1B
    "hidden_size": 2048,
    "intermediate_size": 5632,
    "num_hidden_layers": 22,
    "num_attention_heads": 32,
    "num_key_value_heads": 4,
    "vocab_size": 32_000,
    "max_position_embeddings": 2048,
}
DIMENSIONS = (2_000_000, 200_000, 20_000, 2000, 200, 20)
GENERATIONS = 3
SECONDS = 60.0
LIMIT = 4 * GIB


@dataclass(frozen=True)
class Row:
    """One row of the table of the model.

    Args:
        algorithm: a registered one, or None for the plain forward.
        options: of the algorithm.
        keeps: ``nothing``; ``snapshot``, the state before the last step; ``copy``, a center beside the
            model's own weights and the final best(), another copy; ``copy and best``, also a best() of
            before the last step.
        steps: generations that are asked, evaluated and told.
    """

    algorithm: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    keeps: str = "nothing"
    steps: int = 1


ROWS = (
    Row(steps=2),
    Row("mezo", {"step": "sgd"}, steps=2),
    Row("eggroll", {"step": "sgd"}),
    Row("openai-es", {"step": "sgd", "decay": 0.0}),
    Row("mezo", {"step": "adam"}),
    Row("mezo", {"step": "momentum"}),
    Row("mezo", {"step": "sgd"}, "snapshot"),
    Row("mezo", {"step": "sgd"}, "copy"),
    Row("mezo", {"step": "sgd"}, "copy and best"),
)


def write_model(folder: Path, sizes: Mapping[str, int]) -> None:
    """A Llama of random normal bfloat16 weights and the reference tokenizer, a tensor at a time."""
    config = LlamaConfig(
        **sizes, tie_word_embeddings=False, dtype="bfloat16", architectures=["LlamaForCausalLM"]
    )
    with torch.device("meta"):
        shapes = {name: p.shape for name, p in AutoModelForCausalLM.from_config(config).named_parameters()}
    generator = torch.Generator().manual_seed(0)
    files = {}
    for number, (name, shape) in enumerate(shapes.items()):
        tensor = torch.empty(shape, dtype=torch.bfloat16)
        tensor = tensor.fill_(1.0) if len(shape) == 1 else tensor.normal_(0.0, 0.02, generator=generator)
        files[name] = f"model-{number:05}.safetensors"
        save_file({name: tensor}, folder / files[name], metadata={"format": "pt"})
    index = {"metadata": {}, "weight_map": files}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    config.save_pretrained(folder)
    AutoTokenizer.from_pretrained(model_path()).save_pretrained(folder)


def run_row(folder: str, row: Row, minibatch: int) -> dict[str, Any]:
    """Peak memory and seconds of one row, in this process."""
    imports = _resident()
    model = LanguageModel(path=folder, dtype="bfloat16")
    whole = sentiment()
    few = {split: rows[:80] for split, rows in whole.splits.items()}
    data = TextData(whole.name, few, whole.template, whole.words)
    tuning = FullTuning() if row.keeps.startswith("copy") else LentTuning()
    task = TextTask(data, model, tuning, cross_entropy, Protocol(minibatch=minibatch), "memory")
    rows = task.minibatch(0, 0)
    count = sum(weight.numel() for weight in model.parameters.values())
    before = {name: weight.reshape(-1)[:1000].clone() for name, weight in model.parameters.items()}
    loaded = _restart()
    started = time.perf_counter()
    found: dict[str, Any] = {}
    if row.algorithm is None:
        with torch.no_grad():
            for _ in range(row.steps):
                answer_logits(model, task.words, rows, Weights(1))
        found = {"evaluations": row.steps, "evaluate": time.perf_counter() - started}
    else:
        found = _search(task, row, before)
    peak = _peak()
    return {
        **asdict(row),
        "parameters": count,
        "tokens": rows.ids.numel(),
        "imports": imports,
        "loaded": loaded,
        "peak": peak,
        **found,
    }


def _search(task: TextTask, row: Row, before: Mapping[str, Tensor]) -> dict[str, Any]:
    algorithm = make(str(row.algorithm), task.space, 10_000, **row.options)
    seconds = {"evaluate": 0.0, "tell": 0.0}
    evaluations, kept = 0, None
    for generation in range(row.steps):
        population = algorithm.ask(10_000)
        assert population is not None
        if row.keeps == "snapshot":
            kept = algorithm.state()
        elif row.keeps == "copy and best":
            kept = algorithm.best()
        started = time.perf_counter()
        losses = task.evaluate([Request(population, 0, generation)])[0].losses
        told = time.perf_counter()
        algorithm.tell(population, losses)
        seconds["evaluate"] += told - started
        seconds["tell"] += time.perf_counter() - told
        evaluations += len(losses)
        assert bool(losses.isfinite().all())
    best = algorithm.best()
    changed = torch.cat([best.center[name].reshape(-1)[:1000] != old for name, old in before.items()])
    del kept
    return {"evaluations": evaluations, **seconds, "moved": float(changed.float().mean())}


def run_algorithm(name: str, dimension: int, generations: int = GENERATIONS) -> dict[str, Any]:
    """Peak bytes of an algorithm over a few generations of its default population, in this process."""
    kind = entry_points(group="gradfree.algorithms")[name].load()
    budget = max(1000, kind.smallest_budget)
    reason = kind.misfit(dimension, budget)
    if reason is not None:
        return {"algorithm": name, "dimension": dimension, "reason": reason}
    _generations(make(name, _space(10), budget), 10, 2)  # imports what is imported on first use
    before = _restart()
    started = time.perf_counter()
    asked = _generations(make(name, _space(dimension), budget), dimension, generations)
    return {
        "algorithm": name,
        "dimension": dimension,
        "population": max((n for n, _ in asked), default=0),
        "asks": "Points" if any(points for _, points in asked) else "Perturbations" if asked else "nothing",
        "generations": len(asked),
        "bytes": _peak() - before,
        "seconds": time.perf_counter() - started,
    }


def _generations(algorithm: Algorithm, dimension: int, generations: int) -> list[tuple[int, bool]]:
    """Ask and tell; the size of each population, and whether it came as points."""
    generator, asked = torch.Generator().manual_seed(0), []
    started = time.perf_counter()
    for _ in range(generations):
        population = algorithm.ask(1000)
        if population is None or len(population) == 0:
            break
        losses = torch.rand(len(population), generator=generator, dtype=torch.float64)
        slopes = torch.zeros(len(population), dimension) if isinstance(population, Gradients) else None
        algorithm.tell(population, losses, slopes)
        asked.append((len(population), isinstance(population, Points)))
        if time.perf_counter() - started > SECONDS / 3:
            break
    algorithm.best()
    return asked


def _space(dimension: int) -> Space:
    return Space([Block("x", (dimension,), "vector")])


def make(name: str, space: Space, budget: int, **options: Any) -> Algorithm:
    """A registered algorithm."""
    kind = entry_points(group="gradfree.algorithms")[name].load()
    algorithm: Algorithm = kind(space, Budget(budget), 0, **options)
    return algorithm


def _status(key: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"no {key} in /proc/self/status: this script needs Linux")


def _resident() -> int:
    return _status("VmRSS:")


def _peak() -> int:
    return _status("VmHWM:")


def _restart() -> int:
    """Give back what is free, start the high-water mark anew, and return the resident size."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    return _resident()


def in_child(
    run: Callable[..., dict[str, Any]], *given: Any, seconds: float = 7200.0, limit: int = 64 * GIB
) -> dict[str, Any]:
    """What a function finds in a forked process of its own, or ``reason``: why it found nothing."""
    context = multiprocessing.get_context("fork")
    mine, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_answer, args=(theirs, run, given))
    child.start()
    theirs.close()
    process, started = psutil.Process(child.pid), time.perf_counter()
    try:
        while not mine.poll(0.1):
            if time.perf_counter() - started > seconds:
                return {"reason": f"over {seconds:.0f} s"}
            if process.memory_info().rss > limit:
                return {"reason": f"over {limit / GIB:.0f} GiB"}
        found: dict[str, Any] = mine.recv()
        return found
    except (EOFError, psutil.NoSuchProcess):
        return {"reason": "the process was killed"}
    finally:
        child.kill()
        child.join()


def _answer(pipe: Connection, run: Callable[..., dict[str, Any]], given: Sequence[Any]) -> None:
    try:
        pipe.send(run(*given))
    except Exception as error:
        pipe.send({"reason": f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"})


def model_table(found: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """The table of the model: ratios and differences are to the plain forward, its first row."""
    plain = found[0]
    lines = []
    for row in found:
        named = ",".join(f"{key}={value}" for key, value in row["options"].items())
        lines.append(
            {
                "search": "plain forward" if row["algorithm"] is None else f"{row['algorithm']}[{named}]",
                "keeps": row["keeps"],
                "steps": row["steps"],
                "evaluations": row["evaluations"],
                "seconds_per_evaluation": round(row["evaluate"] / row["evaluations"], 2),
                "seconds_per_tell": round(row.get("tell", 0.0) / row["steps"], 2),
                "moved": round(row.get("moved", 0.0), 3),
                "peak_gib": round(row["peak"] / GIB, 3),
                "ratio": round(row["peak"] / plain["peak"], 3),
                "ratio_without_imports": round(
                    (row["peak"] - row["imports"]) / (plain["peak"] - plain["imports"]), 3
                ),
                "added_gib": round((row["peak"] - plain["peak"]) / GIB, 3),
                "imports_gib": round(row["imports"] / GIB, 3),
                "parameters": row["parameters"],
                "tokens": row["tokens"],
            }
        )
    return pd.DataFrame(lines)


def measure_model(out: Path, minibatch: int, sizes: Mapping[str, int]) -> None:
    found = []
    with tempfile.TemporaryDirectory() as folder:
        write_model(Path(folder), sizes)
        for row in ROWS:
            found.append(in_child(run_row, folder, row, minibatch))
            print(json.dumps(found[-1]), flush=True)
            model_table(found).to_csv(out / "model.csv", index=False)
    print(model_table(found).to_string(index=False))


def measure_algorithms(out: Path, names: Sequence[str]) -> None:
    registered = sorted(entry.name for entry in entry_points(group="gradfree.algorithms"))
    lines = []
    for name in names or registered:
        reason = ""
        for dimension in DIMENSIONS:
            found = in_child(run_algorithm, name, dimension, seconds=SECONDS, limit=LIMIT)
            if "reason" not in found:
                break
            reason = reason or f"d = {dimension:,}: {found['reason']}"
        line = {**found, "algorithm": name, "reason": reason}
        if "bytes" in found:
            half = in_child(run_algorithm, name, dimension // 2, seconds=SECONDS, limit=LIMIT)
            line["mib"] = round(found["bytes"] / 2**20, 1)
            if "bytes" in half:
                more = (found["bytes"] - half["bytes"]) / (dimension - half["dimension"])
                line["vectors"] = round(more / 4, 1)
        lines.append(line)
        print(json.dumps(line), flush=True)
    columns = ["algorithm", "asks", "population", "generations", "dimension", "mib", "vectors", "seconds"]
    table = pd.DataFrame(lines).reindex(columns=[*columns, "reason"]).round({"seconds": 1})
    table.to_csv(out / "algorithms.csv", index=False)
    print(table.to_string(index=False))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in ("model", "algorithms"):
        verbs.add_parser(verb).add_argument("out", type=Path)
    verbs.choices["model"].add_argument("--minibatch", type=int, default=16, help="rows of one evaluation")
    for name, size in SIZES.items():
        verbs.choices["model"].add_argument(f"--{name.replace('_', '-')}", type=int, default=size)
    verbs.choices["algorithms"].add_argument("names", nargs="*", help="all registered ones by default")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    if given.verb == "model":
        measure_model(given.out, given.minibatch, {name: getattr(given, name) for name in SIZES})
    else:
        measure_algorithms(given.out, given.names)


if __name__ == "__main__":
    main()

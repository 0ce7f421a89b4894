"""Throughput of populations beside plain inference, in one run, in alternation.

    python scripts/benchmark_throughput.py results/throughput            # CPU: the goals, and a small grid
    python scripts/benchmark_throughput.py OUT --device cuda --dtype bfloat16 --models 1b --population 128

In every round each way evaluates the same population once: plain inference of the unchanged model at its best
chunk, ours, one candidate at a time, the loop of MeZO in place, ``torch.func.vmap`` over stacked weights, and
PEFT's adapters switched one after another (where ``peft`` is installed: ``pip install peft``). The ratio of a
way is the median over the rounds of plain seconds over its seconds; its interval is that of the median's sign
test, 95 %. Positions count soft prompts. ``peak MiB`` is beyond what was held before; ``memory`` is that with
the model's weights, over the same of plain inference.

Writes ``throughput.csv``, ``throughput.json`` and ``throughput.md``. A GPU needs a stock PyTorch image with
transformers, pandas, scipy and psutil; nothing is downloaded.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import torch
from scipy.stats import binom
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from throughput.contestants import WAYS, LeftOutError, Plain, Way
from throughput.limits import Limit, Machine, limit
from throughput.memory import Peak
from throughput.models import NAMES, load
from throughput.setting import TUNINGS, Setting

LONGEST = 40.0
"""A way that takes so many times as long as plain inference is measured in the fewest rounds, not in all."""
FEWEST = 3


def main() -> None:
    """Measure, print and write."""
    given = arguments()
    if given.threads:
        torch.set_num_threads(given.threads)
    given.out.mkdir(parents=True, exist_ok=True)
    device, until = torch.device(given.device), time.monotonic() + 60 * given.minutes
    rows: list[dict[str, Any]] = []
    for name in given.models:
        model = load(name, given.device, given.dtype)
        machine = Machine.measured(device, model.dtype)
        for population in given.population:
            for count in given.rows:
                for tuning in given.tunings:
                    setting = Setting(model, tuning, population, count, given.tokens)
                    if time.monotonic() > until:
                        print(f"{name} {tuning} {population} x {count}: left out, the minutes are over")
                        continue
                    rows += measure(name, setting, machine, given, until)
                    write(given, rows, machine)
                    del setting
                    gc.collect()
        del model


def measure(
    name: str, setting: Setting, machine: Machine, given: argparse.Namespace, until: float
) -> list[dict[str, Any]]:
    """A row for each way; once the minutes are over, of fewer rounds."""
    with torch.no_grad():
        plain, ways, left_out = made(setting, given.ways)
        seconds: dict[str, list[float]] = {"plain": [], **{way: [] for way in ways}}
        warm(setting, ways)
        peaks = {
            key: Peak.of(setting.model.device, way.run) for key, way in [("plain", plain), *ways.items()]
        }
        for round_ in range(given.rounds):
            if time.monotonic() > until and round_ >= FEWEST:
                break
            took = clock(plain, round_)
            seconds["plain"].append(took)
            for key, way in ways.items():
                done = seconds[key]
                if len(done) < FEWEST or min(done) < LONGEST * took:
                    done.append(clock(way, round_))
    bound = limit(setting)
    head = {
        "model": name,
        "tuning": setting.tuning,
        "population": setting.population,
        "rows": setting.rows,
        "tokens": setting.tokens,
    }
    held = sum(weight.nbytes for weight in setting.model.parameters.values()) / 2**20
    found = [
        {
            **head,
            "way": key,
            **figures(taken, seconds["plain"], bound, machine),
            "peak MiB": peaks[key],
            "memory": (held + peaks[key]) / (held + peaks["plain"]),
        }
        for key, taken in seconds.items()
    ]
    found[0]["note"] = f"chunks of {plain.chunk} rows"
    found += [{**head, "way": key, "note": reason} for key, reason in left_out.items()]
    for row in found:
        print(
            "  ".join(f"{value:.3g}" if isinstance(value, float) else str(value) for value in row.values()),
            flush=True,
        )
    return found


def made(setting: Setting, names: list[str]) -> tuple[Plain, dict[str, Way], dict[str, str]]:
    """Plain inference at its best chunk, the other ways that run here, and why the rest does not."""
    chunks = sorted({min(2**k, setting.population * setting.rows) for k in range(4, 12)})
    plain = min(
        (Plain(setting, chunk) for chunk in chunks), key=lambda way: min(clock(way, 0) for _ in range(3))
    )
    ways: dict[str, Way] = {}
    left_out = {}
    for name in names:
        if setting.tuning not in WAYS[name].tunings:
            continue
        try:
            way = WAYS[name](setting)
            check(way.run(0), setting)
        except LeftOutError as reason:
            left_out[name] = str(reason)
        except (RuntimeError, MemoryError, ValueError) as error:
            left_out[name] = " ".join(str(error).split())[:160]
        else:
            ways[name] = way
    return plain, ways, left_out


def check(logits: Tensor, setting: Setting) -> None:
    """A way that computed something else is no contestant."""
    if tuple(logits.shape) != (setting.population, setting.rows, 2) or not bool(logits.isfinite().all()):
        raise LeftOutError(f"its logits are {tuple(logits.shape)}, or not finite")


def warm(setting: Setting, ways: dict[str, Way]) -> None:
    """Until ours has found its chunk size."""
    if "ours" in ways:
        for generation in range(6):
            ways["ours"].run(generation)


def clock(way: Way, generation: int) -> float:
    """Seconds of one run, synchronised by its copy to the CPU."""
    begin = time.perf_counter()
    way.run(generation)
    return time.perf_counter() - begin


def figures(taken: list[float], plain: list[float], bound: Limit, machine: Machine) -> dict[str, Any]:
    """Medians, with the ratio's interval."""
    ratios = sorted(p / t for p, t in zip(plain, taken, strict=False))
    middle = sorted(taken)[len(taken) // 2]
    reference = sorted(plain)[len(plain) // 2]
    cut = int(binom.ppf(0.025, len(ratios), 0.5))
    return {
        "rounds": len(taken),
        "seconds": middle,
        "ratio": float(pd.Series(ratios).median()),
        "low": ratios[max(0, cut - 1)],
        "high": ratios[min(len(ratios) - 1, len(ratios) - cut)],
        "utilisation": bound.plain_flops / middle / machine.peak,
        "limit": bound.ratio(reference, machine),
        "extra GFLOP": bound.flops / 1e9,
        "extra MB": bound.bytes / 1e6,
        "Mnormals": bound.normals / 1e6,
    }


def write(given: argparse.Namespace, rows: list[dict[str, Any]], machine: Machine) -> None:
    """The table so far, as CSV and JSON."""
    table = pd.DataFrame(rows)
    table.to_csv(given.out / f"{given.name}.csv", index=False, float_format="%.4g")
    device = torch.device(given.device)
    about = {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor(),
        "threads": torch.get_num_threads(),
        "cores": psutil.cpu_count(logical=False),
        "dtype": given.dtype,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "product TFLOP/s": machine.flops / 1e12,
        "copy GB/s": machine.bytes / 1e9,
        "normals M/s": machine.normals / 1e6,
    }
    text = json.dumps({"machine": about, "rows": json.loads(table.to_json(orient="records"))}, indent=1)
    (given.out / f"{given.name}.json").write_text(text + "\n")
    (given.out / f"{given.name}.md").write_text(markdown(rows))


def markdown(rows: list[dict[str, Any]]) -> str:
    """The table for readers, with three digits."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    for row in rows:
        cells = [row.get(column, "") for column in columns]
        shown = [f"{cell:.3g}" if isinstance(cell, float) else str(cell) for cell in cells]
        lines.append("| " + " | ".join(shown) + " |")
    return "\n".join(lines) + "\n"


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--name", default="throughput", help="of the files")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--models", nargs="+", default=["20m"], choices=NAMES)
    parser.add_argument("--tunings", nargs="+", default=list(TUNINGS), choices=TUNINGS)
    parser.add_argument("--ways", nargs="*", default=list(WAYS), choices=list(WAYS))
    parser.add_argument("--population", nargs="+", type=int, default=[16])
    parser.add_argument("--rows", nargs="+", type=int, default=[16])
    parser.add_argument("--tokens", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=1e9, help="no new setting after that")
    return parser.parse_args()


if __name__ == "__main__":
    main()

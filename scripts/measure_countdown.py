"""Whether Countdown's rewards move under gradient-free tuning of tiny models.

    OMP_NUM_THREADS=1 python scripts/measure_countdown.py results/countdown

Four starts, three models of each: ``random`` (3,792 weights, randomly initialised, all of them tuned;
problems of three and four numbers up to 99, sampled answers), ``taught`` (49,872 weights, shown solutions
of the train problems for a moment, LoRA of rank 2 on all layers; two numbers up to 20, greedy answers),
``reference`` (the embedded reference model with Countdown's tokens added, all weights tuned; problems and
answers as for ``random``, fewer evaluations) and ``reference-taught`` (the same after a few lessons, all
weights tuned on the problems of ``taught``, sampled answers). Problems, models and seeds differ between the
three. Algorithms see the published training reward on fresh problems of the train split; what is reported
is the last candidate (of random search the best seen) on problems that neither searches nor lessons had.
Writes ``runs.csv``, ``curves.csv`` and ``measured.json``, which says what of the reward the embedded
reference model can reach, and prints the table.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from countdown_models import extended_model, random_model, taught_model, teach

from harness import sweep
from harness.running.sweep_file import Sweep
from tasks.answers.data import AnswerData
from tasks.answers.rewards import JUDGES
from tasks.countdown.registered import countdown
from tasks.countdown.verifier import FORMAT_SHARE
from tasks.reference.registered import reference

SEEDS = (0, 1, 2)
MOST = 1 + FORMAT_SHARE
"""The published reward of a right answer in a perfect layout; losses here are of the reward over this."""
LESSONS = 200
FEW_LESSONS = 14
"""So many that the reference model writes the layout now and then; after 20 it always does."""
UNTUNED = "zero-shot"


@dataclass(frozen=True)
class Start:
    """Where searches start from.

    Args:
        model: writes the model of a seed to a folder; the data set is there for lessons.
        data: options of the data set but its seed.
        tuning: with options.
        algorithms: with options.
        budget: evaluations.
        minibatch: problems of an evaluation.
        test_rows: problems to report on.
    """

    model: Callable[[Path, int, AnswerData], Any]
    data: dict[str, Any]
    tuning: str
    algorithms: tuple[str, ...]
    budget: int
    minibatch: int
    test_rows: int


def taught_reference(folder: Path, seed: int, data: AnswerData) -> Any:
    """The reference model with Countdown's tokens, after its lessons."""
    extended_model(folder, seed)
    return teach(folder, seed, data, FEW_LESSONS)


SMALL = {"rows": 100, "numbers": (2,), "largest": 20, "new_tokens": 10}
LONG = {"rows": 400, "new_tokens": 12, "temperature": 1.0}
ON_THE_REFERENCE_MODEL = ("eggroll[population=40]", "es-at-scale[population=40]", "random[population=40]")
STARTS = {
    "random": Start(
        lambda folder, seed, data: random_model(folder, seed),
        LONG,
        "full",
        (
            "openai-es[decay=0,lr=0.1,population=40,sigma=0.5]",
            "eggroll[population=40]",
            "es-at-scale[population=40]",
            "es-at-scale[lr=5e-4,population=30,sigma=1e-3,units=raw]",
            "random[population=40]",
        ),
        budget=4000,
        minibatch=16,
        test_rows=200,
    ),
    "taught": Start(
        lambda folder, seed, data: taught_model(folder, seed, data, LESSONS),
        SMALL,
        "lora[matrices=all,rank=2]",
        (
            "openai-es[decay=0,lr=0.1,population=24,sigma=0.5]",
            "eggroll[lr=0.5,population=24,sigma=0.5]",
            "random[population=24]",
        ),
        budget=1200,
        minibatch=32,
        test_rows=100,
    ),
    "reference": Start(
        lambda folder, seed, data: extended_model(folder, seed),
        LONG,
        "full",
        ON_THE_REFERENCE_MODEL,
        budget=1000,
        minibatch=16,
        test_rows=200,
    ),
    "reference-taught": Start(
        taught_reference,
        SMALL | {"temperature": 1.0},
        "full",
        ON_THE_REFERENCE_MODEL,
        budget=1000,
        minibatch=16,
        test_rows=100,
    ),
}


def made(start: Start, seed: int, folder: Path) -> str:
    """The data set's name with options, and its model in the folder."""
    options = {"reward": "countdown-format", "seed": seed, **start.data}
    if not (folder / "tokenizer.json").is_file():
        start.model(folder, seed, countdown(**options))
    words = {key: value[0] if isinstance(value, tuple) else value for key, value in options.items()}
    return f"countdown[{','.join(f'{key}={value}' for key, value in sorted(words.items()))}]"


def measured(name: str, start: Start, out: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Run what is missing of a start's cells: a row for each cell, and one for each generation."""
    tasks, models = [], {}
    for seed in SEEDS:
        label = f"{name}-{seed}"
        models[label] = {"path": str(out / "models" / label)}
        data = made(start, seed, out / "models" / label)
        tasks.append(f"{data}/{label}/{start.tuning}")
    rows = start.data["rows"]
    protocol = {"train_rows": rows, "dev_rows": min(rows, 50), "minibatch": start.minibatch, "dev_points": 1}
    words = Sweep(
        tasks=tasks,
        algorithms=start.algorithms,
        repetitions=1,
        budget=start.budget,
        objective="reward",
        models=models,
        protocol={**protocol, "test_rows": start.test_rows, "seed": 0, "timeout": 3600},
    )
    results = sweep(words, out=out / name)
    found = results.runs[results.runs["algorithm"] != "in-context"]
    test = results.metrics[results.metrics["split"] == "test"]
    values = test.pivot_table(index="id", columns="metric", values="value").add_prefix("test_")
    found = found.set_index("id").join(values).reset_index()
    runs = pd.DataFrame(
        {
            "start": name,
            "seed": found["model"].str.rpartition("-")[2].astype(int),
            "algorithm": found["algorithm"],
            "status": found["status"],
            "evaluations": found["evaluations"],
            "reward": MOST * found["test_shaped_reward"],
            "layout": (MOST * found["test_shaped_reward"] - found["test_accuracy"]) / FORMAT_SHARE,
            "accuracy": found["test_accuracy"],
            "seconds": found["seconds_ask"] + found["seconds_evaluate"] + found["seconds_tell"],
        }
    ).round(4)
    curves = results.curve.merge(found[["id", "model", "algorithm"]], on="id")
    curves["reward"] = (MOST * (1 - curves["loss_mean"])).round(4)
    return runs, curves[["model", "algorithm", "evaluations", "reward"]]


def table(runs: pd.DataFrame) -> str:
    """Mean and range over the models of each start and algorithm, as Markdown."""
    lines = ["| start | algorithm | reward | layout | accuracy | least and most reward | seconds |"]
    lines.append("|---|---|---|---|---|---|---|")
    for name in runs["start"].unique():
        mine = runs[runs["start"] == name]
        for algorithm in [UNTUNED, *STARTS[name].algorithms]:
            cells = mine[mine["algorithm"] == algorithm]
            mean = cells[["reward", "layout", "accuracy", "seconds"]].mean()
            least, most = cells["reward"].min(), cells["reward"].max()
            label = "untouched" if algorithm == UNTUNED else algorithm
            lines.append(
                f"| {name} | {label} | {mean['reward']:.4f} | {mean['layout']:.3f} | {mean['accuracy']:.3f} "
                f"| {least:.4f} to {most:.4f} | {mean['seconds']:.0f} |"
            )
    return "\n".join(lines)


def reachable() -> dict[str, Any]:
    """What of the reward the embedded reference model's vocabulary can write."""
    tokens = reference().tokenizer
    plain = [i for i in range(len(tokens)) if i not in tokens.all_special_ids]
    texts = [tokens.decode([i]) for i in plain]
    row = countdown(rows=1, reward="countdown-format").splits["test"][0]
    written = str(tokens.decode(tokens(row.answers[0])["input_ids"], skip_special_tokens=True))
    shaped = JUDGES["countdown-format"].shaped
    assert shaped is not None
    return {
        "tokens": len(plain),
        "with a digit": sum(bool(re.search("[0-9]", text)) for text in texts),
        "with an angle bracket": sum(bool(re.search("[<>]", text)) for text in texts),
        "with an operator": sum(bool(re.search("[-+*/]", text)) for text in texts),
        "a right answer as it writes it": written,
        "its reward": MOST * shaped(written, row),
    }


def main() -> None:
    """Measure, write and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("to", type=Path, help="folder of the tables")
    parser.add_argument("--cells", type=Path, help="folder that keeps the cells, to go on after a break")
    parser.add_argument("--starts", nargs="+", choices=STARTS, default=list(STARTS))
    options = parser.parse_args()
    torch.set_num_threads(1)
    cells = (options.cells or Path(tempfile.mkdtemp(prefix="countdown"))).resolve()
    found = [measured(name, STARTS[name], cells) for name in options.starts]
    options.to.mkdir(parents=True, exist_ok=True)
    runs, curves = (pd.concat(parts, ignore_index=True) for parts in zip(*found, strict=True))
    runs.to_csv(options.to / "runs.csv", index=False)
    curves.to_csv(options.to / "curves.csv", index=False)
    said = json.dumps(
        {"seeds": SEEDS, "lessons": LESSONS, "few lessons": FEW_LESSONS, "reference": reachable()}, indent=2
    )
    (options.to / "measured.json").write_text(f"{said}\n", encoding="utf-8")
    print(table(runs), said, sep="\n")


if __name__ == "__main__":
    main()

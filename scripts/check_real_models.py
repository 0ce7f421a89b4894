"""Populations on pre-trained models beside one candidate at a time, and exports read by other libraries.

    python scripts/check_real_models.py results/real-models --data sst2-16shot --models stories260k minilm

For each model and tuning: the losses of five candidates on a minibatch of SST-2, in one batched forward,
beside a copy of the model for each candidate that ``transformers`` runs row by row. Then a short search is
exported and read by PEFT or ``transformers`` alone, which answer the test rows again. Writes ``losses.csv``
and ``exports.csv`` and prints both.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
import peft
import torch
import transformers

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from harness import sweep
from harness.core import Gaussian, LowRank, Perturbations, Points, Population, Protocol, Request, Space
from harness.running.export import export
from harness.running.sweep_file import Sweep
from tasks.language_model import LanguageModel
from tasks.objectives import cross_entropy
from tasks.published.registered import FACTORIES
from tasks.text_task import TextTask
from tasks.tuning.base import Tuning, parameters_of
from tasks.tuning.full import FullTuning
from tasks.tuning.lora import LoRATuning
from tasks.tuning.prompt import PromptTuning
from tests.tasks.test_families import SCORES, plain_losses

TUNINGS: dict[str, Tuning] = {
    "prompt": PromptTuning(tokens=3),
    "lora": LoRATuning(),
    "full": FullTuning(),
}
LAWS = {"points": None, "gaussian": Gaussian, "low-rank": LowRank}
MEMBERS = 5
TOKENS = 32


def population(space: Space, law: str) -> Population:
    """Five candidates at a step of .3 in units of scale."""
    kind = LAWS[law]
    if kind is None:
        return Points(0.3 * torch.randn(MEMBERS, space.size, generator=torch.Generator().manual_seed(1)))
    members, signs = torch.tensor([0, 0, 1, 2, 3]), torch.tensor([1, -1, 1, 0, 1], dtype=torch.int8)
    return Perturbations(space.start(), kind(space, 1, 0), 0.3, members, signs)


def losses(data: Path, model: LanguageModel) -> pd.DataFrame:
    """The largest relative difference from plain evaluation, by tuning and kind of population."""
    rows = []
    for name, tuning in TUNINGS.items():
        made = FACTORIES["sst2"](path=data, max_tokens=TOKENS)
        protocol = Protocol(per_class=16, minibatch=8, test_rows=8)
        task = TextTask(made, model, tuning, cross_entropy, protocol, name)
        for law in LAWS:
            asked = population(task.space, law)
            ours = task.evaluate([Request(asked, 0, 2)])[0].losses
            plain = plain_losses(task, parameters_of(asked, task.space), task.minibatch(0, 2))
            rows.append(
                {
                    "tuning": name,
                    "population": law,
                    "dimension": task.space.size,
                    "largest relative difference": float(((ours - plain).abs() / plain.abs()).max()),
                    "losses differ by": float(ours.max() - ours.min()),
                }
            )
    return pd.DataFrame(rows)


def exports(data: Path, name: str, path: Path, test_rows: int) -> pd.DataFrame:
    """The test accuracy of short searches in the sweep, and as other libraries read their exports."""
    words = Sweep(
        tasks=[f"sst2[path={data},max_tokens={TOKENS}]/{name}/{tuning}" for tuning in TUNINGS],
        algorithms=["openai-es[population=10]"],
        repetitions=1,
        budget=20,
        models={name: {"path": str(path)}},
        protocol={"per_class": 16, "minibatch": 8, "dev_points": 1, "test_rows": test_rows, "seed": 0},
    )
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        runs = sweep(words, out=Path(folder) / "sweep").runs
        for run in runs[runs["algorithm"].str.startswith("openai-es")].to_dict("records"):
            target = Path(folder) / run["tuning"]
            done = export(Path(folder) / "sweep" / run["id"], target)
            again = accuracy(data, path, run["tuning"], target, test_rows)
            rows.append(
                {"tuning": run["tuning"], "export": done.kind, "sweep": run["test_metric"], "alone": again}
            )
    return pd.DataFrame(rows)


def accuracy(data: Path, path: Path, tuning: str, folder: Path, test_rows: int) -> float:
    """Of the exported candidate on the test rows, read without gradfree and asked row by row."""
    base = LanguageModel(path=str(path))
    kind: Any = getattr(transformers, base.kind.auto_class)
    model = kind.from_pretrained(folder if tuning == "full" else path)
    prompt = None
    if tuning == "lora":
        model = peft.PeftModel.from_pretrained(model, folder).merge_and_unload()
    elif tuning == "prompt":
        wrapped = peft.PeftModel.from_pretrained(model, folder)
        prompt = wrapped.prompt_encoder["default"].embedding.weight.detach()
    made = FACTORIES["sst2"](path=data, max_tokens=TOKENS)
    protocol = Protocol(per_class=16, minibatch=8, test_rows=test_rows)
    task = TextTask(made, base, TUNINGS[tuning], cross_entropy, protocol, tuning)
    rows = task.rows_of("test", 0)
    hits = []
    with torch.no_grad():
        for ids, length, label in zip(rows.ids, rows.lengths, rows.labels, strict=True):
            hits.append(int(SCORES[base.family](task, model.eval(), ids[:length], prompt).argmax()) == label)
    return float(torch.tensor(hits).double().mean())


def main() -> None:
    """Check, write and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("to", type=Path, help="folder of the tables")
    parser.add_argument("--data", type=Path, required=True, help="SST-2 in the 16-per-class splits")
    parser.add_argument("--models", type=Path, nargs="+", required=True, help="folders")
    parser.add_argument("--test-rows", type=int, default=256)
    given = parser.parse_args()
    data, to = given.data.resolve(), given.to
    to.mkdir(parents=True, exist_ok=True)
    found: dict[str, list[pd.DataFrame]] = {"losses": [], "exports": []}
    for path in given.models:
        model = LanguageModel(path=str(path.resolve()))
        for table, rows in (
            ("losses", losses(data, model)),
            ("exports", exports(data, path.name, path.resolve(), given.test_rows)),
        ):
            rows.insert(0, "model", path.name)
            found[table].append(rows)
    for table, parts in found.items():
        whole = pd.concat(parts, ignore_index=True)
        whole.to_csv(to / f"{table}.csv", index=False, float_format="%.4g")
        print(whole.to_string(index=False))


if __name__ == "__main__":
    main()

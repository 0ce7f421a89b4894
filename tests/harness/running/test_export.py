"""A run's tuned candidate comes back from its losses and is worth what the sweep said."""

from __future__ import annotations

import json
from pathlib import Path

import peft
import pytest
import torch
import transformers

from harness import Sweep, UserError, sweep
from harness.running.export import export
from harness.running.plan import builder_of
from tasks.reference import model_path

TASKS = ("sentiment/reference/prompt", "sentiment/reference/lora", "sentiment/reference/full")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small sweep: an algorithm that is replayed, and one that is run again."""
    out = tmp_path_factory.mktemp("export") / "out"
    words = Sweep.from_flags(
        tasks=list(TASKS), algorithms="openai-es,adam", repetitions=1, budget=60, device="cpu"
    ).override(protocol={"test_rows": 48, "dev_points": 3, "minibatch": 8})
    sweep(words, out=out)
    return out


def run_of(results: Path, task: str, algorithm: str) -> tuple[Path, float]:
    from harness import load_results

    runs = load_results(results).runs
    row = runs[(runs["task"] == task) & (runs["algorithm"] == algorithm)].iloc[0]
    return results / str(row["id"]), float(row["test_metric"])


def accuracy_of(folder: Path, results: Path, task: str) -> float:
    """Test accuracy by the two libraries alone, from the exported folder and the rows' texts."""
    about = json.loads((folder / "gradfree.json").read_text())
    base = folder if task.endswith("full") else model_path()
    tokenizer = transformers.AutoTokenizer.from_pretrained(base)
    model = transformers.AutoModelForCausalLM.from_pretrained(base)
    if not task.endswith("full"):
        model = peft.PeftModel.from_pretrained(model, folder)
    made = builder_of(Sweep.load(results / "sweep.yaml")).task(task)
    hits = []
    for number in made.splits(0).test:  # type: ignore[attr-defined]
        row = made.data.splits["test"][number]  # type: ignore[attr-defined]
        text = about["template"].format(**row.fields)
        ids = tokenizer(text)["input_ids"]
        ids = ids[:-1] if ids[-1] == tokenizer.eos_token_id else ids
        words = [tokenizer(f" {word}", add_special_tokens=False)["input_ids"][0] for word in about["words"]]
        with torch.no_grad():
            logits = model.eval()(input_ids=torch.tensor([ids])).logits[0, -1, words]
        hits.append(int(logits.argmax()) == row.label)
    return sum(hits) / len(hits)


@pytest.mark.parametrize("algorithm", ["openai-es", "adam"])
@pytest.mark.parametrize("task", TASKS)
def test_the_exported_candidate_has_the_test_metric_of_the_sweep(
    task: str, algorithm: str, results: Path, tmp_path: Path
) -> None:
    run, stored = run_of(results, task, algorithm)
    done = export(run, tmp_path / "out")
    assert done.stored == done.again == stored
    assert accuracy_of(tmp_path / "out", results, task) == pytest.approx(stored)


def test_what_cannot_be_exported_says_why(results: Path, tmp_path: Path) -> None:
    run, _ = run_of(results, TASKS[0], "zero-shot")
    with pytest.raises(UserError, match="untouched model"):
        export(run, tmp_path / "out")
    with pytest.raises(UserError, match="none of its runs has this id"):
        export(results / "ffffffffffff", tmp_path / "out")
    with pytest.raises(UserError, match=r"name one of its runs as .*/ID"):
        export(results, tmp_path / "out")
    with pytest.raises(UserError, match=r"holds no plan\.json"):
        export(tmp_path / "nothing" / "0a", tmp_path / "out")
    run, _ = run_of(results, TASKS[0], "openai-es")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="is not empty"):
        export(run, tmp_path / "full")

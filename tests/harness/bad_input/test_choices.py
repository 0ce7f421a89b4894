"""Options whose right values are known to the plugin alone, and options that do not go together."""

from __future__ import annotations

from importlib import resources

import pytest

REFERENCE = str(resources.files("tasks.reference") / "model")

ALGORITHMS = {
    "nevergrad[optimizer=nobody]": "optimizer",
    "nevergrad[optimizer=__class__]": "optimizer",
    "nevergrad[optimizer=base]": "optimizer",
    "optuna[sampler=nobody]": "sampler",
    "optuna[sampler=__class__]": "sampler",
    "checkpoint[path=nowhere.safetensors]": "path",
    "checkpoint[path=.]": "path",
    "spsa[sigma=1,sigma=2]": "sigma",
    "spsa[sigma=1": "never closed",
    "spsa]": "closes nothing",
    "spsa[sigma=1]x": "behind the closing bracket",
    "spsa['sigma=1]": "never closed",
    "spsa,,random": "empty",
    "spsa,spsa": "twice",
    '"spsa"x': "quote",
    "": "--algorithms",
    ",": "--algorithms",
    "[sigma=1]": "name is empty",
    "\x1b[31mspsa": "--algorithms",
    "sp\nsa": "--algorithms",
    "x" * 100_000: "unknown algorithm",
    "[" * 100_000: "32 deep",
    "chain[first=" * 3000 + "spsa" + "]" * 3000: "first",
}
TASKS = {
    "sentiment/reference": "three parts",
    "sentiment": "dataset/model/tuning",
    "sentiment//prompt": "empty",
    "/reference/prompt": "empty",
    "sentiment/reference/": "empty",
    "sentiment/refrence/prompt": "reference",
    "sentimnt/reference/prompt": "sentiment",
    "sentiment/reference/promt": "prompt",
    "sentiment/reference/lora[matrices=nothing]": "matrices",
    "sentiment/reference/prompt[tokens=100000]": "tokens=100000 leaves no room",
    "sentiment/reference/prompt[per_class=0]": "per_class",
    "sentiment/reference/prompt[per_class=nan]": "per_class",
    "sentiment/reference/prompt[objective=]": "objective",
    "sentiment/./nowhere/prompt": "nowhere",
    "sentiment/~nobody/model/prompt": "nobody",
    "sentiment/../prompt": "config.json",
    f"sentiment/transformers[path={REFERENCE},device=gpu]/prompt": "device",
    f"sentiment/transformers[path={REFERENCE},device=cuda:99]/prompt": "device",
    f"sentiment/transformers[path={REFERENCE},dtype=int8]/prompt": "dtype",
    f"sentiment/transformers[path={REFERENCE},family=nothing]/prompt": "family",
    f"sentiment/transformers[path={REFERENCE},family=masked]/prompt": "masked",
    f"sentiment/transformers[path={REFERENCE},attention=nothing]/prompt": "attention",
    "sentiment/transformers/prompt": "path",
    "sst2[path=nowhere]/reference/prompt": "nowhere",
    "sst2[wording=nobody,smoke=true]/reference/prompt": "wording",
    "sst2[template=plain,smoke=true]/reference/prompt": "template",
    "sst2[words=one,smoke=true]/reference/prompt": "words",
    "sst2[smoke=true,max_tokens=4]/reference/prompt": "max_tokens",
    "countdown[numbers=1]/reference/prompt[objective=reward]": "numbers",
    "countdown[numbers=[]]/reference/prompt[objective=reward]": "numbers",
    "countdown[path=nowhere]/reference/prompt[objective=reward]": "path",
    "files/reference/prompt": "train",
    "sphere/x": "three parts",
    "sphere[dimension=0]": "dimension",
    "sphere[dimension=999999999999999]": "dimension",
    "sentiment/reference/lora[rank=999999]": "rank",
    "x" * 100_000: "unknown task",
    "/" * 100_000: "empty",
    f"{'a/' * 10_000}b": "a",
}


@pytest.mark.parametrize("given", ALGORITHMS, ids=lambda given: ascii(given[:40]))
def test_an_algorithm_that_cannot_be_had_is_refused(faults, given):
    words = ("--tasks", "sphere[dimension=2]", "--budget", "40", "--out", "out")
    bad = faults(
        "sweep", "--executor", "inline", "-q", *words, "--algorithms", given, names=(ALGORITHMS[given],)
    )
    assert not bad, "\n".join(bad)


@pytest.mark.parametrize("given", TASKS, ids=lambda given: ascii(given[-40:]))
def test_a_task_that_cannot_be_had_is_refused(faults, given):
    words = ("--algorithms", "random", "--budget", "40", "--out", "out")
    bad = faults("sweep", "--executor", "inline", "-q", *words, "--tasks", given, names=(TASKS[given],))
    assert not bad, "\n".join(bad)

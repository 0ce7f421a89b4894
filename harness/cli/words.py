"""What the verbs are told: arguments and options, and the sweep that they mean."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.core.errors import UserError

if TYPE_CHECKING:
    from harness.running.sweep_file import Sweep

Source = Annotated[
    str | None,
    typer.Argument(metavar="[SWEEP]", help="A sweep file or a suite; or give --tasks, --algorithms."),
]
Folder = Annotated[Path, typer.Argument(metavar="OUT", help="The folder of a sweep's results.")]
Run = Annotated[Path, typer.Argument(metavar="RUN", help="OUT/ID: a folder of results and a run's id.")]
Tasks = Annotated[str | None, typer.Option(help="dataset/model/tuning, several with commas.")]
Algorithms = Annotated[str | None, typer.Option(help="Names with options in brackets, several with commas.")]
Repetitions = Annotated[int | None, typer.Option(help="Data splits, each with a seed of its own.")]
Evaluations = Annotated[int | None, typer.Option("--budget", help="Candidate evaluations per cell.")]
Objective = Annotated[str | None, typer.Option(help="What is minimised.")]
Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N.")]
Dtype = Annotated[str | None, typer.Option(help="float32, float64 or bfloat16.")]
Smoke = Annotated[
    bool, typer.Option("--smoke", help="Tiny models, few rows, few evaluations: does it run at all?")
]
Trials = Annotated[
    int | None, typer.Option(help="Tune the options of every algorithm by so many trials each.", min=1)
]
Executor = Annotated[
    str,
    typer.Option(
        envvar="GRADFREE_EXECUTOR", help="Where cells run: local (processes of this machine), ray or inline."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]


def flags_of(given: dict[str, Any]) -> dict[str, Any]:
    """The keys of a sweep file among a verb's own arguments; None means not given."""
    keys = ("tasks", "algorithms", "repetitions", "budget", "objective", "device", "dtype")
    flags = {key: given[key] for key in keys}
    trials = given["trials"]
    return flags | {"smoke": given["smoke"] or None, "tuning": None if trials is None else {"trials": trials}}


def sweep_of(source: str | None, flags: dict[str, Any]) -> Sweep:
    """The sweep that a file, a suite or the flags alone describe; raises UserError."""
    from harness.running.sweep_file import Sweep

    if source is not None:
        return Sweep.load(source).override(**flags)
    if flags["tasks"] is None or flags["algorithms"] is None:
        raise UserError("nothing to run: name a sweep file or a suite, or give both --tasks and --algorithms")
    return Sweep.from_flags(**flags)

"""The verbs for authors: of algorithms, tasks and models of their own."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.application import app
from harness.cli.printing import print_json, print_rows
from harness.cli.words import (
    AsJson,
    Device,
    Dtype,
)


@app.command()
def check(
    names: Annotated[
        list[str], typer.Argument(metavar="NAME...", help="Algorithms and tasks, with options in brackets.")
    ],
    as_json: AsJson = False,
) -> None:
    """Check that algorithms and tasks keep their contract; the exit code is 1 where one does not."""
    from harness.plugins.conformance import examine

    reports = []
    for name in names:
        for report in examine(name):
            reports.append(report)
            if not as_json:
                typer.echo(str(report))
    if as_json:
        print_json([report.to_dict() for report in reports])
    if not all(report.ok for report in reports):
        raise typer.Exit(1)


@app.command()
def bench(
    tasks: Annotated[
        list[str], typer.Argument(metavar="TASK...", help="dataset/model/tuning; a model may be a folder.")
    ],
    device: Device = None,
    dtype: Dtype = None,
    population: Annotated[int, typer.Option(help="The largest that is tried.", min=2)] = 256,
    as_json: AsJson = False,
) -> None:
    """Measure how fast populations of a task are evaluated, and say what size to use."""
    from harness.plugins.build import Builder
    from harness.running.bench import POPULATIONS, recommended
    from harness.running.bench import bench as paces_of

    builder = Builder(device=device or "auto", dtype=dtype or "float32")
    sizes = [size for size in POPULATIONS if size <= population]
    found = {}
    for name in tasks:
        found[name] = list(paces_of(builder.task(name), sizes))
        if not as_json:
            rows = [
                {
                    "noise": pace.noise,
                    "population": pace.population,
                    "tokens/s": f"{pace.tokens:,.0f}",
                    "of plain inference": f"{pace.ratio:.2f}",
                }
                for pace in found[name]
            ]
            print_rows(rows, ["noise", "population", "tokens/s", "of plain inference"])
            for noise in dict.fromkeys(pace.noise for pace in found[name]):
                best = recommended([pace for pace in found[name] if pace.noise == noise])
                typer.echo(f"{name}: use a population of {best.population} or more ({noise} perturbations)")
    if as_json:
        print_json({name: [asdict(pace) for pace in paces] for name, paces in found.items()})


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Of the algorithm, as my-optimizer.")],
    into: Annotated[Path, typer.Option(help="The folder in which its own is made.")] = Path(),
) -> None:
    """Write a small package with an algorithm of your own, ready to be installed and changed."""
    from harness.plugins.scaffold import write_package

    folder = write_package(name, into)
    typer.echo(f"{folder} is written; next: pip install -e {folder}, then gradfree check {name}")

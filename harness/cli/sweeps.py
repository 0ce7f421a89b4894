"""The verbs that plan, run and watch sweeps."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.application import app, ended_as_interrupted
from harness.cli.printing import SMOKE_RUN, brief, print_json, print_rows, records, show_results
from harness.cli.words import (
    Algorithms,
    AsJson,
    Device,
    Dtype,
    Evaluations,
    Executor,
    Folder,
    Objective,
    Repetitions,
    Smoke,
    Source,
    Tasks,
    Trials,
    flags_of,
    sweep_of,
)


@app.command("list")
def list_(
    kind: Annotated[
        str | None,
        typer.Argument(help="algorithms, datasets, models, tunings, objectives, tasks or suites."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what there is to choose from."""
    from harness.running.catalog import catalog, names

    if kind is None:
        found = names()
        if as_json:
            return print_json(found)
        for each, known in found.items():
            typer.echo(f"{each}: {', '.join(known)}")
        return None
    rows = catalog(kind)
    if as_json:
        return print_json(rows)
    good, broken = [r for r in rows if "error" not in r], [r for r in rows if "error" in r]
    if kind == "algorithms":
        for row in good:
            limit = row["largest_dimension"]
            row["largest d"] = "any" if limit is None else f"{limit:,}"
            row["family"] = f"{row['family']} (reference)" if row["reference"] else row["family"]
        print_rows(good, ["name", "family", "largest d", "source", "provider"])
    elif kind == "suites":
        for row in good:
            row["tasks"], row["algorithms"] = len(row["tasks"]), len(row["algorithms"])
        print_rows(good, ["name", "tasks", "algorithms", "repetitions", "budget"])
    else:
        print_rows(good, ["name", "summary", "provider"])
    for row in broken:
        typer.echo(f"broken: {row['name']}: {row['error']}", err=True)
    return None


@app.command()
def plan(
    source: Source = None,
    tasks: Tasks = None,
    algorithms: Algorithms = None,
    repetitions: Repetitions = None,
    budget: Evaluations = None,
    objective: Objective = None,
    device: Device = None,
    dtype: Dtype = None,
    smoke: Smoke = False,
    trials: Trials = None,
    peak_flops: Annotated[
        float | None,
        typer.Option(help="Of the GPU, operations per second; of an H200 in the sweep's dtype unless given."),
    ] = None,
    utilisation: Annotated[float, typer.Option(help="The share of it that is reached.", max=1)] = 0.4,
    as_json: AsJson = False,
) -> None:
    """Show what a sweep would run and cost, and what it would skip and why; nothing is run or downloaded."""
    from harness.running.catalog import plan_overview
    from harness.running.estimate import PEAKS, Speed, total
    from harness.running.plan import builder_of, make_plan

    words = sweep_of(source, flags_of(locals()))
    speed = Speed(PEAKS[words.dtype] if peak_flops is None else peak_flops, utilisation)
    builder = builder_of(words, planning=True)
    rows = plan_overview(make_plan(words, builder), builder, speed)
    sums = total(rows)
    if as_json:
        return print_json({"rows": rows, "total": sums, "speed": asdict(speed), "smoke": words.smoke})
    for task in dict.fromkeys(row["task"] for row in rows):
        mine = [row for row in rows if row["task"] == task]
        typer.echo(f"{task}: {mine[0]['dimension']:,} dimensions")
        for row in mine:
            row |= {"tokens": brief(row["tokens"]), "FLOPs": brief(row["flops"])}
            row["GPU hours"] = brief(row["gpu_hours"])
            row["GiB"] = None if row["memory"] is None else brief(row["memory"] / 2**30)
        names = ["algorithm", *["kind"] * (words.tuning is not None), "cells", "evaluations"]
        print_rows(mine, [*names, "tokens", "FLOPs", "GPU hours", "GiB"])
        for line in dict.fromkeys(f"{row['algorithm']}: {row['skipped']}" for row in mine if row["skipped"]):
            typer.echo(f"skipped: {line}")
    typer.echo(f"{sums['cells']} cells, at most {sums['evaluations']:,} evaluations")
    if sums["flops"]:
        typer.echo(
            f"at most {brief(sums['tokens'])} tokens, {brief(sums['flops'])} FLOPs: "
            f"{brief(sums['gpu_hours'])} GPU hours at {utilisation:.0%} of {speed.peak_flops:.3g} FLOP/s "
            f"({words.dtype}), more where answers are generated token by token; "
            f"{brief(sums['memory'] / 2**30)} GiB for the largest cell"
        )
    if words.smoke:
        typer.echo(SMOKE_RUN)
    return None


@app.command()
def sweep(
    source: Source = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the results; by default results/<name>.")
    ] = None,
    tasks: Tasks = None,
    algorithms: Algorithms = None,
    repetitions: Repetitions = None,
    budget: Evaluations = None,
    objective: Objective = None,
    device: Device = None,
    dtype: Dtype = None,
    smoke: Smoke = False,
    trials: Trials = None,
    executor: Executor = "local",
    workers: Annotated[
        int, typer.Option(min=1, help="Processes that run cells; each has its share of the cores, or a GPU.")
    ] = 1,
    memory: Annotated[
        float | None, typer.Option(min=0.1, help="GiB that a worker may hold; by default its share of 90 %.")
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(min=1, help="With which a worker computes; by default its share of the cores."),
    ] = None,
    shards: Annotated[
        int, typer.Option(min=1, help="Devices on which each worker evaluates a population.")
    ] = 1,
    address: Annotated[
        str | None, typer.Option(help="Of a Ray cluster; by default the one that is here.")
    ] = None,
    retry: Annotated[bool, typer.Option("--retry", help="Run failed and timed-out cells again.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run a sweep, or go on with one: the same command again runs only what is missing.

    A cell that fails is a row of the results, with its reason; the others go on, even where it kills its
    process. The same sweep may be given several times at once: each runs what the others do not.
    """
    from harness.running.clock import Breakdown, in_words

    flags, breakdown = flags_of(locals()), Breakdown()
    with breakdown.phase("loading"):
        from harness.report.tables import write_leaderboard
        from harness.running.executors import executor_of
        from harness.running.progress import watching
        from harness.running.store import sessions
        from harness.running.sweeping import sweep as run_sweep

        words = sweep_of(source, flags)
    folder = out or words.output
    try:
        with ended_as_interrupted():
            results = run_sweep(
                words,
                out=folder,
                retry=retry,
                progress=watching(quiet),
                breakdown=breakdown,
                executor=executor_of(
                    executor, workers, memory=memory, threads=threads, shards=shards, address=address
                ),
            )
    except KeyboardInterrupt:
        typer.echo(f"stopped; the same command goes on where it was (results in {folder})", err=True)
        raise typer.Exit(130) from None
    write_leaderboard(results)
    if as_json:
        counts = results.runs["status"].value_counts().to_dict()
        return print_json({"out": str(folder), "cells": {str(name): int(n) for name, n in counts.items()}})
    if not quiet:
        show_results(results)
        typer.echo(in_words(sessions(folder)[-1]))
        if words.smoke:
            typer.echo(SMOKE_RUN)
        typer.echo(f"results in {folder}")
    return None


@app.command()
def status(out: Folder, as_json: AsJson = False) -> None:
    """Show how far a sweep is."""
    from harness.report.status import STATUSES, last_session
    from harness.report.status import status as status_of
    from harness.running.results import load_results
    from harness.running.store import being_written, sessions

    frame = status_of(load_results(out))
    active, past = being_written(out), sessions(out)
    if as_json:
        return print_json({"active": active, "rows": records(frame), "sessions": past})
    rows = records(frame)
    for row in rows:
        row["cells"] = ", ".join(f"{row[name]} {name}" for name in STATUSES if row[name])
        row["evaluations"] = f"{row['evaluations']:,}/{row['budget']:,}"
    print_rows(rows, ["task", "algorithm", "cells", "evaluations", "reason"])
    if past:
        typer.echo(last_session(past[-1]))
    left = int(frame["running"].sum() + frame["pending"].sum())
    if active:
        typer.echo(f"a sweep is writing here; {left} cells left")
    elif left:
        typer.echo(f"{left} cells left and no sweep is running; start the same sweep again to go on")
    else:
        typer.echo("all cells have ended")
    return None

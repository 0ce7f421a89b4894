"""The verbs that read what sweeps have written."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.application import app
from harness.cli.printing import console, print_json, records
from harness.cli.words import (
    AsJson,
    Folder,
    Run,
)
from harness.core.errors import UserError


@app.command()
def leaderboard(
    out: Folder,
    form: Annotated[
        str, typer.Option("--format", help="table, csv, json, markdown or latex; all but the first to paste.")
    ] = "table",
    by: Annotated[str, typer.Option(help="A table for each task, tuning or family.")] = "task",
    columns: Annotated[
        str,
        typer.Option(
            help="results; promises (cost, stability, generalisation); ert (expected running times); "
            "data (the metric at several numbers of examples); tuning (default and tuned options)."
        ),
    ] = "results",
    metric: Annotated[
        str | None,
        typer.Option(
            help="Another than the tasks' own, of those that were measured; NAME:min or NAME:max where "
            "nothing says which values are better."
        ),
    ] = None,
    at_budget: Annotated[
        str | None,
        typer.Option(
            metavar="N",
            help="As if each run had stopped after N evaluations (or tokens=N, seconds=N); compares on dev.",
        ),
    ] = None,
    csv: Annotated[Path | None, typer.Option(help="Write the table to this file too.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show ranks and ties, means with 95% intervals, costs, options and versions."""
    from harness.report.boards import board as grouped
    from harness.report.formats import FORMATS, rendered
    from harness.report.metrics import measured_by
    from harness.report.stopping import Limit, stopped_at
    from harness.report.tables import leaderboard as board_of
    from harness.report.tables import overall, write_leaderboard
    from harness.report.terminal import show_board, show_leaderboard
    from harness.running.results import load_results

    if form not in FORMATS:
        raise UserError(f"--format: {form!r} is none of {', '.join(FORMATS)}")
    if as_json and (form != "table" or by != "task" or columns != "results" or at_budget is not None):
        raise UserError("--json prints the tasks' table; leave out --json and give --format json")
    if csv is not None and at_budget is not None:
        raise UserError("--csv writes the table of whole runs; leave out --csv and give --format csv")
    limit = None if at_budget is None else Limit.parse(at_budget)
    results, split, about = load_results(out), "test", ""
    if limit is not None:
        (results, about), split = stopped_at(results, limit, metric), "dev"
    elif metric is not None:
        results = measured_by(results, metric)
    if csv is not None:
        try:
            write_leaderboard(results, csv)
        except OSError as error:
            raise UserError(f"--csv: {csv} cannot be written: {error.strerror}; name another file") from error
    if as_json:
        board = board_of(results)
        summary = overall(board)
        return print_json(
            {
                "tasks": records(board),
                "overall": records(summary.ranks),
                "over": summary.tasks,
                "note": summary.note,
            }
        )
    detail = grouped(results, by, columns, split, about)
    if form != "table":
        typer.echo(rendered(detail, form), nl=False)
    elif (by, columns, split) == ("task", "results", "test"):
        board = board_of(results)
        show_leaderboard(board, overall(board), console(), detail)
    else:
        show_board(detail, console())
    return None


@app.command()
def show(run: Run, as_json: AsJson = False) -> None:
    """Show one run: its configuration, its curve in a few lines, and why it failed."""
    from harness.report.show import describe, in_lines

    found = describe(run)
    if as_json:
        return print_json(found)
    for line in in_lines(found):
        typer.echo(line)
    return None


@app.command()
def merge(
    sources: Annotated[
        list[Path], typer.Argument(metavar="OUT OUT...", help="Folders of sweeps' results, two or more.")
    ],
    out: Annotated[Path, typer.Option(help="A new folder for all of them.")],
    as_json: AsJson = False,
) -> None:
    """Join results of several machines; refused where they cannot stand in one table, with the reason."""
    from harness.report.tables import write_leaderboard
    from harness.running.merging import merge as joined

    results = joined(sources, out)
    write_leaderboard(results)
    if as_json:
        return print_json({"out": str(out), "cells": len(results.runs)})
    typer.echo(f"{len(results.runs)} cells of {len(sources)} folders are in {out}")
    return None


@app.command()
def export(
    run: Run,
    to: Annotated[Path, typer.Option(help="A new folder for what is written.")],
    as_json: AsJson = False,
) -> None:
    """Write what a run has tuned: a PEFT adapter, or a model as a transformers folder."""
    from harness.running.export import export as write

    done = write(run, to)
    if as_json:
        return print_json(asdict(done) | {"folder": str(done.folder)})
    typer.echo(
        f"{done.kind} written to {done.folder}; {done.metric} on test {done.again:.4f} "
        f"({done.stored:.4f} in the sweep)"
    )
    return None

"""The command line. Verbs parse and print; the work is in functions that are called from Python too.

Nothing heavy is imported before a verb needs it: help answers at once.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from harness.core.errors import UserError

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from harness.running.sweep_file import Sweep

app = typer.Typer(
    name="gradfree",
    help="The benchmark harness for gradient-free (black-box) tuning of language models.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_SMOKE = "a smoke run: its figures say nothing about the real models and data"

_UsageError: Any = typer.BadParameter.__bases__[0]
"""Words that typer cannot make sense of; the class has no public name of its own in all of its versions."""

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
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]


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
            return _print_json(found)
        for each, known in found.items():
            typer.echo(f"{each}: {', '.join(known)}")
        return None
    rows = catalog(kind)
    if as_json:
        return _print_json(rows)
    good, broken = [r for r in rows if "error" not in r], [r for r in rows if "error" in r]
    if kind == "algorithms":
        for row in good:
            limit = row["largest_dimension"]
            row["largest d"] = "any" if limit is None else f"{limit:,}"
            row["family"] = f"{row['family']} (reference)" if row["reference"] else row["family"]
        _print_rows(good, ["name", "family", "largest d", "source", "provider"])
    elif kind == "suites":
        for row in good:
            row["tasks"], row["algorithms"] = len(row["tasks"]), len(row["algorithms"])
        _print_rows(good, ["name", "tasks", "algorithms", "repetitions", "budget"])
    else:
        _print_rows(good, ["name", "summary", "provider"])
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
        float, typer.Option(help="Of the GPU, operations per second; of an H200 in bfloat16 unless given.")
    ] = 989e12,
    utilisation: Annotated[float, typer.Option(help="The share of it that is reached.", max=1)] = 0.4,
    as_json: AsJson = False,
) -> None:
    """Show what a sweep would run and cost, and what it would skip and why; nothing is run or downloaded."""
    from harness.running.catalog import plan_overview
    from harness.running.estimate import Speed, total
    from harness.running.plan import builder_of, make_plan

    words, speed = _words(source, _flags(locals())), Speed(peak_flops, utilisation)
    builder = builder_of(words, planning=True)
    rows = plan_overview(make_plan(words, builder), builder, speed)
    sums = total(rows)
    if as_json:
        return _print_json({"rows": rows, "total": sums, "speed": asdict(speed), "smoke": words.smoke})
    for task in dict.fromkeys(row["task"] for row in rows):
        mine = [row for row in rows if row["task"] == task]
        typer.echo(f"{task}: {mine[0]['dimension']:,} dimensions")
        for row in mine:
            row |= {"tokens": _brief(row["tokens"]), "FLOPs": _brief(row["flops"])}
            row["GPU hours"] = _brief(row["gpu_hours"])
            row["GiB"] = None if row["memory"] is None else _brief(row["memory"] / 2**30)
        names = ["algorithm", *["kind"] * (words.tuning is not None), "cells", "evaluations"]
        _print_rows(mine, [*names, "tokens", "FLOPs", "GPU hours", "GiB"])
        for line in dict.fromkeys(f"{row['algorithm']}: {row['skipped']}" for row in mine if row["skipped"]):
            typer.echo(f"skipped: {line}")
    typer.echo(f"{sums['cells']} cells, at most {sums['evaluations']:,} evaluations")
    if sums["flops"]:
        typer.echo(
            f"at most {_brief(sums['tokens'])} tokens, {_brief(sums['flops'])} FLOPs: "
            f"{_brief(sums['gpu_hours'])} GPU hours at {utilisation:.0%} of {peak_flops:.3g} FLOP/s; "
            f"{_brief(sums['memory'] / 2**30)} GiB for the largest cell"
        )
    if words.smoke:
        typer.echo(_SMOKE)
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
    retry: Annotated[bool, typer.Option("--retry", help="Run failed and timed-out cells again.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run a sweep, or go on with one: the same command again runs only what is missing.

    A cell that fails is a row of the results, with its reason; the others go on.
    """
    from harness.running.clock import Breakdown, in_words

    flags, breakdown = _flags(locals()), Breakdown()
    with breakdown.phase("loading"):
        from harness.report.tables import write_leaderboard
        from harness.running.progress import watching
        from harness.running.store import sessions
        from harness.running.sweeping import sweep as run_sweep

        words = _words(source, flags)
    folder = out or words.output
    try:
        results = run_sweep(words, out=folder, retry=retry, progress=watching(quiet), breakdown=breakdown)
    except KeyboardInterrupt:
        typer.echo(f"stopped; the same command goes on where it was (results in {folder})", err=True)
        raise typer.Exit(130) from None
    write_leaderboard(results)
    if as_json:
        counts = results.runs["status"].value_counts().to_dict()
        return _print_json({"out": str(folder), "cells": {str(name): int(n) for name, n in counts.items()}})
    if not quiet:
        _show(results)
        typer.echo(in_words(sessions(folder)[-1]))
        if words.smoke:
            typer.echo(_SMOKE)
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
        return _print_json({"active": active, "rows": _records(frame), "sessions": past})
    rows = _records(frame)
    for row in rows:
        row["cells"] = ", ".join(f"{row[name]} {name}" for name in STATUSES if row[name])
        row["evaluations"] = f"{row['evaluations']:,}/{row['budget']:,}"
    _print_rows(rows, ["task", "algorithm", "cells", "evaluations", "reason"])
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


@app.command()
def leaderboard(
    out: Folder,
    form: Annotated[
        str, typer.Option("--format", help="table, csv, json, markdown or latex; all but the first to paste.")
    ] = "table",
    by: Annotated[str, typer.Option(help="A table for each task, tuning or family.")] = "task",
    metric: Annotated[
        str | None, typer.Option(help="Another than the tasks' own, of those that were measured.")
    ] = None,
    csv: Annotated[Path | None, typer.Option(help="Write the table to this file too.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show ranks and ties, means with 95% intervals, costs, options and versions."""
    from harness.report.boards import board as grouped
    from harness.report.formats import FORMATS, rendered
    from harness.report.metrics import measured_by
    from harness.report.tables import leaderboard as board_of
    from harness.report.tables import overall, write_leaderboard
    from harness.report.terminal import show_board, show_leaderboard
    from harness.running.results import load_results

    if form not in FORMATS:
        raise UserError(f"--format: {form!r} is none of {', '.join(FORMATS)}")
    if as_json and (form != "table" or by != "task"):
        raise UserError("--json prints the tasks' table; leave out --json and give --format json")
    results = load_results(out)
    if metric is not None:
        results = measured_by(results, metric)
    if csv is not None:
        try:
            write_leaderboard(results, csv)
        except OSError as error:
            raise UserError(f"--csv: {csv} cannot be written: {error.strerror}") from error
    if as_json:
        board = board_of(results)
        summary = overall(board)
        return _print_json(
            {
                "tasks": _records(board),
                "overall": _records(summary.ranks),
                "over": summary.tasks,
                "note": summary.note,
            }
        )
    detail = grouped(results, by)
    if form != "table":
        typer.echo(rendered(detail, form), nl=False)
    elif by == "task":
        board = board_of(results)
        show_leaderboard(board, overall(board), _console(), detail)
    else:
        show_board(detail, _console())
    return None


@app.command()
def report(
    out: Folder,
    to: Annotated[Path | None, typer.Option(help="The file to write; by default OUT/report.html.")] = None,
    title: Annotated[str | None, typer.Option(help="Of the page; by default the folder's name.")] = None,
) -> None:
    """Write a report: one HTML file that needs no network."""
    from harness.report.writing import write_report
    from harness.running.results import load_results

    typer.echo(f"{write_report(load_results(out), to, title)} is written; open it in a browser")


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
        _print_json([report.to_dict() for report in reports])
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
            _print_rows(rows, ["noise", "population", "tokens/s", "of plain inference"])
            for noise in dict.fromkeys(pace.noise for pace in found[name]):
                best = recommended([pace for pace in found[name] if pace.noise == noise])
                typer.echo(f"{name}: use a population of {best.population} or more ({noise} perturbations)")
    if as_json:
        _print_json({name: [asdict(pace) for pace in paces] for name, paces in found.items()})


@app.command()
def show(run: Run, as_json: AsJson = False) -> None:
    """Show one run: its configuration, its curve in a few lines, and why it failed."""
    from harness.report.show import describe, in_lines

    found = describe(run)
    if as_json:
        return _print_json(found)
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
        return _print_json({"out": str(out), "cells": len(results.runs)})
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
        return _print_json(asdict(done) | {"folder": str(done.folder)})
    typer.echo(
        f"{done.kind} written to {done.folder}; {done.metric} on test {done.again:.4f} "
        f"({done.stored:.4f} in the sweep)"
    )
    return None


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Of the algorithm, as my-optimizer.")],
    into: Annotated[Path, typer.Option(help="The folder in which its own is made.")] = Path(),
) -> None:
    """Write a small package with an algorithm of your own, ready to be installed and changed."""
    from harness.plugins.scaffold import write_package

    folder = write_package(name, into)
    typer.echo(f"{folder} is written; next: pip install -e {folder}, then gradfree check {name}")


def main() -> NoReturn:
    """The entry point: what is the user's to mend ends with one line and exit code 2."""
    try:
        # Not standalone: typer would print its own usage errors, in a box. It then returns the code of an
        # Exit; a verb returns None.
        sys.exit(app(prog_name="gradfree", standalone_mode=False))
    except UserError as error:
        _refuse(str(error))
    except _UsageError as error:
        # Without words stands the one who asked for nothing at all, and was shown the help.
        _refuse(error.format_message())
    except KeyboardInterrupt:
        typer.echo("gradfree: stopped", err=True)
        sys.exit(130)


def _refuse(said: str) -> NoReturn:
    if said.strip():
        typer.echo(f"gradfree: error: {' '.join(said.split())}", err=True)
    sys.exit(2)


def _flags(given: dict[str, Any]) -> dict[str, Any]:
    keys = ("tasks", "algorithms", "repetitions", "budget", "objective", "device", "dtype")
    flags = {key: given[key] for key in keys}
    trials = given["trials"]
    return flags | {"smoke": given["smoke"] or None, "tuning": None if trials is None else {"trials": trials}}


def _words(source: str | None, flags: dict[str, Any]) -> Sweep:
    from harness.running.sweep_file import Sweep

    if source is not None:
        return Sweep.load(source).override(**flags)
    if flags["tasks"] is None or flags["algorithms"] is None:
        raise UserError("nothing to run: name a sweep file or a suite, or give both --tasks and --algorithms")
    return Sweep.from_flags(**flags)


def _show(results: Any) -> None:
    from harness.report.tables import leaderboard as board_of
    from harness.report.tables import overall
    from harness.report.terminal import show_leaderboard

    board = board_of(results)
    show_leaderboard(board, overall(board), _console())


def _console() -> Console:
    """As wide as the terminal; 100 columns where there is none and nothing else is said."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else 100)


def _print_rows(rows: list[dict[str, Any]], columns: list[str]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    for column in columns:
        numeric = bool(rows) and all(isinstance(row[column], int) for row in rows)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        cells = [row[column] for column in columns]
        table.add_row(
            *(
                Text("" if cell is None else f"{cell:,}" if isinstance(cell, int) else str(cell))
                for cell in cells
            )
        )
    _console().print(table)


def _brief(number: float | None) -> str | None:
    """Three digits, with a power of ten where they are large."""
    if number is None:
        return None
    return f"{number:,.3g}" if number < 1e4 else f"{number:.2e}".replace("e+0", "e").replace("e+", "e")


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = json.loads(frame.to_json(orient="records", double_precision=15))
    return records


def _print_json(content: Any) -> None:
    typer.echo(json.dumps(content, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()

"""The verbs that put results into pages and figures, and show them while they come."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.application import app
from harness.cli.words import Folder
from harness.core.errors import UserError


@app.command()
def report(
    sources: Annotated[
        list[Path],
        typer.Argument(metavar="OUT [OUT...]", help="Results; of two or more, the first against the others."),
    ],
    form: Annotated[
        str, typer.Option("--format", help="html or markdown: a file; png, svg or pdf: figures for papers.")
    ] = "html",
    to: Annotated[
        Path | None,
        typer.Option(help="By default OUT/report.html, report.md, figures, or compare.html in the last OUT."),
    ] = None,
    title: Annotated[str | None, typer.Option(help="Of the page; by default the folder's name.")] = None,
    pair: Annotated[
        list[str] | None,
        typer.Option(
            metavar="OLD=NEW",
            help="Of two OUTs: an algorithm of the first and what it is called in the second; repeatable.",
        ),
    ] = None,
) -> None:
    """Write a report, or set two results beside each other: one HTML file that needs no network."""
    from harness.report.compare.naming import Pair
    from harness.report.writing import FORMATS, write_comparison, write_report
    from harness.running.results import load_results

    if form not in FORMATS:
        raise UserError(f"--format: {form!r} is none of {', '.join(FORMATS)}")
    pairs = [Pair.parse(text) for text in pair or ()]
    if pairs and len(sources) != 2:
        raise UserError("--pair: OLD is of one folder and NEW of another; name two folders")
    if len(sources) > 1:
        if form != "html":
            raise UserError(
                f"--format {form}: results beside each other are a page of html; leave out --format"
            )
        typer.echo(f"{write_comparison(sources, to, title, pairs)} is written; open it in a browser")
        return
    written = write_report(load_results(sources[0]), to, title, form)
    typer.echo(f"{written} is written" + ("; open it in a browser" if form == "html" else ""))


@app.command()
def watch(
    out: Folder,
    tensorboard: Annotated[Path, typer.Option(help="A folder for TensorBoard's scalars.")],
    once: Annotated[bool, typer.Option("--once", help="Write what there is and end.")] = False,
    every: Annotated[float, typer.Option(help="Seconds between two looks.", min=0.1)] = 5.0,
) -> None:
    """Follow a sweep in TensorBoard: losses, dev metric and tokens of each cell while it runs."""
    from harness.report.watching import watch as follow

    follow(out, tensorboard, once=once, every=every, say=typer.echo)

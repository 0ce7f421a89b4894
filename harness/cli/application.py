"""The application, and how it ends: what is the user's to mend is one line and exit code 2."""

from __future__ import annotations

import sys
from typing import Any, NoReturn

import typer

from harness.core.errors import UserError

app = typer.Typer(
    name="gradfree",
    help="The benchmark harness for gradient-free (black-box) tuning of language models.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


_UsageError: Any = typer.BadParameter.__bases__[0]
"""Words that typer cannot make sense of; the class has no public name of its own in all of its versions."""


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

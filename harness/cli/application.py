"""The application, and how it ends: what is the user's to mend is one line and exit code 2."""

from __future__ import annotations

import atexit
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

import typer

from harness.core.errors import UserError
from harness.plugins.messages import short, visible

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


def process() -> NoReturn:
    """The entry point of a process: ``main``, and an end that no library can spoil."""
    try:
        main()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 0
    atexit._run_exitfuncs()
    with suppress(BrokenPipeError):  # who read the output has had enough of it
        sys.stdout.flush()
        sys.stderr.flush()
    # Threads that pyarrow has left were seen to abort a loaded machine's interpreter while it was taken down.
    os._exit(code)


def main() -> NoReturn:
    """All verbs: what is the user's to mend ends with one line and exit code 2."""
    try:
        # Not standalone: typer would print its own usage errors, in a box. It then returns the code of an
        # Exit; a verb returns None.
        sys.exit(app(prog_name="gradfree", standalone_mode=False))
    except UserError as error:
        _refuse(str(error))
    except _UsageError as error:
        # Without words stands the one who asked for nothing at all, and was shown the help.
        said, verb = error.format_message(), getattr(error.ctx, "command_path", "gradfree")
        _refuse(f"{said}; see {verb} --help" if said.strip() else said)
    except OSError as error:
        if error.filename is None or isinstance(error, BrokenPipeError):
            raise
        _refuse(f"{short(error.filename)}: {error.strerror}; name another path, or see to its permissions")
    except KeyboardInterrupt:
        typer.echo("gradfree: stopped", err=True)
        sys.exit(130)


@contextmanager
def ended_as_interrupted() -> Iterator[None]:
    """Inside, to be told to end (as a cluster's scheduler does, or a shell that closes) is as Ctrl-C.

    >>> with suppress(KeyboardInterrupt), ended_as_interrupted():
    ...     signal.raise_signal(signal.SIGTERM)
    """

    def interrupt(number: int, frame: object) -> NoReturn:
        raise KeyboardInterrupt

    usual = [number for number in _ENDINGS if signal.getsignal(number) is signal.SIG_DFL]  # not under nohup
    for number in usual:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number in usual:
            signal.signal(number, signal.SIG_DFL)


_ENDINGS = [number for name in ("SIGTERM", "SIGHUP") if (number := getattr(signal, name, None)) is not None]


def _refuse(said: str) -> NoReturn:
    if said.strip():
        typer.echo(visible(f"gradfree: error: {' '.join(said.split())}"), err=True)
    sys.exit(2)

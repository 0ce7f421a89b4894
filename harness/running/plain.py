"""Folders of results hold plain files and folders: a link in a stranger's may lead to the reader's own."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from harness.core.errors import UserError

READ = ("plan.json", "sweep.yaml", "environment.json", "breakdown.json", "cells", "figures", "owners")
"""What is read or written into, beside tables and what begins with a dot; owners are of its claims."""


def check_plain(folder: Path) -> None:
    """Refuse a folder of results in which something that is read or written leads elsewhere, or waits.

    The folder itself may be a link: whoever names it means it. A cell's files are looked at where they are
    read, as ``odd_entry`` says.

    Raises:
        UserError: naming the link or pipe.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> (folder / "plan.json").symlink_to("/etc/hostname")
    >>> check_plain(folder)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    harness.core.errors.UserError: ...plan.json: is a link or no plain file, and results are read from plain files only; put the file itself there
    """  # noqa: E501
    for inside in (folder, folder / ".claims"):
        name = odd_entry(inside, lambda name: name in READ or name.endswith(".parquet") or name[0] == ".")
        if name is not None:
            raise UserError(
                f"{inside / name}: is a link or no plain file, and results are read from plain files only; "
                f"put the file itself there"
            )


def odd_entry(folder: Path, looked_at: Callable[[str], bool] = lambda name: True) -> str | None:
    """The name of an entry that is neither a file nor a folder (a link, a pipe, ...); None where all are.

    >>> odd_entry(Path("nowhere")) is None
    True
    """
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                plain = entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False)
                if not plain and looked_at(entry.name):
                    return entry.name
    except OSError:  # it is not there, or said elsewhere why it cannot be read
        pass
    return None

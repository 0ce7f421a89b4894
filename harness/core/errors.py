"""The one error that is the user's to mend."""

from __future__ import annotations


class UserError(Exception):
    """Bad input: the message names the place and the remedy, in one line.

    The command line prints it and ends with exit code 2; no traceback is shown.

    >>> str(UserError("sweep.yaml: budget: must be positive, got -3"))
    'sweep.yaml: budget: must be positive, got -3'
    """

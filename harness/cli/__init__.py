"""The command line. Verbs parse and print; the work is in functions that are called from Python too.

Nothing heavy is imported before a verb needs it: help answers at once.
"""

from harness.cli.application import app, main, process

# Importing them registers their verbs; help lists these in this order.
from harness.cli import sweeps  # isort: skip
from harness.cli import results  # isort: skip
from harness.cli import reports  # isort: skip
from harness.cli import plugins  # isort: skip

__all__ = ["app", "main", "plugins", "process", "reports", "results", "sweeps"]

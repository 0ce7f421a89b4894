"""``python -m harness.cli`` is ``gradfree``."""

from harness.cli import process

process()

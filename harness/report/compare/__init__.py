"""Results beside results: a method before and after a change, on the same tasks and splits."""

from harness.report.compare.comparison import Comparison, compare
from harness.report.compare.html import compare_report

__all__ = ["Comparison", "compare", "compare_report"]

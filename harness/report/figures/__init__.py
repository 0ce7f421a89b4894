"""Figures as data: a ``Chart`` for each, made of a ``Study``; the page and the files for papers draw them."""

from harness.report.figures.chart import MOST_LINES, PALETTES, Chart, Choice, Style, View, colours, styles
from harness.report.figures.convergence import convergence, rank_over_budget
from harness.report.figures.lines import first_lines
from harness.report.figures.promises import data_efficiency
from harness.report.figures.quality import improvement, pareto
from harness.report.figures.ranking import critical_difference
from harness.report.figures.reaching import profiles, run_times
from harness.report.figures.stability import stability

CHARTS = (
    data_efficiency,
    critical_difference,
    improvement,
    pareto,
    convergence,
    rank_over_budget,
    run_times,
    profiles,
    stability,
)
"""All of them, in the order of the page."""

__all__ = [
    "CHARTS",
    "MOST_LINES",
    "PALETTES",
    "Chart",
    "Choice",
    "Style",
    "View",
    "colours",
    "convergence",
    "critical_difference",
    "data_efficiency",
    "first_lines",
    "improvement",
    "pareto",
    "profiles",
    "rank_over_budget",
    "run_times",
    "stability",
    "styles",
]

"""Figures for papers: the charts of the page, drawn by matplotlib from the very same data."""

from harness.report.paper.writing import FORMATS, write_figures

__all__ = ["FORMATS", "write_figures"]

"""Hybrids: one algorithm after another, and points that another run has left behind."""

"""Marked references that tune nothing: what a tuned row has to be better than."""

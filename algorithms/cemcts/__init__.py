"""CEMCTS: the cross-entropy method on a Monte Carlo tree."""

from algorithms.cemcts.search import CEMCTS
from algorithms.cemcts.tree import Node, Tree

__all__ = ["CEMCTS", "Node", "Tree"]

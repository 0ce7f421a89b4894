"""CEMCTS: the cross-entropy method with Monte Carlo trees."""

from algorithms.cemcts.generations import Generations
from algorithms.cemcts.merging import Merge
from algorithms.cemcts.restarts import Restarts
from algorithms.cemcts.search import CEMCTS
from algorithms.cemcts.tree import Node, Tree

__all__ = ["CEMCTS", "Generations", "Merge", "Node", "Restarts", "Tree"]

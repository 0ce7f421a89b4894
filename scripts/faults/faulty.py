"""Algorithms that do what an algorithm must not; with ``registered`` the sweeps of a process know them."""

from __future__ import annotations

import math
import os
import random
import sys
from pathlib import Path
from typing import Any

import torch

from harness.core import Algorithm, Points


class Faultless(Algorithm):
    """Random points: what the others would be."""

    def __init__(self, space: Any, budget: Any, seed: int) -> None:
        super().__init__(space, budget, seed)
        self.lowest, self.found = math.inf, torch.zeros(1, space.size)

    def ask(self, remaining: int) -> Points | None:
        """Four points."""
        return Points(torch.randn(min(4, remaining), self.space.size, generator=self.generator))

    def tell(self, population: Any, losses: torch.Tensor, gradients: Any = None) -> None:
        """Keep the best."""
        if losses.min() < self.lowest:
            at = int(losses.argmin())
            self.lowest, self.found = float(losses[at]), population.values[at : at + 1].clone()

    def best(self) -> Points:
        """The best one so far."""
        return Points(self.found)


class Raising(Faultless):
    """Raises in its third generation."""

    def ask(self, remaining: int) -> Points | None:
        """Points, until it has had enough."""
        if self.budget.spent >= 8:
            raise RuntimeError("out of ideas")
        return super().ask(remaining)


class Nan(Faultless):
    """Asks for points that are no numbers."""

    def ask(self, remaining: int) -> Points | None:
        """Every second one is nan."""
        points = super().ask(remaining)
        assert points is not None
        points.values[::2] = math.nan
        return points


class Misshapen(Faultless):
    """Asks for points of another space."""

    def ask(self, remaining: int) -> Points | None:
        """One coordinate too many."""
        return Points(torch.zeros(2, self.space.size + 1))


class Talking(Faultless):
    """Prints wherever it can."""

    def tell(self, population: Any, losses: torch.Tensor, gradients: Any = None) -> None:
        """Speak, and keep the best."""
        print("I am the best", losses.min().item())
        print("really", file=sys.stderr)
        os.write(1, b"straight to the terminal\n")
        super().tell(population, losses)


class Meddling(Faultless):
    """Changes what belongs to all."""

    def ask(self, remaining: int) -> Points | None:
        """Seed the generators that the process shares."""
        torch.manual_seed(1)
        random.seed(1)
        return super().ask(remaining)


class Hoarding(Faultless):
    """Takes memory in every generation, and keeps it while it lives."""

    def tell(self, population: Any, losses: torch.Tensor, gradients: Any = None) -> None:
        """Keep the best, and a mebibyte."""
        self.hoard = [*getattr(self, "hoard", []), torch.ones(2**18)]
        super().tell(population, losses)


KINDS = (Faultless, Raising, Nan, Misshapen, Talking, Meddling, Hoarding)
NAMES = tuple(f"faulty-{kind.__name__.lower()}" for kind in KINDS)


def registered(folder: Path) -> None:
    """Make this process, and those that it starts, find the algorithms by entry points, as a stranger's."""
    about = folder / "faulty-0.1.dist-info"
    about.mkdir(parents=True, exist_ok=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: faulty\nVersion: 0.1\n")
    lines = [f"{name} = faults.faulty:{kind.__name__}" for name, kind in zip(NAMES, KINDS, strict=True)]
    (about / "entry_points.txt").write_text("\n".join(["[gradfree.algorithms]", *lines, ""]))
    places = [str(folder), str(Path(__file__).resolve().parents[1])]
    sys.path[:0] = places
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [*places, os.environ.get("PYTHONPATH", "")]))

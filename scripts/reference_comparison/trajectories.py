"""SPSA and MeZO beside their equations, step by step on the same draws."""

from __future__ import annotations

import math
from importlib.metadata import entry_points
from typing import Any

import numpy as np
import pandas as pd
import torch

from harness.core import Block, Budget, Perturbations, Space
from reference_comparison.problems import OWN, Values, own

STEPS = 300
SPSA = {"a": 0.05, "c": 0.1, "stability": 0.1}
MEZO = {"lr": 0.02, "sigma": 1e-3}


def spsa_step(x: np.ndarray, k: int, signs: np.ndarray, loss: Values) -> np.ndarray:
    """Spall's recursion with the gains ``a/(k + 1 + A)^.602`` and ``c/(k + 1)^.101``, k = 0, 1, ..."""
    gain = SPSA["a"] / (k + 1 + SPSA["stability"] * STEPS) ** 0.602
    radius = SPSA["c"] / (k + 1) ** 0.101
    up, down = loss(np.stack([x + radius * signs[0], x - radius * signs[0]]))
    return x - gain * (up - down) / (2 * radius * signs[0])


def mezo_step(x: np.ndarray, k: int, normals: np.ndarray, loss: Values) -> np.ndarray:
    """MeZO's update, the mean over the directions."""
    estimates = []
    for z in normals:
        up, down = loss(np.stack([x + MEZO["sigma"] * z, x - MEZO["sigma"] * z]))
        estimates.append((up - down) / (2 * MEZO["sigma"]) * z)
    return x - MEZO["lr"] * np.mean(estimates, axis=0)


def _options(name: str, queries: int) -> dict[str, Any]:
    if name == "mezo":
        return {**MEZO, "queries": queries}
    offset = 1 + SPSA["stability"] * STEPS
    return {
        "sigma": SPSA["c"], "lr": SPSA["a"] / offset**0.602, "stability": SPSA["stability"],
        "queries": queries,
    }  # fmt: skip


def trajectory(name: str, function: str, dimension: int, queries: int) -> dict[str, Any]:
    """How far our center ever is from that of the equations, fed with the same draws, in float64.

    The function is scaled to a slope of about one, so that the steps neither vanish nor run away.
    """
    problem = own(function, dimension, 1)
    slope = _slope(problem.excess, dimension)

    def loss(points: np.ndarray) -> np.ndarray:
        return problem.excess(points) / slope

    (entry,) = entry_points(group="gradfree.algorithms", name=name)
    start = torch.zeros(dimension, dtype=torch.float64)
    space = Space([Block("z", (dimension,), "vector")], {"z": start})
    budget = 2 * queries * STEPS
    algorithm = entry.load()(space, Budget(budget), 1, **_options(name, queries))
    step = spsa_step if name == "spsa" else mezo_step
    x, largest, spent = start.numpy().copy(), 0.0, 0
    for k in range(STEPS):
        asked = algorithm.ask(budget - spent)
        assert isinstance(asked, Perturbations)
        spent += len(asked)
        members = dict.fromkeys(asked.members.tolist())
        draws = np.stack([asked.noise.draw(member, "z").double().numpy() for member in members])
        algorithm.tell(asked, torch.from_numpy(loss(asked.materialise("z").numpy())))
        x = step(x, k, draws, loss)
        center = algorithm.best()
        largest = max(largest, float(np.abs(center.materialise("z")[0].numpy() - x).max()))
    return {
        "algorithm": name,
        "function": function,
        "dimension": dimension,
        "queries": queries,
        "steps": STEPS,
        "distance moved": float(np.linalg.norm(x)),
        "loss after / before": float(loss(x[None])[0] / loss(np.zeros((1, dimension)))[0]),
        "largest difference": largest,
    }


def _slope(excess: Values, dimension: int) -> float:
    """The norm of the gradient at the start, by central differences."""
    steps = 1e-4 * np.eye(dimension)
    gradient = (excess(steps) - excess(-steps)) / 2e-4
    return float(math.sqrt(np.square(gradient).sum()))


def trajectories() -> pd.DataFrame:
    """A row for each algorithm, function, dimension and number of directions."""
    return pd.DataFrame(
        [
            trajectory(name, function, dimension, queries)
            for name in ("spsa", "mezo")
            for function in OWN
            for dimension in (20, 500)
            for queries in ([1] if name == "spsa" else [1, 4])
        ]
    )

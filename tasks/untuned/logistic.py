"""Logistic regression of a few rows on many features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.special import log_softmax
from torch import Tensor

TOLERANCE = 1e-7
"""Largest entry of the gradient, per row, at which a fit is done."""


@dataclass(frozen=True, eq=False)
class Logistic:
    """A fitted classifier: weights float64 ``[C, width]`` and offsets float64 ``[C]``.

    >>> Logistic(torch.eye(2).double(), torch.zeros(2).double()).logits(torch.tensor([[1.0, 0.0]]))
    tensor([[1., 0.]], dtype=torch.float64)
    """

    weights: Tensor
    offsets: Tensor

    def logits(self, features: Tensor) -> Tensor:
        """Logits float64 ``[R, C]`` of features ``[R, width]``."""
        return features.double() @ self.weights.T + self.offsets


def fitted(features: Tensor, labels: Tensor, classes: int, strength: float) -> Logistic:
    """The least of summed cross-entropy plus ``strength / 2`` times squared weights, by Newton's method.

    Offsets are free. A class without rows gets an offset as low as the tolerance lets it be.

    Args:
        features: ``[R, width]``.
        labels: int64 ``[R]``.
        classes: C.
        strength: of the penalty, positive; the inverse of scikit-learn's ``C``.

    >>> line = torch.linspace(-1, 1, 8)[:, None]
    >>> found = fitted(line, (line[:, 0] > 0).long(), classes=2, strength=0.1)
    >>> found.logits(line).argmax(1).tolist()
    [0, 0, 0, 0, 1, 1, 1, 1]
    """
    # By products alone, in numpy: the small factorisations of a library that has threads of its own, and
    # torch's threads, taken in turns, wait for one another.
    count, width = features.shape
    inputs = np.concatenate([features.detach().cpu().double().numpy(), np.ones((count, 1))], axis=1)
    penalty = np.append(np.full(width, strength), 0.0)
    right = np.eye(classes)[labels.cpu().numpy()]

    def log_chances(both: np.ndarray) -> np.ndarray:
        return log_softmax(inputs @ both.T, axis=1)

    def flat(gradient: np.ndarray) -> np.ndarray:
        return gradient.reshape(-1) / count

    def value(both: np.ndarray) -> float:
        both = both.reshape(classes, -1)
        return float(0.5 * (both**2 * penalty).sum() - (log_chances(both) * right).sum()) / count

    def slope(both: np.ndarray) -> np.ndarray:
        both = both.reshape(classes, -1)
        return flat((np.exp(log_chances(both)) - right).T @ inputs + both * penalty)

    def curvature(both: np.ndarray, along: np.ndarray) -> np.ndarray:
        chances = np.exp(log_chances(both.reshape(classes, -1)))
        along = along.reshape(classes, -1)
        moved = chances * (inputs @ along.T)
        return flat((moved - chances * moved.sum(1, keepdims=True)).T @ inputs + along * penalty)

    def enough(both: np.ndarray) -> None:
        if np.abs(slope(both)).max() < TOLERANCE:
            raise StopIteration

    start = np.zeros(classes * (width + 1))
    found = minimize(
        value, start, jac=slope, hessp=curvature, method="Newton-CG", callback=enough, options={"xtol": 0.0}
    )
    both = torch.from_numpy(found.x).reshape(classes, width + 1)
    return Logistic(both[:, :-1], both[:, -1])

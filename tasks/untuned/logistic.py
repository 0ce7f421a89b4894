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
    """The least of the summed cross-entropy plus ``strength / 2`` times the squared weights, by L-BFGS.

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
    # In numpy alone: the threads of torch and of scipy's library, taken in turns, wait for one another.
    count, width = features.shape
    inputs = np.concatenate([features.detach().cpu().double().numpy(), np.ones((count, 1))], axis=1)
    penalised = np.append(np.ones(width), 0.0)
    right = np.eye(classes)[labels.cpu().numpy()]

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        both = flat.reshape(classes, width + 1)
        log = log_softmax(inputs @ both.T, axis=1)
        loss = -(log * right).sum() + 0.5 * strength * (both**2 * penalised).sum()
        gradient = (np.exp(log) - right).T @ inputs + strength * both * penalised
        return float(loss) / count, gradient.reshape(-1) / count

    found = minimize(
        objective,
        np.zeros(classes * (width + 1)),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 1000, "maxfun": 2000, "gtol": TOLERANCE, "ftol": 0.0},
    )
    both = torch.from_numpy(found.x).reshape(classes, width + 1)
    return Logistic(both[:, :-1], both[:, -1])

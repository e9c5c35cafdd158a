# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether a probability is true: of the moments that were given 70 %, 70 % end well."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from viva_ros.core.observation import Array


@dataclass(frozen=True)
class Reliability:
    """
    A reliability diagram and its sums.

    :param edges: of the bins, (B + 1,)
    :param counts: weights that fell into each bin, (B,)
    :param told: mean probability told in each bin, (B,); NaN in empty ones
    :param seen: share that came true, (B,); NaN in empty ones
    :param error: expected calibration error: mean |told - seen|, weighed by counts, in [0, 1]
    :param brier: mean squared error of the probability, in [0, 1]
    """

    edges: Array
    counts: Array
    told: Array
    seen: Array
    error: float
    brier: float


def reliability(
    probability: ArrayLike, outcome: ArrayLike, weights: ArrayLike | None = None, bins: int = 10
) -> Reliability:
    """
    Compare probabilities with outcomes, in bins of equal width.

    :param probability: in [0, 1], (N,)
    :param outcome: bool, (N,)
    :param weights: (N,); moments of an episode share its outcome, so give each episode the same
    :raises ValueError: if shapes differ, there are none, or a probability is outside of [0, 1]
    """
    p, y = np.asarray(probability, dtype=np.float64), np.asarray(outcome, dtype=np.float64)
    w = np.ones(p.shape) if weights is None else np.asarray(weights, dtype=np.float64)
    if p.ndim != 1 or p.shape != y.shape or p.shape != w.shape or not p.size:
        raise ValueError(f'shapes are {p.shape}, {y.shape} and {w.shape}, must be the same (N,)')
    if not ((p >= 0.0) & (p <= 1.0)).all():
        raise ValueError(f'probabilities are in [{p.min()}, {p.max()}], must be in [0, 1]')
    place = np.minimum((p * bins).astype(np.int64), bins - 1)
    counts = np.bincount(place, w, bins).astype(np.float64)
    with np.errstate(invalid='ignore'):
        told = np.bincount(place, w * p, bins) / counts
        seen = np.bincount(place, w * y, bins) / counts
    full = counts > 0
    error = float(counts[full] @ np.abs(told[full] - seen[full]) / counts.sum())
    brier = float(w @ (p - y) ** 2 / w.sum())
    return Reliability(np.linspace(0.0, 1.0, bins + 1), counts, told, seen, error, brier)

# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Statistics in LeRobot's form: minimum, maximum, mean, standard deviation, count and quantiles.

They describe all episodes; what a model is normalised by comes from its training episodes alone.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from viva_ros.core.observation import Array, Image

QUANTILES: Final = {'q01': 0.01, 'q10': 0.10, 'q50': 0.50, 'q90': 0.90, 'q99': 0.99}
LOOKED_AT: Final = 64  # pictures of an episode
EVERY: Final = 4  # pixel, both ways
Statistics = Mapping[str, Array]


def of_rows(rows: NDArray[Any]) -> dict[str, Array]:
    """
    Describe numbers.

    :param rows: (N,) or (N, D), N >= 1
    :returns: (D,) each, (1,) of one column; 'count' is (1,)
    """
    values = np.asarray(rows, dtype=np.float64).reshape(len(rows), -1)
    found = {
        'min': values.min(axis=0), 'max': values.max(axis=0), 'mean': values.mean(axis=0),
        'std': values.std(axis=0), 'count': np.array([len(values)]),
    }  # fmt: skip
    quantiles = np.quantile(values, list(QUANTILES.values()), axis=0)
    return found | dict(zip(QUANTILES, quantiles, strict=True))


def looked_at(count: int) -> NDArray[np.int64]:
    """Return the places of the pictures that stand for an episode, evenly spread."""
    return np.unique(np.linspace(0, count - 1, min(count, LOOKED_AT)).round().astype(np.int64))


def thinned(image: Image) -> Image:
    """Return every so many-th pixel of a picture, as rows of colours, (P, 3)."""
    return np.ascontiguousarray(image[::EVERY, ::EVERY]).reshape(-1, 3)


def of_pictures(pixels: Sequence[Image]) -> dict[str, Array]:
    """
    Describe colours, scaled to [0, 1].

    :param pixels: of each picture, from ``thinned``
    :returns: (3, 1, 1) each; 'count' is the number of pictures, (1,)
    """
    found = of_rows(np.concatenate(list(pixels)).astype(np.float64) / 255.0)
    shaped = {name: value.reshape(3, 1, 1) for name, value in found.items() if name != 'count'}
    return {**shaped, 'count': np.array([len(pixels)])}


def together(parts: Sequence[Statistics]) -> dict[str, Array]:
    """
    Describe all episodes by what is known of each.

    Quantiles cannot be had exactly: below the median the lowest, above it the highest is given.
    """
    counts = np.array([float(part['count'][0]) for part in parts])
    weights = counts / counts.sum()
    stacked = {name: np.stack([part[name] for part in parts]) for name in parts[0]}
    mean = np.tensordot(weights, stacked['mean'], axes=1)
    spread = stacked['std'] ** 2 + (stacked['mean'] - mean) ** 2
    found = {
        'min': stacked['min'].min(axis=0), 'max': stacked['max'].max(axis=0), 'mean': mean,
        'std': np.sqrt(np.tensordot(weights, spread, axes=1)),
        'count': np.array([int(counts.sum())]),
    }  # fmt: skip
    for name, share in QUANTILES.items():
        found[name] = stacked[name].min(axis=0) if share <= 0.5 else stacked[name].max(axis=0)
    return found

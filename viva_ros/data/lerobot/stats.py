# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Statistics in LeRobot's format: minimum, maximum, mean, standard deviation, count and quantiles.

They cover all episodes; normalisation of a model uses only its training episodes.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from viva_ros.core.observation import Array, Image

QUANTILES: Final = {'q01': 0.01, 'q10': 0.10, 'q50': 0.50, 'q90': 0.90, 'q99': 0.99}
NAMES: Final = ('min', 'max', 'mean', 'std', 'count', *QUANTILES)
SAMPLES: Final = 64  # images per episode
PIXEL_STEP: Final = 4  # in rows and columns
Statistics = Mapping[str, Array]


def of_rows(rows: NDArray[Any]) -> dict[str, Array]:
    """
    Return the statistics of numbers.

    :param rows: (N,) or (N, D), N >= 1
    :returns: (D,) each, with D = 1 for (N,); 'count' is (1,)
    """
    values = np.asarray(rows, dtype=np.float64).reshape(len(rows), -1)
    found = {
        'min': values.min(axis=0), 'max': values.max(axis=0), 'mean': values.mean(axis=0),
        'std': values.std(axis=0), 'count': np.array([len(values)]),
    }  # fmt: skip
    quantiles = np.quantile(values, list(QUANTILES.values()), axis=0)
    return found | dict(zip(QUANTILES, quantiles, strict=True))


def sample_indices(count: int) -> NDArray[np.int64]:
    """Return the indices of up to ``SAMPLES`` of the images of an episode, evenly spaced."""
    return np.unique(np.linspace(0, count - 1, min(count, SAMPLES)).round().astype(np.int64))


def subsample(image: Image) -> Image:
    """Return the pixels of every ``PIXEL_STEP``-th row and column, (P, 3)."""
    return np.ascontiguousarray(image[::PIXEL_STEP, ::PIXEL_STEP]).reshape(-1, 3)


def of_images(pixels: Sequence[Image]) -> dict[str, Array]:
    """
    Return the statistics of colours, scaled to [0, 1].

    :param pixels: of each image, from ``subsample``
    :returns: (3, 1, 1) each; 'count' is the number of images, (1,)
    """
    found = of_rows(np.concatenate(list(pixels)).astype(np.float64) / 255.0)
    shaped = {name: value.reshape(3, 1, 1) for name, value in found.items() if name != 'count'}
    return {**shaped, 'count': np.array([len(pixels)])}


def aggregate(parts: Sequence[Statistics]) -> dict[str, Array]:
    """
    Return the statistics of all episodes from those of each.

    Quantiles are bounds: the minimum over the episodes up to the median, the maximum above it.
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

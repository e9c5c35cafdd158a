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


class ColourHistogram:
    """
    Counts of the colours of images, (3, 256); its size does not grow with the images.

    Of each image, the pixels of every ``PIXEL_STEP``-th row and column are counted.
    """

    def __init__(self) -> None:
        self._counts = np.zeros((3, 256), dtype=np.int64)
        self._images = 0

    def add(self, image: Image) -> None:
        """Count the pixels of an image, (H, W, 3)."""
        pixels = image[::PIXEL_STEP, ::PIXEL_STEP]
        self._counts += [np.bincount(pixels[..., k].ravel(), minlength=256) for k in range(3)]
        self._images += 1

    def statistics(self) -> dict[str, Array]:
        """
        Return the statistics of the colours, scaled to [0, 1]; at least one image is needed.

        :returns: as ``of_rows`` of all pixels, (3, 1, 1) each; 'count' is the number of images
        """
        levels = np.arange(256) / 255.0
        # No matrix product: it starts BLAS, which ends the process if memory does not suffice.
        mean = (self._counts * levels).sum(axis=1) / self._counts[0].sum()
        spread = (self._counts * (levels - mean[:, None]) ** 2).sum(axis=1)
        found = {
            'min': self._quantile(0.0), 'max': self._quantile(1.0), 'mean': mean,
            'std': np.sqrt(spread / self._counts[0].sum()),
            **{name: self._quantile(share) for name, share in QUANTILES.items()},
        }  # fmt: skip
        shaped = {name: value.reshape(3, 1, 1) for name, value in found.items()}
        return {**shaped, 'count': np.array([self._images])}

    def _quantile(self, share: float) -> Array:
        """Return a quantile of each colour, (3,), interpolated linearly as in numpy."""
        place = share * (int(self._counts[0].sum()) - 1)
        below, above = (
            np.array([np.searchsorted(one, rank, side='right') for one in self._counts.cumsum(1)])
            for rank in (np.floor(place), np.ceil(place))
        )  # fmt: skip
        return np.asarray((below + (above - below) * (place - np.floor(place))) / 255.0)


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

# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Letterboxing: an image, as large as possible, in the middle of a box of another shape."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class LetterboxArea(NamedTuple):
    """Rows from ``top``, columns from ``left``; px."""

    top: int
    left: int
    height: int
    width: int


def place(source: tuple[int, int], box: tuple[int, int]) -> LetterboxArea:
    """
    Return the area of an image in a box; the aspect ratio is kept.

    :param source: (height, width) of the image, px
    :param box: (height, width), px
    """
    scale = min(box[0] / source[0], box[1] / source[1])
    height, width = (max(1, round(side * scale)) for side in source)
    return LetterboxArea((box[0] - height) // 2, (box[1] - width) // 2, height, width)


def halvings(source: tuple[int, int], target: tuple[int, int]) -> int:
    """
    Return how often to halve an image before it is resized; halving is much faster.

    :param source: (height, width) of the image, px; only even sides are halved
    :param target: smallest (height, width) after halving, px
    """
    count, (height, width) = 0, source
    while height % 2 == width % 2 == 0 and height >= 2 * target[0] and width >= 2 * target[1]:
        count, height, width = count + 1, height // 2, width // 2
    return count


def area_weights(source: int, target: int) -> NDArray[np.float32]:
    """Return the weight of each source pixel in each of fewer target pixels, (target, source)."""
    edges = np.arange(target + 1) * (source / target)
    pixels = np.arange(source)
    upper = np.minimum(edges[1:, None], pixels + 1)
    lower = np.maximum(edges[:-1, None], pixels)
    return np.asarray((upper - lower).clip(min=0) * (target / source), dtype=np.float32)

# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where a picture lies in a box of another shape: as large as it fits, in the middle."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class LetterboxArea(NamedTuple):
    """Rows from ``top``, columns from ``left``; px."""

    top: int
    left: int
    height: int
    width: int


def place(sent: tuple[int, int], box: tuple[int, int]) -> LetterboxArea:
    """
    Return where a picture lies, its proportions kept.

    :param sent: its (height, width), px
    :param box: (height, width), px
    """
    scale = min(box[0] / sent[0], box[1] / sent[1])
    height, width = (max(1, round(side * scale)) for side in sent)
    return LetterboxArea((box[0] - height) // 2, (box[1] - width) // 2, height, width)


def halvings(sent: tuple[int, int], fitted: tuple[int, int]) -> int:
    """
    Return how often a picture is halved before it is fitted, which is far quicker than to fit it.

    :param sent: its (height, width), px; only even sides are halved
    :param fitted: (height, width) that it must not fall below, px
    """
    count, (height, width) = 0, sent
    while height % 2 == width % 2 == 0 and height >= 2 * fitted[0] and width >= 2 * fitted[1]:
        count, height, width = count + 1, height // 2, width // 2
    return count


def area_weights(sent: int, fitted: int) -> NDArray[np.float32]:
    """Return the share of each pixel in each of fewer pixels, (fitted, sent)."""
    edges = np.arange(fitted + 1) * (sent / fitted)
    pixels = np.arange(sent)
    upper = np.minimum(edges[1:, None], pixels + 1)
    lower = np.maximum(edges[:-1, None], pixels)
    return np.asarray((upper - lower).clip(min=0) * (fitted / sent), dtype=np.float32)

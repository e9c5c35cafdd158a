# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The curve of the value as a picture, for viewers without plots (stock RViz shows images).

Drawn with cv2, which takes a fraction of a millisecond.
"""

import math
from collections.abc import Sequence

import cv2
import numpy as np

from viva_ros.core.observation import Image

SIZE = (240, 480)  # height, width, px
LEFT, RIGHT, TOP, BOTTOM = 36, 8, 22, 18  # margins, px
BACKGROUND, GRID, TEXT = (24, 26, 30), (60, 64, 70), (200, 204, 210)
CURVE, ALERT = (90, 200, 120), (235, 90, 70)
FONT = cv2.FONT_HERSHEY_SIMPLEX


def draw_value(
    samples: Sequence[tuple[float, float]],
    alerts: Sequence[tuple[float, str]],
    now: float,
    span: float,
    title: str,
) -> Image:
    """
    Draw the last ``span`` seconds; unknown values leave gaps.

    :param samples: (time, s; value in [-1, 1] or NaN)
    :param alerts: (time, s; kind)
    :returns: (240, 480, 3) RGB
    """
    image = np.full((*SIZE, 3), BACKGROUND, dtype=np.uint8)
    _draw_grid(image, span)
    for time, kind in alerts:
        if now - span <= time <= now:
            x = _column(time, now, span)
            cv2.line(image, (x, TOP), (x, SIZE[0] - BOTTOM), ALERT, 1)
            cv2.putText(image, kind, (x + 3, TOP + 12), FONT, 0.36, ALERT, 1, cv2.LINE_AA)
    for points in _runs(samples, now, span):
        cv2.polylines(image, [np.array(points, np.int32)], False, CURVE, 2, cv2.LINE_AA)
    cv2.putText(image, title, (LEFT, 15), FONT, 0.45, TEXT, 1, cv2.LINE_AA)
    return image


def _draw_grid(image: Image, span: float) -> None:
    for value in (-1.0, -0.5, 0.0, 0.5, 1.0):
        y = _row(value)
        cv2.line(image, (LEFT, y), (SIZE[1] - RIGHT, y), GRID, 1)
        cv2.putText(image, f'{value:+.1f}', (2, y + 4), FONT, 0.34, TEXT, 1, cv2.LINE_AA)
    label = f'last {span:g} s'
    cv2.putText(image, label, (SIZE[1] - 80, SIZE[0] - 5), FONT, 0.36, TEXT, 1, cv2.LINE_AA)


def _runs(
    samples: Sequence[tuple[float, float]], now: float, span: float
) -> list[list[tuple[int, int]]]:
    """Split the samples at the unknown ones."""
    runs: list[list[tuple[int, int]]] = [[]]
    for time, value in samples:
        if not math.isfinite(value):
            runs.append([])
        elif now - span <= time <= now:
            runs[-1].append((_column(time, now, span), _row(value)))
    return [run for run in runs if run]


def _column(time: float, now: float, span: float) -> int:
    width = SIZE[1] - LEFT - RIGHT
    return LEFT + round(width * (1.0 - (now - time) / span))


def _row(value: float) -> int:
    height = SIZE[0] - TOP - BOTTOM
    return TOP + round(height * (1.0 - value) / 2.0)

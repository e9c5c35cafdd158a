# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Interpolation and smoothing of the values of an episode.

Arrays have one entry for each step of the episode. NaN is unknown and is never interpolated.
"""

import math

import numpy as np
from numpy.typing import NDArray

from viva_ros.core.observation import Array

Mask = NDArray[np.bool_]


def fill(values: Array, asked: Mask, largest_gap: float) -> Array:
    """
    Interpolate the steps between estimates; unknown estimates stay unknown.

    :param values: (T,)
    :param asked: whether the engine was asked at a step, (T,); NaN there is an unknown value
    :param largest_gap: largest distance of two estimates to interpolate, in steps
    :returns: (T,); NaN next to an unknown value, across a larger gap, and before the first and
        after the last estimate
    """
    filled = np.where(asked, values, np.nan)
    known = np.flatnonzero(asked)
    wanted = np.flatnonzero(~asked)
    after = np.searchsorted(known, wanted)
    wanted = wanted[(after > 0) & (after < len(known))]
    after = np.searchsorted(known, wanted)
    left, right = known[after - 1], known[after]
    share = (wanted - left) / (right - left)
    between = values[left] + share * (values[right] - values[left])
    filled[wanted] = np.where(right - left <= largest_gap, between, np.nan)
    return filled


def known_runs(values: Array) -> list[slice]:
    """Return the intervals without an unknown value."""
    known = np.concatenate(([False], np.isfinite(values), [False]))
    edges = np.flatnonzero(known[1:] != known[:-1])
    return [slice(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def smooth_average(values: Array, time_constant: float) -> Array:
    """
    Smooth exponentially, as the live rules do; restart after each unknown value.

    :param time_constant: in steps, above 0
    """
    smoothed = np.full_like(values, np.nan)
    gain = -math.expm1(-1.0 / time_constant)
    for run in known_runs(values):
        level = values[run.start]
        for place in range(run.start, run.stop):
            level += gain * (values[place] - level)
            smoothed[place] = level
    return smoothed


def smooth_median(values: Array, half: int) -> Array:
    """
    Smooth by the median of a centred window, which is narrower near the ends.

    A straight line is unchanged, so a perfect value keeps an advantage of 0.

    :param half: the window has 2 * half + 1 steps
    """
    smoothed = np.full_like(values, np.nan)
    for run in known_runs(values):
        for place in range(run.start, run.stop):
            reach = min(half, place - run.start, run.stop - 1 - place)
            smoothed[place] = np.median(values[place - reach : place + reach + 1])
    return smoothed

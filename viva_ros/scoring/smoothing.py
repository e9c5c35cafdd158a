# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Values of a whole episode made even: steps between two values filled in, noise taken out.

Arrays go over the steps of one episode; NaN is unknown, and nothing is made up across it.
"""

import math

import numpy as np
from numpy.typing import NDArray

from viva_ros.core.observation import Array

Mask = NDArray[np.bool_]


def fill(values: Array, asked: Mask, largest_gap: float) -> Array:
    """
    Interpolate steps that no value was asked for; what is unknown stays so.

    :param asked: whether a value was asked for; NaN there means that none was known
    :param largest_gap: between two known values, in steps
    :returns: (T,); NaN beside an unknown value, across a larger gap and outside the first and last
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
    """Return the stretches without an unknown value."""
    known = np.concatenate(([False], np.isfinite(values), [False]))
    edges = np.flatnonzero(known[1:] != known[:-1])
    return [slice(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def smooth_average(values: Array, time_constant: float) -> Array:
    """
    Average exponentially, as the live rules do: it lags, and begins anew after an unknown value.

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
    Take the median of a centred window; narrower, but still centred, near an end.

    A straight line stays as it is, so a perfect value still has an advantage of 0.

    :param half: the window has 2 * half + 1 steps
    """
    smoothed = np.full_like(values, np.nan)
    for run in known_runs(values):
        for place in range(run.start, run.stop):
            reach = min(half, place - run.start, run.stop - 1 - place)
            smoothed[place] = np.median(values[place - reach : place + reach + 1])
    return smoothed

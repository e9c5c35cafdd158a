# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Figures of values that counting time cannot win.

A value that only rises with time has a perfect correlation with it. So ask what it does where the
robot stands still, where something goes wrong, and where a try has failed and another begins.
"""

from collections.abc import Sequence

import numpy as np

from viva_ros.core.observation import Array
from viva_ros.metrics.ranking import event_response, spearman

STILL = 0.02  # of progress
AFTER = 0.3  # s: the value may lag the pause so long

Span = tuple[float, float]


def hesitation(times: Array, progress: Array, start: float) -> slice:
    """
    Find the frames of a hesitation: from its start, as long as the true progress stays.

    :param times: s, ascending, (N,)
    :param progress: true, in [0, 1], (N,); NaN where it is not known
    :returns: frames without those shortly after the start; empty where there are none
    """
    first = int(np.searchsorted(times, start + AFTER))
    if first >= len(times) or not np.isfinite(progress[first]):
        return slice(first, first)
    moved = ~(np.abs(progress[first:] - progress[first]) <= STILL)  # nor where it is not known
    length = int(np.argmax(moved)) if moved.any() else len(moved)
    return slice(first, first + length)


def drift(values: Array, frames: slice) -> Array:
    """Give how far the values are from the first of some frames: in a pause it should be 0."""
    seen = values[frames]
    seen = seen[np.isfinite(seen)]
    return seen - seen[0] if seen.size else seen


def responses(
    values: Array, times: Array, events: Sequence[Span], direction: int, window: float
) -> list[float]:
    """
    Give the response (ERS) of a value to events, those that have values on both sides.

    :param events: when each began and when it was over, s; the same of what takes no time
    :param direction: 1 for milestones, -1 for errors
    :param window: before the beginning and after the end, s
    """
    known = np.isfinite(values)
    values, times = values[known], times[known]
    found = []
    for begin, end in events:
        before = values[(times >= begin - window) & (times < begin)]
        after = values[(times >= end) & (times < end + window)]
        found.append(event_response(before, after, direction))
    return [response for response in found if np.isfinite(response)]


def by_progress(values: Array, progress: Array, bins: int) -> Array:
    """
    Give the mean value in each of some equal bins of the true progress.

    :param progress: in [0, 1], (N,)
    :returns: (bins,); NaN where there is none
    """
    known = np.isfinite(values) & np.isfinite(progress)
    place = np.clip((progress[known] * bins).astype(np.int64), 0, bins - 1)
    count = np.bincount(place, minlength=bins).astype(np.float64)
    total = np.bincount(place, values[known], bins)
    means: Array = np.divide(total, count, out=np.full(bins, np.nan), where=count > 0)
    return means


def crossings(times: Array, progress: Array, levels: Sequence[float]) -> list[float]:
    """Give when the true progress first reaches each level, s; those not reached are left out."""
    found = []
    for level in levels:
        reached = progress >= level
        if reached.any():
            found.append(float(times[int(np.argmax(reached))]))
    return found


def corrected_order(parts: Sequence[tuple[Array, Array]]) -> float:
    """
    Rank correlation of value and true progress over a failed try and what follows it (Retry-VOC).

    :param parts: values and progress of each try, in order
    :returns: in [-1, 1]; NaN where less than two frames are known
    """
    values = np.concatenate([part[0] for part in parts])
    progress = np.concatenate([part[1] for part in parts])
    known = np.isfinite(values) & np.isfinite(progress)
    return spearman(values[known], progress[known]) if known.sum() >= 2 else float('nan')

# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What successes are like, learnt from a part of the calibration episodes that sets no threshold.

Whatever is fitted to the episodes that also set the threshold costs the promise its proof. So the
episodes are shared out first: every fifth shapes the statistics, the others set the threshold.
"""

import math
from collections.abc import Sequence
from typing import Final, TypeVar

import numpy as np

from viva_ros.core.detection.forecast_residual import ForecastResidual
from viva_ros.core.detection.reference import Reference, StatisticScale
from viva_ros.core.detection.rules import RuleSettings
from viva_ros.core.events import RULES
from viva_ros.core.observation import Array
from viva_ros.scoring.series import ValueSeries, walk

FIFTH: Final = 5
PARTS: Final = (0.25, 0.5, 0.75)  # of predicted progress
SLACK: Final = 0.5  # of the usual slope is expected at least: CUSUM's allowance
LEAST_SPREAD: Final = 1e-3

T = TypeVar('T')


def share_out(episodes: Sequence[T]) -> tuple[list[T], list[T]]:
    """Give the episodes that shape the statistics, and those that set the threshold."""
    shaping = [one for number, one in enumerate(episodes) if number % FIFTH == FIFTH - 1]
    setting = [one for number, one in enumerate(episodes) if number % FIFTH != FIFTH - 1]
    return shaping, setting


def needed(least: int) -> int:
    """Give how many episodes leave ``least`` to set the threshold, and one to shape."""
    n = FIFTH
    while n - n // FIFTH < least:
        n += 1
    return n


def learn(shaping: Sequence[ValueSeries], rules: RuleSettings, indexed: bool) -> Reference:
    """
    Learn slope, residuals and, if thresholds go by progress, the norms of the statistics.

    :param shaping: at least one
    """
    slopes = [slope for one in shaping if math.isfinite(slope := _slope(one))]
    slope = SLACK * float(np.median(slopes)) if slopes else 0.0
    plain = Reference(max(slope, 0.0), _residuals(shaping, rules.gap))
    return (
        Reference(plain.slope, plain.joints, _norms(shaping, rules, plain)) if indexed else plain
    )


def _slope(series: ValueSeries) -> float:
    known = np.flatnonzero(np.isfinite(series.values))
    if known.size < 2:
        return math.nan
    first, last = int(known[0]), int(known[-1])
    span = float(series.stamps[last] - series.stamps[first]) * 1e-9
    return float(series.values[last] - series.values[first]) / span if span > 0.0 else math.nan


def _residuals(shaping: Sequence[ValueSeries], gap: float) -> dict[str, float]:
    """Give the root mean square of the foresight residual by joint."""
    squares: dict[str, list[Array]] = {}
    for series in shaping:
        foresight = ForecastResidual(gap)
        for index, stamp in enumerate(series.stamps.tolist()):
            joints = series.details(index).joints
            residual = foresight.update(stamp, joints)
            if residual is not None and joints is not None:
                for name, size in zip(joints.names, residual.tolist(), strict=True):
                    squares.setdefault(name, []).append(size * size)
    return {name: float(np.sqrt(np.mean(sizes))) for name, sizes in squares.items()}


def _norms(
    shaping: Sequence[ValueSeries], rules: RuleSettings, expected: Reference
) -> dict[str, StatisticScale]:
    """Give what is usual of the largest statistic within each part of the progress."""
    largest: dict[str, list[list[float]]] = {k: [[] for _ in range(len(PARTS) + 1)] for k in RULES}
    for series in shaping:
        for kind, parts in _largest(series, rules, expected).items():
            for part, value in parts.items():
                largest[kind][part].append(value)
    return {kind: _norm(parts) for kind, parts in largest.items() if any(parts)}


def _largest(
    series: ValueSeries, rules: RuleSettings, expected: Reference
) -> dict[str, dict[int, float]]:
    found: dict[str, dict[int, float]] = {kind: {} for kind in RULES}
    known = np.flatnonzero(np.isfinite(series.values)).tolist()
    for index, readings in zip(known, walk(series, rules, expected), strict=True):
        told = series.details(index).progress
        at = told if math.isfinite(told) else 0.5 * (1.0 + float(series.values[index]))
        part = int(np.searchsorted(PARTS, at, side='right'))
        for kind, reading in readings.items():
            if math.isfinite(reading.held):
                before = found[kind].get(part, -math.inf)
                found[kind][part] = max(before, reading.held)
    return found


def _norm(parts: Sequence[Sequence[float]]) -> StatisticScale:
    """Fill a part that no episode tells of with what is usual over all."""
    everything = [value for part in parts for value in part]
    pairs = [usual(part if len(part) > 1 else everything) for part in parts]
    return StatisticScale(PARTS, tuple(m for m, _ in pairs), tuple(s for _, s in pairs))


def usual(values: Sequence[float]) -> tuple[float, float]:
    """Give the median of values, and the mean of their distance to it where they are above."""
    middle = float(np.median(values))
    above = [value - middle for value in values if value > middle]
    return middle, max(float(np.mean(above)) if above else 0.0, LEAST_SPREAD)

# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What the reference episodes of a calibration teach: slope, done level, spreads, usual failures.

The other episodes set the threshold, so that the guarantee depends on nothing of this.
"""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from viva_ros.core.detection.detector import Detector, DetectorSettings
from viva_ros.core.detection.forecast_residual import ForecastResidual
from viva_ros.core.detection.reference import DONE_ABOVE, Reference, StatisticScale
from viva_ros.core.detection.rules import RULES, RuleReading, RuleSettings, value_rules
from viva_ros.core.observation import Array
from viva_ros.scoring.series import ValueSeries, walk

PARTS: Final = (0.25, 0.5, 0.75)  # bounds of the parts of predicted progress
SLACK: Final = 0.5  # share of the median slope that is expected: the allowance of the CUSUM
LEAST_SPREAD: Final = 0.03  # in units of value; times the unit of a rule
DONE_QUANTILE: Final = 0.1  # of the final values without outliers
DONE_MARGIN: Final = 0.03  # below that quantile
FAR: Final = 3.0  # standard deviations below the median, from which a final value is an outlier
MAD: Final = 1.4826  # standard deviation of a normal distribution, in median absolute deviations
FAILING: Final = 0.5  # share of a success after which a usual failure begins
SHAPES: Final = 9  # reference episodes from which usual failures are made, at most
STANDING, FALLING = 0, 1  # the usual failures
#: Those that each rule detects. Both for ``slope``: the CUSUM sums a fall and a missing rise.
FAILURES_OF: Final = {
    'drop': (FALLING,), 'no_rise': (FALLING,), 'floor': (FALLING,), 'stall': (STANDING,),
}  # fmt: skip


def learn(
    shaping: Sequence[ValueSeries], rules: RuleSettings, indexed: bool,
    done_above: float | None = None,
) -> Reference:  # fmt: skip
    """
    Fit slope, residuals, done level and, if ``indexed``, the scales of the statistics by progress.

    :param shaping: at least one episode
    :param indexed: whether thresholds depend on predicted progress
    :param done_above: done level; None to learn it
    """
    slopes = [slope for one in shaping if math.isfinite(slope := _slope(one))]
    slope = SLACK * float(np.median(slopes)) if slopes else 0.0
    done = done_level(shaping, rules) if done_above is None else done_above
    plain = Reference(
        max(slope, 0.0), _residuals(shaping, rules.max_gap), done_above=min(max(done, -1.0), 1.0)
    )
    return replace(plain, norms=_norms(shaping, rules, plain)) if indexed else plain


def done_level(shaping: Sequence[ValueSeries], rules: RuleSettings) -> float:
    """
    Return the done level: a margin below a low quantile of the usual final smoothed values.

    Final values far below the median are left out: a low quantile of 2 to 9 values is about the
    smallest, so that one success with a wrong value at its end would set the level, and the rules
    of the rise would hardly judge the others. A low quantile, since the value of most successes
    must pass the level. The margin keeps the noise of a finished task above it: a robot that
    waits at the end would otherwise stall there, and set the thresholds. Measured on 48 and 20
    simulated successes, and on the same with a value that stands at .80 to .87 (stalls shortly
    before the end): a level of .8 finds no stall, this one .87 and .73, without a margin .99 and
    .88; but if the robot waits for 6 s at the end, the threshold of stall is 2.6 s with the
    margin, 9.8 s without, and 8.0 s from the median with the margin (tray_lift).

    :returns: ``DONE_ABOVE`` without a known value
    """
    finals = [final for one in shaping if math.isfinite(final := _final(one, rules))]
    if not finals:
        return DONE_ABOVE
    return float(np.quantile(without_low(finals), DONE_QUANTILE)) - DONE_MARGIN


def without_low(values: Sequence[float]) -> list[float]:
    """
    Return the values without those far below their median.

    Far is ``FAR`` times the standard deviation, from the median absolute deviation, at least
    ``LEAST_SPREAD``. Of an even number the upper median and the lower deviation are used: of two
    values that differ much the higher remains.

    :param values: at least one, in units of value
    """
    middle = statistics.median_high(values)
    deviation = MAD * statistics.median_low([abs(value - middle) for value in values])
    return [one for one in values if one >= middle - FAR * max(deviation, LEAST_SPREAD)]


def usual_rise(shaping: Sequence[ValueSeries], rules: RuleSettings) -> tuple[float, float] | None:
    """
    Return the median of the first and of the last smoothed values; None without a value.

    The last are without those far below their median.
    """
    known = [one for one in shaping if math.isfinite(_final(one, rules))]
    if not known:
        return None
    first = float(np.median([one.values[np.isfinite(one.values)][0] for one in known]))
    return first, float(np.median(without_low([_final(one, rules) for one in known])))


def usual_failures(series: ValueSeries, rules: RuleSettings) -> list[ValueSeries]:
    """
    Return the failures ``STANDING`` and ``FALLING``, as long as a success, with its values.

    In one the value does not rise from the start. In the other it falls to the lowest value after
    ``FAILING`` of the time, and stays there until the windows of all rules are filled.

    :param series: with a known value; joints and forecasts are left out
    """
    known = np.flatnonzero(np.isfinite(series.values))
    stamps, values = series.stamps[known], series.values[known]

    def of(part: Array | None) -> Array | None:
        return None if part is None else part[known]

    success, progress = of(series.success), of(series.progress)
    standing = ValueSeries(
        stamps, np.full_like(values, values[0]),
        None if success is None else np.full_like(success, success[0]),
        None if progress is None else np.full_like(progress, progress[0]),
    )  # fmt: skip
    step = int(np.median(np.diff(stamps))) if len(stamps) > 1 else round(1e9)
    at = int(np.searchsorted(stamps, stamps[0] + FAILING * (stamps[-1] - stamps[0])))
    count = math.ceil(rules.span * 1e9 / step) + 1

    def then(part: Array, last: float) -> Array:
        return np.concatenate([part[: at + 1], np.full(count, last)])

    falling = ValueSeries(
        np.concatenate([stamps[: at + 1], stamps[at] + step * np.arange(1, count + 1)]),
        then(values, -1.0), None if success is None else then(success, 0.0),
        None if progress is None else then(progress, float(progress[at])),
    )  # fmt: skip
    return [standing, falling]


def largest_in_failures(
    shaping: Sequence[ValueSeries], rules: RuleSettings, expected: Reference
) -> dict[str, float]:
    """
    Return the largest statistic of each rule of the value in a usual failure of its kind.

    It is the median over the episodes that usual failures are made from; infinite without one.
    A statistic in spreads is at the progress at which it is largest: where a failure begins is not
    known in advance. Only if the progress follows the value, a value that falls has a known one.
    """
    known = [one for one in shaping if np.isfinite(one.values).any()][:SHAPES]
    reached = [
        [_scores_at_best(failure, rules, expected, follows=kind == FALLING)
         for kind, failure in enumerate(usual_failures(one, rules))]
        for one in known
    ]  # fmt: skip

    def largest(kind: str) -> float:
        of = FAILURES_OF.get(kind, (STANDING, FALLING))
        return float(np.median([max(pair[one][kind] for one in of) for pair in reached]))

    return {kind: largest(kind) if reached else math.inf for kind in value_rules()}


def _scores_at_best(
    failure: ValueSeries, rules: RuleSettings, expected: Reference, follows: bool
) -> dict[str, float]:
    """
    Return the scores of a failure at the progress at which they are largest.

    :param follows: whether to keep a progress that follows the value
    """
    if not expected.norms or (follows and failure.progress is None):
        return scores(failure, rules, expected)
    plain, norms = scores(failure, rules, replace(expected, norms={})), expected.norms
    return {k: norms[k].largest(one) if k in norms else one for k, one in plain.items()}


def _final(series: ValueSeries, rules: RuleSettings) -> float:
    """Return the last smoothed value; NaN without a known value."""
    detector = Detector(DetectorSettings(rules=rules), {})
    for stamp, value in zip(series.stamps.tolist(), series.values.tolist(), strict=True):
        detector.update(stamp, value)
    return detector.smoothed


def _slope(series: ValueSeries) -> float:
    known = np.flatnonzero(np.isfinite(series.values))
    if known.size < 2:
        return math.nan
    first, last = int(known[0]), int(known[-1])
    span = float(series.stamps[last] - series.stamps[first]) * 1e-9
    return float(series.values[last] - series.values[first]) / span if span > 0.0 else math.nan


def _residuals(shaping: Sequence[ValueSeries], gap: float) -> dict[str, float]:
    """Return the root mean square of the forecast residual by joint."""
    squares: dict[str, list[Array]] = {}
    for series in shaping:
        residuals = ForecastResidual(gap)
        for index, stamp in enumerate(series.stamps.tolist()):
            joints = series.details(index).joints
            residual = residuals.update(stamp, joints)
            if residual is not None and joints is not None:
                for name, size in zip(joints.names, residual.tolist(), strict=True):
                    squares.setdefault(name, []).append(size * size)
    return {name: float(np.sqrt(np.mean(sizes))) for name, sizes in squares.items()}


def _norms(
    shaping: Sequence[ValueSeries], rules: RuleSettings, expected: Reference
) -> dict[str, StatisticScale]:
    """Return the scale of the largest statistic in each part of the progress, by rule."""
    largest: dict[str, list[list[float]]] = {k: [[] for _ in range(len(PARTS) + 1)] for k in RULES}
    for series in shaping:
        for kind, parts in _largest_by_progress(series, rules, expected).items():
            for part, value in parts.items():
                largest[kind][part].append(value)
    return {
        kind: _norm(parts, least_spread(kind, expected))
        for kind, parts in largest.items()
        if any(parts)
    }


def _largest_by_progress(
    series: ValueSeries, rules: RuleSettings, expected: Reference
) -> dict[str, dict[int, float]]:
    found: dict[str, dict[int, float]] = {kind: {} for kind in RULES}
    known = np.flatnonzero(np.isfinite(series.values)).tolist()
    for index, readings in zip(known, walk(series, rules, expected), strict=True):
        progress = series.details(index).progress
        at = progress if math.isfinite(progress) else 0.5 * (1.0 + float(series.values[index]))
        part = int(np.searchsorted(PARTS, at, side='right'))
        for kind, reading in readings.items():
            if math.isfinite(reading.held):
                before = found[kind].get(part, -math.inf)
                found[kind][part] = max(before, reading.held)
    return found


def _norm(parts: Sequence[Sequence[float]], least: float) -> StatisticScale:
    """Return the scale of a rule; a part without episodes gets the scale of all parts."""
    everything = [value for part in parts for value in part]
    pairs = [usual(part if len(part) > 1 else everything, least) for part in parts]
    return StatisticScale(PARTS, tuple(m for m, _ in pairs), tuple(s for _, s in pairs))


def usual(values: Sequence[float], least: float) -> tuple[float, float]:
    """
    Return the median, and the mean distance to it of the values above it.

    :param least: smallest distance that is returned
    """
    middle = float(np.median(values))
    above = [value - middle for value in values if value > middle]
    return middle, max(float(np.mean(above)) if above else 0.0, least)


def least_spread(kind: str, expected: Reference) -> float:
    """
    Return the smallest spread of the score of a rule.

    It is one spread for a statistic that is already in spreads by progress.
    """
    return 1.0 if kind in expected.norms else LEAST_SPREAD * RULES[kind].unit


def scores(
    series: ValueSeries, rules: RuleSettings, expected: Reference | None = None
) -> dict[str, float]:
    """Return the largest debounced statistic of each rule in an episode; -inf without one."""
    return largest_readings(walk(series, rules, expected))


def largest_readings(readings: Iterable[Mapping[str, RuleReading]]) -> dict[str, float]:
    """Return the largest debounced statistic of each rule in the readings of an episode."""
    largest = dict.fromkeys(RULES, -math.inf)
    for one in readings:
        for kind, reading in one.items():
            if reading.held > largest[kind]:
                largest[kind] = reading.held
    return largest

# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Conformal thresholds: a bound on the false-alarm rate, from successful episodes.

The score S of an episode under a rule is the largest debounced statistic of the detector. The
rules share one alpha: each score is standardized, (S - middle) / spread, the joint score of the
episode is the largest of these, and one conformal threshold t on the joint score sets the
threshold of each rule, middle + t * spread. The bound therefore holds for all rules together,
whatever their correlation; a Bonferroni correction is more conservative. With 'and', an alarm
needs a rule of the value and the forecast residual at the same time: the joint score is then the
largest over time of the smaller of the two. There is no bound on missed failures.

The spread has a floor in the unit of the rule. Without it a statistic in steps, whose usual spread
is 0, makes one larger step an excess of many spreads, which raises the thresholds of all rules. A
threshold that its statistic cannot reach is stored as such, with the rules that remedy it.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

import numpy as np
from scipy import stats

from viva_ros.core.detection.detector import Detector, DetectorSettings
from viva_ros.core.detection.forecast_residual import ForecastResidual
from viva_ros.core.detection.reference import DONE_ABOVE, Reference, StatisticScale
from viva_ros.core.detection.rules import (
    RULES,
    RuleReading,
    RuleSettings,
    largest_statistic,
    other_rules,
    value_rules,
)
from viva_ros.core.detection.thresholds import AND, OR, Calibration, Threshold, Unreachable
from viva_ros.core.errors import CalibrationError
from viva_ros.core.observation import Array
from viva_ros.scoring.series import ValueSeries, walk

__all__ = ['ALPHA', 'WARN_ALPHA', 'CalibrationOptions', 'ValueSeries', 'calibrate', 'scores']

ALPHA: Final = 0.1  # share of successful episodes that may raise an alarm
WARN_ALPHA: Final = 0.3  # share of successful episodes that may raise a warning
FIFTH: Final = 5
PARTS: Final = (0.25, 0.5, 0.75)  # bounds of the parts of predicted progress
SLACK: Final = 0.5  # share of the median slope that is expected: the allowance of the CUSUM
LEAST_SPREAD: Final = 0.03  # in units of value; times the unit of a rule
DONE_QUANTILE: Final = 0.1  # of the final values
DONE_MARGIN: Final = 0.03  # below that quantile

T = TypeVar('T')


def share_out(episodes: Sequence[T]) -> tuple[list[T], list[T]]:
    """Split episodes: those for the statistics (every fifth), and those for the threshold."""
    shaping = [one for number, one in enumerate(episodes) if number % FIFTH == FIFTH - 1]
    setting = [one for number, one in enumerate(episodes) if number % FIFTH != FIFTH - 1]
    return shaping, setting


def needed(least: int) -> int:
    """Return the smallest number of episodes of which ``least`` set the threshold."""
    n = FIFTH
    while n - n // FIFTH < least:
        n += 1
    return n


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
    Return the done level: a margin below a low quantile of the final smoothed values.

    A low quantile, since the value of most successes must pass the level. The margin keeps the
    noise of a finished task above it: a robot that waits at the end would otherwise stall there,
    and set the thresholds. Measured on 48 and 20 simulated successes, and on the same with a value
    that stands at .80 to .87 (stalls shortly before the end): a level of .8 finds no stall, this
    one .87 and .73, without a margin .99 and .88; but if the robot waits for 6 s at the end,
    the threshold of stall is 2.6 s with the margin, 9.8 s without, and 8.0 s from the median with
    the margin (tray_lift).

    :returns: ``DONE_ABOVE`` without a known value
    """
    finals = [final for one in shaping if math.isfinite(final := _final(one, rules))]
    if not finals:
        return DONE_ABOVE
    return float(np.quantile(finals, DONE_QUANTILE)) - DONE_MARGIN


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


def conformal_rank(n: int, alpha: float) -> int:
    """
    Return the conformal rank k = ceil((n + 1)(1 - alpha)), from 1.

    :raises ValueError: if alpha is not in (0, 1)
    :raises CalibrationError: if k > n, naming the number of episodes missing
    """
    least = least_episodes(alpha)
    if n < least:
        raise CalibrationError(
            'calibration-episodes',
            f'{n} successful episodes do not bound a false-alarm rate of {alpha:.4g}: '
            f'{least} are needed, {least - n} are missing; record more, or raise alpha',
        )
    return math.ceil((n + 1) * (1.0 - alpha) - 1e-9)  # 30 * (1 - .1 / 3) is 29, not 29.000...4


def least_episodes(alpha: float) -> int:
    """
    Return the smallest n with k <= n: 9, 19, 99 for alpha = .1, .05, .01.

    :raises ValueError: if alpha is not in (0, 1)
    """
    if not 0.0 < alpha < 1.0:
        raise ValueError(f'alpha is {alpha}, must be above 0 and below 1')
    return math.ceil(1.0 / alpha - 1e-9) - 1


@dataclass(frozen=True)
class CalibrationOptions:
    """
    Rules of a calibration and their combination.

    :param rules: rules that may raise an alarm; rules without a reading are left out
    :param combine: 'or' or 'and', see ``Alarm``
    :param indexed: whether thresholds depend on predicted progress
    :param done_above: done level, in [-1, 1]; None to learn it
    :raises CalibrationError: if the done level is out of its range
    """

    rules: tuple[str, ...] = field(default_factory=lambda: tuple(RULES))
    combine: str = OR
    indexed: bool = False
    done_above: float | None = None

    def __post_init__(self) -> None:
        if self.done_above is not None and not -1.0 <= self.done_above <= 1.0:
            raise CalibrationError(
                'calibration-done-level',
                f'the done level is {self.done_above}, must be at least -1 and at most 1: leave '
                'out --done-above to learn it from the episodes',
            )


DEFAULT = CalibrationOptions()


def scores(
    series: ValueSeries, rules: RuleSettings, expected: Reference | None = None
) -> dict[str, float]:
    """Return the largest debounced statistic of each rule in an episode; -inf without one."""
    return _largest(walk(series, rules, expected))


def _largest(readings: Iterable[Mapping[str, RuleReading]]) -> dict[str, float]:
    largest = dict.fromkeys(RULES, -math.inf)
    for one in readings:
        for kind, reading in one.items():
            if reading.held > largest[kind]:
                largest[kind] = reading.held
    return largest


def calibrate(
    episodes: Sequence[ValueSeries],
    rules: RuleSettings,
    *,
    engine: str,
    task: str,
    rate: float,
    alpha: float = ALPHA,
    warn_alpha: float = WARN_ALPHA,
    source: str = '',
    choice: CalibrationOptions = DEFAULT,
) -> Calibration:
    """
    Fit the thresholds of all rules.

    :param episodes: successes only: nominal ones and benign variations, none used in training, in
        arbitrary order
    :param engine: fingerprint
    :param rate: rate of the monitor, Hz
    :param alpha: share of successful episodes that may raise an alarm, over all rules
    :param warn_alpha: share of successful episodes that may raise a warning, at least alpha
    :param source: description of the episodes
    :raises CalibrationError: if episodes are too few, too short, or lack the inputs of a rule; if
        no rule of the value can reach its threshold
    """
    if warn_alpha < alpha:
        raise ValueError(f'warn_alpha is {warn_alpha}, must be at least alpha, {alpha}')
    _check_number(len(episodes), alpha)
    shaping, setting = share_out(episodes)
    expected = learn(shaping, rules, choice.indexed, choice.done_above)
    shaped = [scores(one, rules, expected) for one in shaping]
    walked = [list(walk(one, rules, expected)) for one in setting]
    found = [_largest(readings) for readings in walked]
    kinds = _kinds(choice, [*shaped, *found])
    norms = {
        kind: usual([score[kind] for score in shaped], least_spread(kind, expected))
        for kind in kinds
    }
    n = len(setting)
    rank, warn_rank = (conformal_rank(n, share) for share in (alpha, warn_alpha))

    def fit(used: Sequence[str]) -> dict[str, Threshold]:
        some = {kind: norms[kind] for kind in used}
        joint = [joint_score(readings, some, choice.combine) for readings in walked]
        return _thresholds(some, joint, found, warn_rank, rank)

    has_success = all(one.has_success for one in episodes)
    largest = {kind: largest_statistic(kind, rules, expected, has_success) for kind in kinds}
    thresholds = fit(kinds)
    return Calibration(
        engine, task, n, alpha, warn_alpha, rank, _spread(rank, n), rules, rate, thresholds,
        source, len(shaping), choice.combine, expected,
        {kind: sorted(score[kind] for score in found)[rank - 1] for kind in kinds},
        float(np.mean([one.duration for one in episodes])),
        _unreachable(thresholds, largest, fit, choice.combine),
    )  # fmt: skip


def _thresholds(
    norms: Mapping[str, tuple[float, float]], joint: Sequence[float],
    found: Sequence[Mapping[str, float]], warn_rank: int, rank: int,
) -> dict[str, Threshold]:  # fmt: skip
    warn, alarm = (sorted(joint)[k - 1] for k in (warn_rank, rank))
    return {
        kind: Threshold(*(_threshold(kind, norm, at, joint, found) for at in (warn, alarm)))
        for kind, norm in norms.items()
    }


def _unreachable(
    thresholds: Mapping[str, Threshold], largest: Mapping[str, float],
    fit: Callable[[Sequence[str]], dict[str, Threshold]], combine: str,
) -> dict[str, Unreachable]:  # fmt: skip
    """
    Return the rules that cannot reach their alarm thresholds, each with the rules that remedy it.

    :param largest: largest value of the statistic, by rule
    :param fit: returns the thresholds of some rules
    :raises CalibrationError: if no rule of the value, or with 'and' no other rule, can alarm
    """
    found = {
        kind: Unreachable(limit, _remedy(kind, limit, tuple(thresholds), fit, combine))
        for kind, limit in largest.items()
        if thresholds[kind].alarm >= limit
    }
    groups = [value_rules(), other_rules()] if combine == AND else [value_rules()]
    for group in groups:
        used = [kind for kind in group if kind in thresholds]
        if used and found.keys() >= set(used):
            texts = [found[kind].text(kind, thresholds[kind].alarm) for kind in used]
            raise CalibrationError(
                'calibration-unreachable', f'no rule could raise an alarm: {"; ".join(texts)}'
            )
    return found


def _remedy(
    kind: str, limit: float, used: tuple[str, ...],
    fit: Callable[[Sequence[str]], dict[str, Threshold]], combine: str,
) -> tuple[str, ...]:  # fmt: skip
    """
    Return rules with which the threshold of a rule is below a limit; empty if none are found.

    One rule after the other is left out, each time the one that lowers the threshold most.
    """
    while fit(used)[kind].alarm >= limit:
        fewer = [tuple(k for k in used if k != out) for out in used if out != kind]
        if combine == AND:
            fewer = [
                one for one in fewer if set(one) & {*value_rules()} and set(one) & {*other_rules()}
            ]
        if not fewer:
            return ()
        used = min(fewer, key=lambda one: fit(one)[kind].alarm)
    return used


def _check_number(n: int, alpha: float) -> None:
    least = needed(least_episodes(alpha))
    if n < least:
        raise CalibrationError(
            'calibration-episodes',
            f'{n} successful episodes do not bound a false-alarm rate of {alpha:.4g}: '
            f'{least} are needed, every fifth of them for the reference statistics; '
            f'{least - n} are missing; record more, or raise alpha',
        )


def _kinds(choice: CalibrationOptions, scored: Sequence[Mapping[str, float]]) -> list[str]:
    """Return the rules with readings in all episodes; rules without any are left out."""
    kinds: list[str] = []
    for kind in (kind for kind in RULES if kind in choice.rules):
        short = sum(math.isinf(score[kind]) for score in scored)
        if 0 < short < len(scored):
            raise CalibrationError(
                'calibration-rule',
                f'{short} of {len(scored)} episodes are too short for the rule {kind}, or lack '
                'its inputs: leave them out, or shorten the window of the rule',
            )
        kinds += [] if short else [kind]
    groups = [value_rules(), other_rules()] if choice.combine == AND else [RULES.names()]
    for group in groups:
        if not set(group) & set(kinds):
            raise CalibrationError(
                'calibration-no-rule',
                f'no episode has a reading of the rules {", ".join(group)}: the episodes are too '
                'short, or the engine has no forecast',
            )
    return kinds


def joint_score(
    readings: Iterable[Mapping[str, RuleReading]], norms: Mapping[str, tuple[float, float]],
    combine: str,
) -> float:  # fmt: skip
    """
    Return the joint score of an episode.

    :param norms: middle and spread of each rule
    """
    largest = -math.inf
    groups = value_rules(), other_rules()
    for one in readings:
        excess = {k: (one[k].held - m) / s for k, (m, s) in norms.items() if k in one}
        finite = {kind: value for kind, value in excess.items() if not math.isnan(value)}
        if combine == AND:
            sides = [
                max((finite[k] for k in finite if k in group), default=-math.inf)
                for group in groups
            ]
            largest = max(largest, min(sides))
        else:
            largest = max(largest, max(finite.values(), default=-math.inf))
    return largest


def _threshold(
    kind: str, norm: tuple[float, float], limit: float, joint: Sequence[float],
    found: Sequence[Mapping[str, float]],
) -> float:  # fmt: skip
    """Return the threshold of a rule, not below the score of an episode at the limit."""
    middle, spread = norm
    threshold = middle + limit * spread
    near = [score[kind] for score, one in zip(found, joint, strict=True)
            if one <= limit and score[kind] <= threshold + 1e-9]  # fmt: skip
    return max([threshold, *near])


def _spread(rank: int, n: int) -> tuple[float, float]:
    """
    Return the 5 % and 95 % quantile of the share of successes without an alarm.

    Over repeated calibrations the share is Beta(rank, n + 1 - rank) (Vovk 2012).
    """
    low, high = stats.beta.ppf((0.05, 0.95), rank, n + 1 - rank)
    return float(low), float(high)

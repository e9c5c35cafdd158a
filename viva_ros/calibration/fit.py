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
threshold that its statistic cannot reach, or does not reach in a usual failure, is stored as such,
with one remedy for all such rules.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import combinations
from typing import Final, TypeVar

import numpy as np
from scipy import stats

from viva_ros.calibration.reference import (
    largest_in_failures,
    largest_readings,
    learn,
    least_spread,
    scores,
    usual,
    usual_rise,
)
from viva_ros.core.detection.reference import Reference
from viva_ros.core.detection.rules import (
    RULES,
    RuleReading,
    RuleSettings,
    largest_statistic,
    other_rules,
    threshold_limits,
    value_rules,
)
from viva_ros.core.detection.thresholds import AND, OR, Calibration, Threshold, Unreachable
from viva_ros.core.errors import CalibrationError
from viva_ros.scoring.series import ValueSeries, walk

__all__ = ['ALPHA', 'WARN_ALPHA', 'CalibrationOptions', 'ValueSeries', 'calibrate']

ALPHA: Final = 0.1  # share of successful episodes that may raise an alarm
WARN_ALPHA: Final = 0.3  # share of successful episodes that may raise a warning
FIFTH: Final = 5
LARGEST_ALPHA: Final = 0.5  # that a remedy proposes
NAMED: Final = 3  # episodes in an error, at most
KEPT: Final = ('drop', 'floor', 'stall')  # rules that a remedy keeps, of sets of equal size

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
    names: Sequence[str] = (),
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
    :param names: of the episodes, for errors; default: their numbers, from 0
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
    found = [largest_readings(readings) for readings in walked]
    called = share_out(names or [f'episode {number}' for number in range(len(episodes))])
    lacking = _lacking([*shaping, *setting], [*shaped, *found], rules, expected)
    kinds = _kinds(choice, lacking, [*called[0], *called[1]], shaped)
    norms = {
        kind: usual(
            [score[kind] for score in shaped if math.isfinite(score[kind])],
            least_spread(kind, expected),
        )
        for kind in kinds
    }
    n = len(setting)
    rank, warn_rank = (conformal_rank(n, share) for share in (alpha, warn_alpha))

    @cache
    def joint(used: tuple[str, ...]) -> list[float]:
        some = {kind: norms[kind] for kind in used}
        return [joint_score(readings, some, choice.combine) for readings in walked]

    def fit(used: tuple[str, ...], at: int = rank) -> dict[str, Threshold]:
        some = {kind: norms[kind] for kind in used}
        return _thresholds(some, joint(used), found, min(warn_rank, at), at, expected)

    def alone(kind: str) -> float:
        return _smallest([score[kind] for score in found], rank, norms[kind][0])

    has_success = all(one.has_success for one in episodes)
    limits = Limits(
        {kind: largest_statistic(kind, rules, expected, has_success) for kind in kinds},
        largest_in_failures(shaping, rules, expected),
    )
    rise = usual_rise(shaping, rules)
    thresholds = fit(tuple(kinds))
    made = Calibration(
        engine, task, n, alpha, warn_alpha, rank, _spread(rank, n), rules, rate, thresholds,
        source, len(shaping), choice.combine, expected, {kind: alone(kind) for kind in kinds},
        float(np.mean([one.duration for one in episodes])), {}, rise,
    )  # fmt: skip
    return replace(made, unreachable=_unreachable(made, limits, fit))


def _thresholds(
    norms: Mapping[str, tuple[float, float]], joint: Sequence[float],
    found: Sequence[Mapping[str, float]], warn_rank: int, rank: int, expected: Reference,
) -> dict[str, Threshold]:  # fmt: skip
    warn, alarm = (_smallest(joint, k, 0.0) for k in (warn_rank, rank))
    made = {}
    for kind, norm in norms.items():
        # Beyond its range, a threshold finds as much as at its bound.
        low, high = threshold_limits(kind, expected).bounds()
        both = (_threshold(kind, norm, at, joint, found) for at in (warn, alarm))
        made[kind] = Threshold(*(min(max(one, low), high) for one in both))
    return made


def _smallest(found: Sequence[float], rank: int, otherwise: float) -> float:
    """
    Return the k-th smallest score.

    A score is -inf without a reading. If the k-th is, the smallest reading bounds as many.

    :param rank: k, from 1
    :param otherwise: returned without a reading at or above rank k
    """
    return next((one for one in sorted(found)[rank - 1 :] if math.isfinite(one)), otherwise)


@dataclass(frozen=True)
class Limits:
    """
    Values that alarm thresholds must be below.

    :param largest: largest value of the statistic, by rule
    :param usual: largest value in a usual failure, by rule; rules without one have no limit
    """

    largest: Mapping[str, float]
    usual: Mapping[str, float]

    def of(self, kind: str) -> float:
        """Return the smallest threshold of a rule that is announced."""
        return min(self.usual.get(kind, math.inf), self.largest[kind])


Fit = Callable[[tuple[str, ...], int], dict[str, Threshold]]


def _unreachable(made: Calibration, limits: Limits, fit: Fit) -> dict[str, Unreachable]:
    """
    Return the rules that do not reach their alarm thresholds, with one remedy for all.

    :param made: calibration without this result
    :param fit: returns the thresholds of some rules at a rank
    :raises CalibrationError: if no rule of the value, or with 'and' no other rule, can alarm
    """
    thresholds = made.thresholds
    explained = {kind for kind in thresholds  # whose fault another text names
                 if made.hardly_rises or (made.blind and RULES[kind].until_done)}  # fmt: skip

    def announced(used: tuple[str, ...], rank: int = made.rank) -> list[str]:
        of = {kind: one.alarm for kind, one in fit(used, rank).items()}
        return [
            kind for kind in used
            if of[kind] >= limits.largest[kind]
            or (of[kind] >= limits.of(kind) and kind not in explained)
        ]  # fmt: skip

    kinds = announced(tuple(thresholds))
    never = [kind for kind in kinds if thresholds[kind].alarm >= limits.largest[kind]]
    remedy = _remedy(made, announced) if kinds else ((), math.nan)
    found = {
        kind: Unreachable(
            limits.largest[kind] if kind in never else limits.usual[kind],
            *remedy, seldom=kind not in never,
        )
        for kind in kinds
    }  # fmt: skip
    groups = [value_rules(), other_rules()] if made.combine == AND else [value_rules()]
    for group in groups:
        used = [kind for kind in group if kind in thresholds]
        if used and set(used) <= set(never):
            those = replace(made, unreachable={kind: found[kind] for kind in used})
            raise CalibrationError(
                'calibration-unreachable', f'no rule could raise an alarm: {those.unreached}'
            )
    return found


def _remedy(
    made: Calibration, announced: Callable[..., list[str]]
) -> tuple[tuple[str, ...], float]:
    """
    Return the largest set of rules of which none is announced, and the smallest such alpha.

    Each rule less lowers the thresholds of the others, so that the set without the announced rules
    is one of them: the result has at least as many. Of several the one with most of ``KEPT``.

    :param announced: of some rules, and a rank: those that do not reach their thresholds
    :returns: no rules if none help; NaN if no alpha up to ``LARGEST_ALPHA`` does
    """
    everything = tuple(made.thresholds)
    sides = value_rules(), other_rules()

    def useful(used: tuple[str, ...]) -> bool:
        return made.combine != AND or all(set(used) & {*one} for one in sides)

    rules: tuple[str, ...] = ()
    for count in range(len(everything) - 1, 0, -1):
        sets = [one for one in combinations(everything, count) if useful(one)]
        if good := [one for one in sets if not announced(one)]:
            rules = max(good, key=lambda one: len({*one} & {*KEPT}))
            break
    for rank in range(made.rank - 1, math.ceil((made.episodes + 1) * (1.0 - LARGEST_ALPHA)), -1):
        if not announced(everything, rank):
            return rules, math.ceil((1.0 - rank / (made.episodes + 1)) * 1e3 - 1e-6) / 1e3
    return rules, math.nan


def _check_number(n: int, alpha: float) -> None:
    least = needed(least_episodes(alpha))
    if n < least:
        raise CalibrationError(
            'calibration-episodes',
            f'{n} successful episodes do not bound a false-alarm rate of {alpha:.4g}: '
            f'{least} are needed, every fifth of them for the reference statistics; '
            f'{least - n} are missing; record more, or raise alpha',
        )


def _lacking(
    series: Sequence[ValueSeries], scored: Sequence[Mapping[str, float]], rules: RuleSettings,
    expected: Reference,
) -> dict[str, list[int]]:  # fmt: skip
    """
    Return the indices of the episodes that are too short for each rule, or lack its inputs.

    Without a reading because the task was done is not counted: such an episode raises no alarm.
    """
    never_done = replace(expected, done_above=1.0)
    lacking: dict[str, list[int]] = {kind: [] for kind in RULES}
    for index, (one, score) in enumerate(zip(series, scored, strict=True)):
        missing = [kind for kind in RULES if math.isinf(score[kind])]
        again = scores(one, rules, never_done) if missing else {}
        for kind in missing:
            if math.isinf(again[kind]):
                lacking[kind].append(index)
    return lacking


def _kinds(
    choice: CalibrationOptions, lacking: Mapping[str, Sequence[int]], names: Sequence[str],
    shaped: Sequence[Mapping[str, float]],
) -> list[str]:  # fmt: skip
    """
    Return the rules with readings; rules without any in the reference episodes are left out.

    :param lacking: indices of the episodes without the inputs of each rule
    :param names: of all episodes
    :param shaped: scores of the reference episodes
    """
    kinds = [
        kind for kind in RULES
        if kind in choice.rules and not lacking[kind]
        and any(math.isfinite(score[kind]) for score in shaped)
    ]  # fmt: skip
    groups = [value_rules(), other_rules()] if choice.combine == AND else [RULES.names()]
    for kind in (kind for kind in RULES if kind in choice.rules):
        if 0 < len(short := lacking[kind]) < len(names):
            some = ', '.join(names[index] for index in short[:NAMED])
            without = all(set(group) & set(kinds) for group in groups)
            raise CalibrationError(
                'calibration-rule',
                f'{len(short)} of {len(names)} episodes are too short for the rule {kind}, or '
                f'lack its inputs ({some}{", ..." if len(short) > NAMED else ""}): '
                + (f'use --rules {" ".join(kinds)}, or ' if without else '')
                + 'shorten the window of the rule (--set), or leave them out, which makes all '
                'thresholds those of slow successes',
            )
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

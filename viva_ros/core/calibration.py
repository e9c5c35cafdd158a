# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Conformal thresholds: a promise on false alarms, from successful episodes alone.

An episode's score under a rule is its largest held statistic, taken from the judge itself, so an
episode alarms exactly if a score is above its threshold. With the k-th smallest of n scores as
threshold, k = ceil((n + 1)(1 - alpha)), a new exchangeable success alarms with probability at most
alpha (split conformal, Vovk et al. 2005). Alpha is shared equally among the rules (Bonferroni).
The common ``np.quantile(scores, 1 - alpha)`` is smaller and loses the promise. Nothing is promised
about misses.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from viva_ros.core.errors import CalibrationError
from viva_ros.core.events import RULES
from viva_ros.core.judge import Judge, JudgeSettings
from viva_ros.core.observation import Array
from viva_ros.core.rules import RuleSettings
from viva_ros.core.thresholds import Calibration, Threshold


@dataclass(frozen=True)
class ValueSeries:
    """
    The values of one episode.

    :param stamps: (N,), ns
    :param values: (N,), in [-1, 1]; NaN where unknown
    """

    stamps: NDArray[np.int64]
    values: Array


def scores(series: ValueSeries, rules: RuleSettings) -> dict[str, float]:
    """Give the largest held statistic of each rule over an episode; -inf if there is none."""
    judge = Judge(JudgeSettings(rules=rules), {})
    largest = dict.fromkeys(RULES, -math.inf)
    for stamp, value in zip(series.stamps.tolist(), series.values.tolist(), strict=True):
        judge.update(stamp, value)
        for kind, reading in judge.readings.items():
            if reading.held > largest[kind]:
                largest[kind] = reading.held
    return largest


def conformal_rank(n: int, alpha: float) -> int:
    """
    Give k = ceil((n + 1)(1 - alpha)), from 1.

    :raises ValueError: if alpha is not inside (0, 1)
    :raises CalibrationError: if k > n, with the number of episodes that are missing
    """
    if not 0.0 < alpha < 1.0:
        raise ValueError(f'alpha is {alpha}, must be above 0 and below 1')
    rank = math.ceil((n + 1) * (1.0 - alpha) - 1e-9)  # 30 * (1 - .1 / 3) is 29, not 29.000...4
    if rank > n:
        least = math.ceil(1.0 / alpha - 1e-9) - 1
        raise CalibrationError(
            f'{n} successful episodes cannot promise a false-alarm rate of {alpha:.4g} for one '
            f'rule: {least} are needed, {least - n} are missing; record them, or raise alpha'
        )
    return rank


def calibrate(
    episodes: Sequence[ValueSeries],
    rules: RuleSettings,
    *,
    engine: str,
    task: str,
    alpha: float = 0.1,
    warn_alpha: float = 0.3,
    source: str = '',
) -> Calibration:
    """
    Set the thresholds of all rules.

    :param episodes: successes only: nominal ones and benign variations, none used in training
    :param alpha: share of successful episodes that may alarm, over all rules together
    :param warn_alpha: the same for warnings, at least alpha
    :param source: how the episodes were made, for a person
    :raises CalibrationError: if there are too few episodes, or too short ones
    """
    if warn_alpha < alpha:
        raise ValueError(f'warn_alpha is {warn_alpha}, must be at least alpha, {alpha}')
    n = len(episodes)
    rank = conformal_rank(n, alpha / len(RULES))
    warn_rank = conformal_rank(n, warn_alpha / len(RULES))
    scored = [scores(series, rules) for series in episodes]
    thresholds = {
        kind: _threshold(kind, [score[kind] for score in scored], warn_rank, rank)
        for kind in RULES
    }
    coverage = (beta_quantile(0.05, rank, n + 1 - rank), beta_quantile(0.95, rank, n + 1 - rank))
    return Calibration(
        engine, task, n, alpha, warn_alpha, rank, coverage, rules, thresholds, source
    )  # fmt: skip


def _threshold(kind: str, values: Sequence[float], warn_rank: int, rank: int) -> Threshold:
    short = sum(math.isinf(value) for value in values)
    if short:
        raise CalibrationError(
            f'{short} of {len(values)} episodes are too short for the rule {kind}: '
            'leave them out, or shorten its window'
        )
    ordered = sorted(values)
    return Threshold(warn=ordered[warn_rank - 1], alarm=ordered[rank - 1])


def beta_cdf(x: float, a: int, b: int) -> float:
    """
    Give P(Beta(a, b) <= x) for whole a, b >= 1.

    It is P(Binomial(a + b - 1, x) >= a), the regularised incomplete beta function I_x(a, b).
    """
    if x <= 0.0 or x >= 1.0:
        return float(x >= 1.0)
    n = a + b - 1
    hits = np.arange(a, n + 1)
    log_factorial = np.concatenate(([0.0], np.cumsum(np.log(np.arange(1, n + 1)))))
    log_choose = log_factorial[n] - log_factorial[hits] - log_factorial[n - hits]
    terms = log_choose + hits * math.log(x) + (n - hits) * math.log1p(-x)
    return float(min(1.0, np.exp(terms).sum()))


def beta_quantile(probability: float, a: int, b: int) -> float:
    """Invert ``beta_cdf`` by bisection, to 1e-12."""
    low, high = 0.0, 1.0
    while high - low > 1e-12:
        middle = 0.5 * (low + high)
        if beta_cdf(middle, a, b) < probability:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)

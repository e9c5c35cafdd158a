# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Split conformal prediction (Vovk et al. 2005): which score is the threshold, and what it promises.

With the k-th smallest of n scores as threshold, k = ceil((n + 1)(1 - alpha)), a new exchangeable
success alarms with probability at most alpha. The common ``np.quantile(scores, 1 - alpha)`` is
smaller and loses the promise. Over calibrations drawn again, the share of quiet successes is
Beta(k, n + 1 - k).
"""

import math

import numpy as np

from viva_ros.core.errors import CalibrationError


def conformal_rank(n: int, alpha: float) -> int:
    """
    Give k = ceil((n + 1)(1 - alpha)), from 1.

    :raises ValueError: if alpha is not inside (0, 1)
    :raises CalibrationError: if k > n, with the number of episodes that are missing
    """
    least = least_episodes(alpha)
    if n < least:
        raise CalibrationError(
            f'{n} successful episodes cannot promise a false-alarm rate of {alpha:.4g}: '
            f'{least} are needed, {least - n} are missing; record them, or raise alpha'
        )
    return math.ceil((n + 1) * (1.0 - alpha) - 1e-9)  # 30 * (1 - .1 / 3) is 29, not 29.000...4


def least_episodes(alpha: float) -> int:
    """
    Give the smallest n with k <= n: 9, 19, 99 for alpha = .1, .05, .01.

    :raises ValueError: if alpha is not inside (0, 1)
    """
    if not 0.0 < alpha < 1.0:
        raise ValueError(f'alpha is {alpha}, must be above 0 and below 1')
    return math.ceil(1.0 / alpha - 1e-9) - 1


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

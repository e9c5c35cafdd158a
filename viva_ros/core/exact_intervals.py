# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Intervals where all episodes agree: drawn again they still agree, and the bootstrap has no doubt.

No false alarm in 20 successes is no promise of none in the next 20.
"""

import math

Interval = tuple[float, float]
NORMAL = 1.959964  # quantile .975 of the normal distribution
TAIL = 0.025


def share_interval(share: float, count: int) -> Interval:
    """
    Give the exact 95 % interval (Clopper-Pearson) of a share that is 0 or 1.

    :param count: number of episodes, at least 1
    """
    if share not in (0.0, 1.0) or count < 1:
        raise ValueError(f'share is {share} of {count}, must be 0 or 1 of at least 1')
    doubt = 1.0 - TAIL ** (1.0 / count)
    return (1.0 - doubt, 1.0) if share else (0.0, doubt)


def silence_interval(hours: float) -> Interval:
    """
    Give the exact 95 % interval (Poisson, two-sided) of a rate per hour of what has not happened.

    :param hours: watched, above 0
    """
    if not hours > 0.0:
        raise ValueError(f'hours are {hours}, must be above 0')
    return 0.0, -math.log(TAIL) / hours


def area_interval(area: float, positives: int, negatives: int) -> Interval:
    """
    Give the 95 % score interval of an AUROC that is 0 or 1 (Newcombe 2006, method 5).

    The far end is the area t from which 1 lies as far as 1.96 standard errors at t: with
    N = (m + n) / 2 - 1, V(t) = t (1 - t) (1 + N ((1 - t) / (2 - t) + t / (1 + t))) / (m n).

    :param positives: and negatives: how many there are, m and n, at least 1
    """
    if area not in (0.0, 1.0) or positives < 1 or negatives < 1:
        raise ValueError(
            f'area is {area} of {positives} and {negatives}, must be 0 or 1 of at least 1'
        )
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2.0
        spread = NORMAL * math.sqrt(_variance(middle, positives, negatives))
        low, high = (middle, high) if 1.0 - middle > spread else (low, middle)
    return (low, 1.0) if area else (0.0, 1.0 - low)


def _variance(area: float, positives: int, negatives: int) -> float:
    miss, mean = 1.0 - area, (positives + negatives) / 2.0 - 1.0
    bracket = 1.0 + mean * (miss / (2.0 - area) + area / (1.0 + area))
    return area * miss * bracket / (positives * negatives)

# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Confidence intervals: bootstrap over episodes, and exact intervals of shares and rates.

The difference of two methods on the same episodes has a paired interval: each draw of episodes is
used for both methods. Their separate intervals may overlap although one method is better on nearly
every episode.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, stats

from viva_ros.core.observation import Array
from viva_ros.metrics.ranking import auprc, aurocs, bootstrap_interval

Interval = tuple[float, float]
NORMAL = 1.959964  # quantile .975 of the normal distribution
LEVEL = 0.95
TAIL = 0.025


def share_interval(hits: int, count: int) -> Interval:
    """
    Return the exact 95 % interval of a share (Clopper & Pearson 1934).

    :raises ValueError: unless 0 <= ``hits`` <= ``count`` and ``count`` >= 1
    """
    if not 0 <= hits <= count or count < 1:
        raise ValueError(f'{hits} of {count} is no share, must be 0 to all of at least 1')
    found = stats.binomtest(hits, count).proportion_ci(LEVEL, method='exact')
    return float(found.low), float(found.high)


def rate_interval(events: int, hours: float) -> Interval:
    """
    Return the exact 95 % interval of a rate per hour (Poisson, two-sided; Garwood 1936).

    :param events: at least 0
    :param hours: observed, above 0
    """
    if events < 0 or not hours > 0.0:
        raise ValueError(f'{events} events in {hours} h, must be at least 0 in above 0')
    low = stats.gamma.ppf(TAIL, events) if events else 0.0
    return float(low / hours), float(stats.gamma.ppf(1.0 - TAIL, events + 1) / hours)


def area_interval(area: float, positives: int, negatives: int) -> Interval:
    """
    Return the 95 % score interval of an AUROC that is 0 or 1 (Newcombe 2006, method 5).

    The other end of the interval of 1 is the area t with 1 - t equal to 1.96 standard errors: with
    N = (m + n) / 2 - 1, V(t) = t (1 - t) (1 + N ((1 - t) / (2 - t) + t / (1 + t))) / (m n).

    :param positives: and negatives: their numbers m and n, at least 1
    """
    if area not in (0.0, 1.0) or positives < 1 or negatives < 1:
        raise ValueError(
            f'area is {area} of {positives} and {negatives}, must be 0 or 1 of at least 1'
        )
    pairs, mean = positives * negatives, (positives + negatives) / 2.0 - 1.0

    def excess(t: float) -> float:
        """Return ((1 - t)^2 - 1.96^2 V(t)) m n / (1 - t), which has one root inside (0, 1)."""
        bracket = 1.0 + mean * ((1.0 - t) / (2.0 - t) + t / (1.0 + t))
        return (1.0 - t) * pairs - NORMAL**2 * t * bracket

    low = float(optimize.brentq(excess, 0.0, 1.0, xtol=1e-15))
    return (low, 1.0) if area else (0.0, 1.0 - low)


SEED: Final = 0
DRAWS: Final = 1000
ALIKE: Final = 6  # smallest number of equal differences with an interval: 2 * .5^6 < .05
UNKNOWN: Final = (math.nan, math.nan)

#: From rows that all agree, and their figure, to its interval; None without an interval.
Exact = Callable[[Array, float], Interval | None]


@dataclass(frozen=True)
class Measure:
    """
    One figure over episodes.

    :param rows: numbers of each episode, (N, C); an episode with a NaN is left out
    :param figure: of drawn rows, (..., M, C), M >= 1, to (...); NaN if it is not defined
    :param exact: interval of the figure for the case that all draws are equal
    """

    rows: Array
    figure: Callable[[Array], Array]
    exact: Exact | None = None


def interval(one: Measure) -> dict[str, float]:
    """
    Return value, low and high of the 95 % interval, and the number of episodes.

    If all draws are equal the interval is the exact one, or NaN if the measure has none.
    """
    rows = one.rows[np.isfinite(one.rows).all(axis=1)]
    value = float(one.figure(rows)) if len(rows) else math.nan
    low = high = math.nan
    if math.isfinite(value):
        low, high = _bootstrap(lambda drawn: one.figure(rows[drawn]), len(rows))
        if low == high:
            low, high = (one.exact and one.exact(rows, value)) or UNKNOWN
    return {'value': value, 'low': low, 'high': high, 'episodes': len(rows)}


def difference(ours: Measure, theirs: Measure) -> dict[str, float]:
    """
    Return ``theirs`` minus ``ours`` over the episodes known to both, with a paired bootstrap.

    If all draws are equal, fewer than ``ALIKE`` episodes have no interval.

    :raises ValueError: if the numbers of episodes differ
    """
    if ours.rows.shape != theirs.rows.shape:
        raise ValueError(f'rows are {ours.rows.shape} and {theirs.rows.shape}, must be the same')
    both = np.isfinite(ours.rows).all(axis=1) & np.isfinite(theirs.rows).all(axis=1)
    own, other = ours.rows[both], theirs.rows[both]

    def gain(rows: NDArray[np.int64]) -> Array:
        return theirs.figure(other[rows]) - ours.figure(own[rows])

    value = float(gain(np.arange(len(own)))) if len(own) else math.nan
    low = high = math.nan
    if math.isfinite(value):
        low, high = _bootstrap(gain, len(own))
        if low == high and len(own) < ALIKE:
            low, high = UNKNOWN
    return {'value': value, 'low': low, 'high': high, 'episodes': len(own)}


def differences(
    ours: Mapping[str, Measure], theirs: Mapping[str, Measure]
) -> dict[str, dict[str, float]]:
    """Return the difference of each figure that both have."""
    return {name: difference(one, theirs[name]) for name, one in ours.items() if name in theirs}


def _bootstrap(figure: Callable[[NDArray[np.int64]], Array], count: int) -> tuple[float, float]:
    return bootstrap_interval(figure, count, seed=SEED, draws=DRAWS)


def mean(numbers: Sequence[float], share: bool = False) -> Measure:
    """Measure a mean; NaN is left out."""
    exact = _exact_share if share else None
    return Measure(_column(numbers), lambda rows: rows.mean(axis=(-2, -1)), exact)


def quantile(numbers: Sequence[float], at: float) -> Measure:
    """Measure a quantile."""
    return Measure(_column(numbers), lambda rows: np.quantile(rows[..., 0], at, axis=-1))


def ratio(pairs: Sequence[tuple[float, float]]) -> Measure:
    """Measure the quotient of two sums."""
    rows = _table(pairs, 2)
    return Measure(rows, _quotient)


def hourly(counts: Sequence[int], durations: Sequence[float]) -> Measure:
    """Measure a rate per hour; durations in s."""
    hours = [one / 3600.0 for one in durations]
    return replace(ratio(list(zip(counts, hours, strict=True))), exact=_exact_rate)


def positive(lists: Sequence[Sequence[float]]) -> Measure:
    """Measure the share of numbers above 0; episodes without a number are left out."""
    counts = [(sum(x > 0.0 for x in one), len(one)) if one else UNKNOWN for one in lists]
    return replace(ratio(counts), exact=_exact_share)


def root_mean_square(lists: Sequence[ArrayLike]) -> Measure:
    """Measure the root mean square; episodes without a number are left out."""
    squares = [np.asarray(one, dtype=np.float64) ** 2 for one in lists]
    sums = ratio([(float(x.sum()), x.size) if x.size else UNKNOWN for x in squares])
    return Measure(sums.rows, lambda rows: np.sqrt(_quotient(rows)))


def area(scores: Sequence[float], positives: Sequence[bool], precision: bool = False) -> Measure:
    """Measure the AUROC of scores, or with ``precision`` their AUPRC."""
    rows = _table(list(zip(scores, positives, strict=True)), 2)
    if precision:
        return Measure(rows, each(lambda drawn: auprc(drawn[:, 0], drawn[:, 1] > 0.5)))
    return Measure(rows, lambda drawn: aurocs(drawn[..., 0], drawn[..., 1] > 0.5), _exact_area)


def each(figure: Callable[[Array], float]) -> Callable[[Array], Array]:
    """Vectorise a figure of rows, (M, C), to drawn rows, (..., M, C)."""

    def figures(rows: Array) -> Array:
        drawn = rows.reshape(-1, *rows.shape[-2:])
        return np.array([figure(one) for one in drawn]).reshape(rows.shape[:-2])

    return figures


def _quotient(rows: Array) -> Array:
    sums: Array = rows.sum(axis=-2)
    return sums[..., 0] / sums[..., 1]


def _exact_share(rows: Array, figure: float) -> Interval | None:
    return share_interval(int(figure) * len(rows), len(rows)) if figure in (0.0, 1.0) else None


def _exact_rate(rows: Array, figure: float) -> Interval | None:
    hours = float(rows[:, 1].sum())
    return rate_interval(0, hours) if figure == 0.0 and hours > 0.0 else None


def _exact_area(rows: Array, figure: float) -> Interval | None:
    positives = int(rows[:, 1].sum())
    perfect = figure in (0.0, 1.0)
    return area_interval(figure, positives, len(rows) - positives) if perfect else None


def _column(numbers: Sequence[float]) -> Array:
    return np.array(numbers, dtype=np.float64).reshape(-1, 1)


def _table(rows: Sequence[Sequence[float]], columns: int) -> Array:
    return np.array(rows, dtype=np.float64).reshape(-1, columns)


def known(numbers: ArrayLike) -> Array:
    """Return the numbers that are not NaN."""
    array = np.asarray(numbers, dtype=np.float64)
    return array[np.isfinite(array)]


def known_mean(numbers: ArrayLike) -> float:
    """Return the mean of the numbers that are not NaN; NaN without one."""
    found = known(numbers)
    return float(found.mean()) if found.size else math.nan

# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Metrics of values and outcomes: correlation, ranking, event response, bootstrap, progress.

Values are V, rising towards success. A clock has a perfect correlation with time: never report
this correlation alone.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from viva_ros.core.observation import Array

ROUNDING = 1e-9  # a smaller change of the displayed value is rounding


def pearson(x: ArrayLike, y: ArrayLike) -> float:
    """Return the linear correlation, in [-1, 1]; NaN if one side is constant."""
    a, b = _pair(x, y)
    return float('nan') if _constant(a) or _constant(b) else float(np.corrcoef(a, b)[0, 1])


def spearman(x: ArrayLike, y: ArrayLike) -> float:
    """
    Return the correlation of average ranks, in [-1, 1]: the value-order correlation over time.

    :returns: NaN if one side is constant or has a NaN
    """
    a, b = _pair(x, y)
    return float('nan') if _constant(a) or _constant(b) else float(stats.spearmanr(a, b).statistic)


def kendall_tau_a(x: ArrayLike, y: ArrayLike) -> float:
    """
    Return (concordant - discordant) / (n (n - 1) / 2), in [-1, 1]; a tied pair is neither.

    ``scipy.stats.kendalltau`` has the variants b and c, which divide by other numbers of pairs.
    """
    a, b = _pair(x, y)
    signs = np.sign(a[:, None] - a[None, :]) * np.sign(b[:, None] - b[None, :])
    return float(signs.sum() / (len(a) * (len(a) - 1)))


def pair_order(values: Array, progress: Array, others: Array, other_progress: Array) -> float:
    """
    Return the share of pairs of a moment of each of two episodes that the value orders rightly.

    A pair with equal values counts as half, one with equal progress not at all. Within one episode
    a clock orders all pairs; between episodes of different length it does not.

    :param values: of one episode, (N,), and of the other, (M,); NaN where unknown
    :param progress: of the same moments, (N,), and (M,)
    :returns: in [0, 1]; NaN without a known pair
    """
    known, theirs = np.isfinite(values + progress), np.isfinite(others + other_progress)
    ahead = np.sign(np.subtract.outer(progress[known], other_progress[theirs]))
    signs = ahead * np.sign(np.subtract.outer(values[known], others[theirs]))
    pairs = np.count_nonzero(ahead)
    return float((1.0 + signs.sum() / pairs) / 2.0) if pairs else float('nan')


def auroc(scores: ArrayLike, positive: ArrayLike) -> float:
    """
    Return the probability that a positive scores above a negative, ties half (Mann-Whitney U).

    :param positive: (N,) bool
    :returns: in [0, 1]; NaN if one class is empty
    """
    score, label = _labelled(scores, positive)
    return float(aurocs(score, label)) if score.size else float('nan')


def aurocs(scores: Array, positive: NDArray[np.bool_]) -> Array:
    """
    Return the AUROC of each row.

    U = R - m (m + 1) / 2 from the sum R of the ranks of m positives, as in Mann & Whitney (1947).
    ``scipy.stats.mannwhitneyu`` returns the same U, but takes one row at a time where the number
    of positives varies, and adds a p-value: seconds for an interval by resampling.

    :param scores: (..., N), N >= 1, without NaN
    :param positive: (..., N)
    :returns: (...); NaN if one class is empty
    """
    hits = positive.sum(axis=-1)
    rank_sum = np.where(positive, stats.rankdata(scores, axis=-1), 0.0).sum(axis=-1)
    with np.errstate(invalid='ignore'):  # 0 / 0 where a class is empty
        areas: Array = (rank_sum - hits * (hits + 1) / 2.0) / (hits * (scores.shape[-1] - hits))
    return areas


def auprc(scores: ArrayLike, positive: ArrayLike) -> float:
    """
    Return the average precision: precision at each score, weighted by the gain of recall.

    :param positive: (N,) bool
    :returns: in [0, 1]; NaN without a positive
    """
    score, label = _labelled(scores, positive)
    if not label.any():
        return float('nan')
    order = np.argsort(-score, kind='stable')
    score, label = score[order], label[order]
    last_of_ties = np.append(score[1:] != score[:-1], True)
    hits = np.cumsum(label)[last_of_ties]
    precision = hits / (np.flatnonzero(last_of_ties) + 1)
    return float(precision @ np.diff(hits, prepend=0) / hits[-1])


def event_response(before: ArrayLike, after: ArrayLike, direction: int) -> float:
    """
    Return the event response (ERS): the relative change of the value in the expected direction.

    direction * (after - before) / (before + 1e-6), each the mean of the displayed value
    1 - G / 2 = (1 + V) / 2, which is at least 0.

    :param before: values in the window before the event, (N,); after: in that after it, (M,)
    :param direction: 1 for a milestone, -1 for an error
    :returns: NaN if one side has no value
    """
    sides = [np.asarray(side, dtype=np.float64) for side in (before, after)]
    if not all(side.size for side in sides):
        return float('nan')
    first, then = (float(np.maximum((1.0 + side) / 2.0, 0.0).mean()) for side in sides)
    change = then - first
    return direction * change / (first + 1e-6) if abs(change) > ROUNDING else 0.0


def bootstrap_interval(
    figure: Callable[[NDArray[np.int64]], Array],
    count: int,
    *,
    seed: int,
    draws: int = 1000,
    level: float = 0.95,
) -> tuple[float, float]:
    """
    Return the percentile bootstrap interval of a figure over episodes.

    Equal to ``scipy.stats.bootstrap(method='percentile')`` of the episode numbers with the same
    generator, except in two cases of small or uneven sets: scipy refuses a single episode, and
    one draw without a figure (such as an AUROC of one class) makes its interval NaN.

    :param figure: of episode numbers, (draws, count), to the figure of each draw, (draws,); NaN
        draws are left out
    :param count: number of episodes
    :returns: low and high; NaN if no draw has a figure
    """
    generator = np.random.default_rng(seed)
    samples = figure(generator.integers(0, count, (draws, count)))
    samples = samples[np.isfinite(samples)]
    if not samples.size:
        return float('nan'), float('nan')
    tail = (1.0 - level) / 2.0
    low, high = np.quantile(samples, (tail, 1.0 - tail))
    return float(low), float(high)


def _pair(x: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
    a, b = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if a.ndim != 1 or a.shape != b.shape or len(a) < 2:
        raise ValueError(f'shapes are {a.shape} and {b.shape}, must be the same (N,), N >= 2')
    return a, b


def _constant(x: Array) -> bool:
    return float(np.ptp(x)) == 0.0  # the variance may differ from 0 by rounding


def _labelled(
    scores: ArrayLike, positive: ArrayLike | Sequence[bool]
) -> tuple[Array, NDArray[np.bool_]]:
    score, label = np.asarray(scores, dtype=np.float64), np.asarray(positive, dtype=np.bool_)
    if score.ndim != 1 or score.shape != label.shape:
        raise ValueError(f'shapes are {score.shape} and {label.shape}, must be the same (N,)')
    if np.isnan(score).any():
        raise ValueError(f'{np.isnan(score).sum()} scores are not known, leave them out')
    return score, label


STILL = 0.02  # largest change of progress in a pause
AFTER = 0.3  # s: allowed lag of the value behind the start of a pause

Span = tuple[float, float]


def hesitation(times: Array, progress: Array, start: float) -> slice:
    """
    Return the frames of a hesitation: from its start, while the true progress is constant.

    :param times: s, ascending, (N,)
    :param progress: true progress, in [0, 1], (N,); NaN if unknown
    :returns: frames from ``AFTER`` s after the start; may be empty
    """
    first = int(np.searchsorted(times, start + AFTER))
    if first >= len(times) or not np.isfinite(progress[first]):
        return slice(first, first)
    moved = ~(np.abs(progress[first:] - progress[first]) <= STILL)  # also if unknown
    length = int(np.argmax(moved)) if moved.any() else len(moved)
    return slice(first, first + length)


def drift(values: Array, frames: slice) -> Array:
    """Return the values in some frames minus their first known value; 0 is ideal in a pause."""
    known = values[frames]
    known = known[np.isfinite(known)]
    return known - known[0] if known.size else known


def responses(
    values: Array, times: Array, events: Sequence[Span], direction: int, window: float
) -> list[float]:
    """
    Return the response (ERS) of a value to each event with values on both sides.

    :param events: start and end of each, s; equal for an instant
    :param direction: 1 for milestones, -1 for errors
    :param window: duration before the start and after the end, s
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
    Return the mean value in equal bins of the true progress.

    :param progress: in [0, 1], (N,)
    :returns: (bins,); NaN in empty bins
    """
    known = np.isfinite(values) & np.isfinite(progress)
    place = np.clip((progress[known] * bins).astype(np.int64), 0, bins - 1)
    count = np.bincount(place, minlength=bins).astype(np.float64)
    total = np.bincount(place, values[known], bins)
    means: Array = np.divide(total, count, out=np.full(bins, np.nan), where=count > 0)
    return means


def crossings(times: Array, progress: Array, levels: Sequence[float]) -> list[float]:
    """Return the time of the first crossing of each level that progress reaches, s."""
    found = []
    for level in levels:
        reached = progress >= level
        if reached.any():
            found.append(float(times[int(np.argmax(reached))]))
    return found


def corrected_order(parts: Sequence[tuple[Array, Array]]) -> float:
    """
    Return the rank correlation of value and true progress over all attempts (Retry-VOC).

    :param parts: values and progress of each attempt, in order
    :returns: in [-1, 1]; NaN if fewer than two frames are known
    """
    values = np.concatenate([part[0] for part in parts])
    progress = np.concatenate([part[1] for part in parts])
    known = np.isfinite(values) & np.isfinite(progress)
    return spearman(values[known], progress[known]) if known.sum() >= 2 else float('nan')

# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Figures over several seeds of training: mean, and a 95 % interval over episodes and seeds.

A figure of a contender is the mean over its trainings, each on the episodes that it knows. The
deviation of a weighted sum of contenders is the sum of two independent terms:

* Episodes: bootstrap draws, the same for all contenders, so that differences are paired.
* Seeds: sqrt(V) t(f), with V = sum(k[c] s[c]**2), k = w**2 / n, over contenders of weight w, n
  seeds and variance s**2 between their figures, and the degrees of freedom of Welch and
  Satterthwaite, f = V**2 / sum((k[c] s[c]**2)**2 / (n[c] - 1)).

Trainings also differ in the episodes on which they err. s**2 contains this part, and so does
the bootstrap, so the draws are shrunk by its share. Equal figures of few seeds may be chance, so
s**2 is at least the first decile of its distribution by this part alone. A contender with one
seed has the pooled variances of those with several. Without any, its figure has the interval over
episodes, and a difference has none.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from viva_ros.core.observation import Array
from viva_ros.metrics.intervals import DRAWS, SEED, TAIL, UNKNOWN, Interval, Measure

KEPT: Final = 2  # smallest number of draws with a figure
DECILE: Final = 0.1
ROUNDING: Final = 1e-9  # a smaller deviation between equal figures is rounding
PRECISION: Final = 1e-3  # of the ends of an interval, in deviations between seeds


@dataclass(frozen=True)
class Trainings:
    """
    The trainings of one contender.

    :param measures: of each seed, by name
    :param has_seeds: whether another seed would change it; a clock is not trained
    """

    measures: Sequence[Mapping[str, Measure]]
    has_seeds: bool = True


@dataclass(frozen=True)
class Resampled:
    """
    One figure of one contender.

    :param measures: of each seed
    :param figures: of each seed, (S,); NaN if unknown
    :param drawn: of each draw of episodes, mean over seeds, (DRAWS,); NaN if unknown
    :param own: variance of a drawn figure that is not common to the seeds; 0 for one seed
    :param known: whether a seed knows the episode, (N,)
    :param variance: between the figures of its seeds; 0 with one seed
    :param freedom: degrees of freedom of the variance; 0 with one seed
    :param sources: contenders whose variances it has, and their shares; empty if it is unknown,
        None if it has no seeds
    """

    measures: Sequence[Measure]
    figures: Array
    drawn: Array
    own: float
    known: NDArray[np.bool_]
    variance: float
    freedom: int
    sources: Mapping[str, float] | None


class Pool:
    """
    Contenders on the same test episodes.

    :param contenders: by name, at least one, each with at least one training
    :raises ValueError: if the episodes of two trainings differ in number
    """

    def __init__(self, contenders: Mapping[str, Trainings]) -> None:
        everything = [one for trainings in contenders.values() for one in trainings.measures]
        names = [name for name in everything[0] if all(name in one for one in everything)]
        self._found = {name: _resample(name, contenders) for name in names}

    def figures(self, contender: str) -> dict[str, dict[str, Any]]:
        """Return each figure of a contender: as ``contrast``, with 'seeds', its values."""
        found: dict[str, dict[str, Any]] = self.contrast([contender])
        for name, row in found.items():
            row['seeds'] = self._found[name][contender].figures.tolist()
        return found

    def contrast(
        self, plus: Sequence[str], minus: Sequence[str] = ()
    ) -> dict[str, dict[str, float]]:
        """
        Return the mean of each figure over contenders, less that over others.

        :param plus: at least one contender
        :param minus: empty: nothing is subtracted
        :returns: value, low and high of the 95 % interval, number of episodes, by name; NaN if a
            training knows no episode
        """
        weights: dict[str, float] = {}
        for sign, group in ((1.0, plus), (-1.0, minus)):
            for name in group:
                weights[name] = weights.get(name, 0.0) + sign / len(group)
        return {name: _combine(weights, found) for name, found in self._found.items()}


def _resample(name: str, contenders: Mapping[str, Trainings]) -> dict[str, Resampled]:
    """Return a figure of all contenders on common draws of the episodes that any of them knows."""
    measures = {key: [one[name] for one in them.measures] for key, them in contenders.items()}
    everything = [one for some in measures.values() for one in some]
    lengths = {len(one.rows) for one in everything}
    if len(lengths) > 1:
        raise ValueError(f'{name} has {sorted(lengths)} episodes, must be the same number for all')
    places = np.flatnonzero(np.any([_known(one) for one in everything], axis=0))
    draws = np.zeros((DRAWS, 0), dtype=np.int64)
    if len(places):
        draws = np.random.default_rng(SEED).integers(0, len(places), (DRAWS, len(places)))
    figures = {key: np.array(list(map(_figure, some))) for key, some in measures.items()}
    found = {}
    for key, some in measures.items():
        known = np.any([_known(one)[places] for one in some], axis=0)
        drawn = np.array([_drawn(one, places, draws) for one in some])
        own, freedom = _own_variance(drawn), len(some) - 1
        variance = max(float(figures[key].var(ddof=1)), _least(own, freedom)) if freedom else 0.0
        sources = _sources(contenders, figures, key)
        found[key] = Resampled(
            some, figures[key], drawn.mean(axis=0), own, known, variance, freedom, sources
        )
    return found


def _sources(
    contenders: Mapping[str, Trainings], figures: Mapping[str, Array], key: str
) -> dict[str, float] | None:
    """Return the contenders whose variances between seeds a contender has, see ``Resampled``."""
    if not contenders[key].has_seeds:
        return None
    if len(figures[key]) > 1:
        return {key: 1.0}
    freedom = {
        other: len(some) - 1 for other, some in figures.items()
        if len(some) > 1 and np.isfinite(some).all()
    }  # fmt: skip
    return {other: one / sum(freedom.values()) for other, one in freedom.items()}


def _least(own: float, freedom: int) -> float:
    """Return the first decile of the variance between seeds that differ by ``own`` alone."""
    return own * float(special.chdtri(freedom, 1.0 - DECILE)) / freedom


def _known(one: Measure) -> NDArray[np.bool_]:
    known: NDArray[np.bool_] = np.isfinite(one.rows).all(axis=1)
    return known


def _figure(one: Measure) -> float:
    rows = one.rows[_known(one)]
    return float(one.figure(rows)) if len(rows) else math.nan


def _drawn(one: Measure, places: NDArray[np.int64], draws: NDArray[np.int64]) -> Array:
    """Return the figure of the known episodes of each draw, (DRAWS,); NaN without any."""
    rows, known = one.rows[places], _known(one)[places]
    if known.all() and len(places):
        return np.asarray(one.figure(rows[draws]), dtype=np.float64)
    is_known = known[draws]
    counts, found = is_known.sum(axis=1), np.full(len(draws), np.nan)
    first = np.take_along_axis(draws, np.argsort(~is_known, axis=1, kind='stable'), axis=1)
    for count in np.unique(counts[counts > 0]):  # a figure takes draws of one length
        some = counts == count
        found[some] = one.figure(rows[first[some, :count]])
    return found


def _own_variance(drawn: Array) -> float:
    """
    Return the variance over draws of a seed's figure that is not common to all seeds.

    :param drawn: (S, DRAWS)
    """
    finite = drawn[:, np.isfinite(drawn).all(axis=0)]
    if len(drawn) < 2 or finite.shape[1] < KEPT:
        return 0.0
    deviations = finite - finite.mean(axis=1, keepdims=True)
    deviations -= deviations.mean(axis=0)
    return float((deviations**2).mean(axis=1).sum()) / (len(drawn) - 1)


def _combine(weights: Mapping[str, float], found: Mapping[str, Resampled]) -> dict[str, float]:
    value = sum(weight * float(found[key].figures.mean()) for key, weight in weights.items())
    low, high = _interval(weights, found, value) if math.isfinite(value) else UNKNOWN
    episodes = int(np.any([found[key].known for key in weights], axis=0).sum())
    return {'value': value, 'low': low, 'high': high, 'episodes': episodes}


def _interval(
    weights: Mapping[str, float], found: Mapping[str, Resampled], value: float
) -> Interval:
    used = [(weight, found[key]) for key, weight in weights.items() if weight]
    if len(used) > 1 and any(one.sources == {} for _, one in used):
        return UNKNOWN
    shares: dict[str, float] = {}
    for weight, one in used:
        for key, share in (one.sources or {}).items():
            shares[key] = shares.get(key, 0.0) + weight**2 * share / len(one.figures)
    draws = sum((weight * one.drawn for weight, one in used), start=np.zeros(DRAWS))
    draws = draws[np.isfinite(draws)]
    if len(draws) < KEPT:
        return UNKNOWN
    draws = _shrunk(draws, sum(share * found[key].own for key, share in shares.items()))
    terms = [(share * found[key].variance, found[key].freedom) for key, share in shares.items()]
    scale = math.sqrt(sum(term for term, _ in terms))
    if scale > ROUNDING:
        freedom = scale**4 / sum(term**2 / freedom for term, freedom in terms if term)
        return _quantile(draws, scale, freedom, TAIL), _quantile(draws, scale, freedom, 1.0 - TAIL)
    if np.ptp(draws) > ROUNDING:
        low, high = np.quantile(draws, (TAIL, 1.0 - TAIL))
        return float(low), float(high)
    return _exact(used[0][1].measures[0], value) if len(used) == 1 else UNKNOWN


def _shrunk(draws: Array, own: float) -> Array:
    """Return draws with the same mean, whose variance is less by ``own``, at least 0."""
    middle, variance = draws.mean(), draws.var()
    share = max(0.0, 1.0 - own / variance) if variance > 0.0 else 0.0
    shrunk: Array = middle + math.sqrt(share) * (draws - middle)
    return shrunk


def _quantile(draws: Array, scale: float, freedom: float, at: float) -> float:
    """Return a quantile of draws plus an independent scale * t(freedom)."""
    end = scale * float(special.stdtrit(freedom, at))

    def excess(x: float) -> float:
        return float(special.stdtr(freedom, (x - draws) / scale).mean()) - at

    ends = draws.min() + end - scale, draws.max() + end + scale
    return float(optimize.brentq(excess, *ends, xtol=PRECISION * scale))


def _exact(one: Measure, value: float) -> Interval:
    return (one.exact and one.exact(one.rows[_known(one)], value)) or UNKNOWN

# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Figures over several seeds of training: mean, and an interval over episodes and seeds.

Each draw resamples the test episodes, the same for all contenders, and the seeds of each
contender. Only episodes with a figure in all trainings involved are used, so that all draws are
of the same episodes.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from viva_ros.core.observation import Array
from viva_ros.metrics.intervals import DRAWS, SEED, TAIL, Measure

#: Measures of one contender, by name, for each of its seeds.
Trainings = Sequence[Mapping[str, Measure]]

KEPT: Final = 2  # smallest number of draws with a figure


def pooled(one: Trainings) -> dict[str, dict[str, Any]]:
    """Return each figure of a contender: the mean over its seeds, with 'seeds', its values."""
    found = contrast([one])
    for name, row in found.items():
        row['seeds'] = [float(_figure(training[name])) for training in one]
    return found


def contrast(
    plus: Sequence[Trainings], minus: Sequence[Trainings] = ()
) -> dict[str, dict[str, float]]:
    """
    Return the mean of each figure over contenders, less that over others.

    :param plus: at least one contender
    :param minus: empty: nothing is subtracted
    :returns: value, low and high of the 95 % interval, number of episodes, by name
    """
    everything = [*plus, *minus]
    names = [
        name for name in everything[0][0]
        if all(name in training for one in everything for training in one)
    ]  # fmt: skip
    return {name: _contrast(name, plus, minus) for name in names}


def _contrast(
    name: str, plus: Sequence[Trainings], minus: Sequence[Trainings]
) -> dict[str, float]:
    tables = [training[name] for one in (*plus, *minus) for training in one]
    known = np.all([np.isfinite(table.rows).all(axis=1) for table in tables], axis=0)
    count = int(known.sum())
    value = low = high = math.nan
    if count:
        generator = np.random.default_rng(SEED)
        drawn = generator.integers(0, count, (DRAWS, count))
        ends, value = np.zeros(DRAWS), 0.0
        for sign, group in ((1.0, plus), (-1.0, minus)):
            for one in group:
                measures = [_of(training[name], known) for training in one]
                share = sign / len(group)
                value += share * float(np.mean([_figure(measure) for measure in measures]))
                ends += share * _drawn(measures, drawn, generator)
        ends = ends[np.isfinite(ends)]
        if len(ends) >= KEPT and ends.min() < ends.max():
            low, high = map(float, np.quantile(ends, (TAIL, 1.0 - TAIL)))
    return {'value': value, 'low': low, 'high': high, 'episodes': count}


def _of(one: Measure, known: Array) -> Measure:
    return Measure(one.rows[known], one.figure)


def _figure(one: Measure) -> float:
    rows = one.rows[np.isfinite(one.rows).all(axis=1)]
    return float(one.figure(rows)) if len(rows) else math.nan


def _drawn(measures: Sequence[Measure], drawn: Any, generator: np.random.Generator) -> Array:
    """Return the mean over drawn seeds for each draw of episodes, (DRAWS,)."""
    figures = np.array([one.figure(one.rows[drawn]) for one in measures])  # (seeds, DRAWS)
    seeds = generator.integers(0, len(measures), (len(measures), len(drawn)))
    mean: Array = figures[seeds, np.arange(len(drawn))].mean(axis=0)
    return mean

# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reference of successful episodes; the thresholds are calibrated on other episodes."""

import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import numpy as np

from viva_ros.core.observation import Array
from viva_ros.core.settings import SettingLimits

LEAST: Final = 0.01  # rad or m; smallest scale of the forecast residual of a joint
DONE_ABOVE: Final = 0.9  # done level where none was learnt
SLOPE: Final = SettingLimits(at_least=0.0, at_most=100.0)  # 1/s; a value has a range of 2
RESIDUAL: Final = SettingLimits(at_least=0.0, at_most=1000.0)  # rad or m
SPREAD: Final = SettingLimits(above=0.0, at_most=1e6)  # in the unit of a rule


@dataclass(frozen=True)
class StatisticScale:
    """
    Location and scale of a statistic in successful episodes, by predicted progress.

    :param edges: between the parts of progress, in (0, 1), ascending, E >= 0
    :param middle: of the largest statistic of an episode in each part, E + 1
    :param spread: of the same, above 0, E + 1
    :raises ValueError: if the lengths do not fit, the edges do not ascend in (0, 1), a middle is
        not finite, or a spread is out of its range
    """

    edges: tuple[float, ...]
    middle: tuple[float, ...]
    spread: tuple[float, ...]

    def __post_init__(self) -> None:
        if not len(self.middle) == len(self.spread) == len(self.edges) + 1:
            raise ValueError(f'{len(self.edges)} edges need {len(self.edges) + 1} parts')
        bounds = (0.0, *self.edges, 1.0)
        if not all(low < high for low, high in pairwise(bounds)):
            raise ValueError(f'edges are {self.edges}, must ascend, above 0 and below 1')
        if not all(map(math.isfinite, self.middle)):
            raise ValueError(f'middle is {self.middle}, must be finite')
        if not all(SPREAD.admits(one) for one in self.spread):
            raise ValueError(f'spread is {self.spread}, must be {SPREAD}')

    def measure(self, statistic: float, progress: float) -> float:
        """Return by how many spreads a statistic is above the middle at a progress, in [0, 1]."""
        part = bisect_right(self.edges, progress)
        return (statistic - self.middle[part]) / self.spread[part]

    def largest(self, statistic: float) -> float:
        """Return by how many spreads a statistic is above the middle at most, at any progress."""
        return max(self._excesses(statistic))

    def smallest(self, statistic: float) -> float:
        """Return by how many spreads a statistic is above the middle at least, at any progress."""
        return min(self._excesses(statistic))

    def _excesses(self, statistic: float) -> list[float]:
        parts = zip(self.middle, self.spread, strict=True)
        return [(statistic - middle) / spread for middle, spread in parts]


@dataclass(frozen=True)
class Reference:
    """
    Reference of the rules.

    :param slope: minimum expected rise of the value, 1/s
    :param joints: usual forecast residual by joint, rad or m; other joints are not judged
    :param norms: by rule: its statistic and threshold are in spreads above the middle
    :param done_above: done level: a smoothed value above this need not rise, in [-1, 1]
    :raises ValueError: if a number is out of its range
    """

    slope: float = 0.05
    joints: Mapping[str, float] = field(default_factory=dict)
    norms: Mapping[str, StatisticScale] = field(default_factory=dict)
    done_above: float = DONE_ABOVE

    def __post_init__(self) -> None:
        if not -1.0 <= self.done_above <= 1.0:
            raise ValueError(f'done_above is {self.done_above}, must be at least -1 and at most 1')
        if not SLOPE.admits(self.slope):
            raise ValueError(f'slope is {self.slope}, must be {SLOPE}')
        for name, size in self.joints.items():
            if not RESIDUAL.admits(size):
                raise ValueError(f'residual of joint {name!r} is {size}, must be {RESIDUAL}')

    def scales(self, names: tuple[str, ...]) -> Array:
        """Return the usual residual of each joint, (J,); NaN for a joint that is not judged."""
        found = [self.joints.get(name, math.nan) for name in names]
        return np.array([x if math.isnan(x) else max(x, LEAST) for x in found], dtype=np.float64)

# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What successes are like: learnt from some of them, of which no threshold is then made."""

import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from viva_ros.core.observation import Array

LEAST: Final = 0.01  # rad or m; no joint is held to be foreseen better than this


@dataclass(frozen=True)
class StatisticScale:
    """
    How large a statistic usually grows in an episode, by predicted progress.

    :param edges: between the parts, in (0, 1), ascending, E >= 0
    :param middle: of the largest statistic in each part, E + 1
    :param spread: above 0, E + 1
    :raises ValueError: if the lengths do not fit or a spread is not above 0
    """

    edges: tuple[float, ...]
    middle: tuple[float, ...]
    spread: tuple[float, ...]

    def __post_init__(self) -> None:
        if not len(self.middle) == len(self.spread) == len(self.edges) + 1:
            raise ValueError(f'{len(self.edges)} edges need {len(self.edges) + 1} parts')
        if not all(one > 0.0 for one in self.spread):
            raise ValueError(f'spread is {self.spread}, must be above 0')

    def measure(self, statistic: float, progress: float) -> float:
        """Return by how many spreads a statistic is above the middle at a progress, in [0, 1]."""
        part = bisect_right(self.edges, progress)
        return (statistic - self.middle[part]) / self.spread[part]


@dataclass(frozen=True)
class Reference:
    """
    What the rules compare with.

    :param slope: rise of the value that is expected at least, per s
    :param joints: usual size of the forecast residual by joint, rad or m; a joint without one is
        not judged
    :param norms: by rule; a rule with one is measured by it, and its threshold is one of that
    """

    slope: float = 0.05
    joints: Mapping[str, float] = field(default_factory=dict)
    norms: Mapping[str, StatisticScale] = field(default_factory=dict)

    def scales(self, names: tuple[str, ...]) -> Array:
        """Return the usual residuals, (J,); NaN for a joint that is not judged."""
        found = [self.joints.get(name, math.nan) for name in names]
        return np.array([x if math.isnan(x) else max(x, LEAST) for x in found], dtype=np.float64)

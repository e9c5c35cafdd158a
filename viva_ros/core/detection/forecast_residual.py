# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The foresight residual: what was foreseen for now against what is.

Where imagination and execution agree, execution succeeds (VideoVLA). The model foretells the
joints one horizon ahead; one horizon later the robot tells where they are. An arm that has
stopped, or does not do what such a scene leads to, shows here whatever the value says.
"""

import math
from collections import deque
from dataclasses import dataclass

import numpy as np

from viva_ros.core.observation import Array
from viva_ros.core.windows import seconds


@dataclass(frozen=True)
class Proprioception:
    """
    The joints that go with one value, as the Value message carries them.

    :param names: in the order of the arrays
    :param positions: (J,), rad or m
    :param forecast: (J,), expected at stamp + horizon; None where there is none
    :param horizon: s, above 0
    """

    names: tuple[str, ...]
    positions: Array
    forecast: Array | None
    horizon: float


class ForecastResidual:
    """Keeps forecasts until their time has come."""

    def __init__(self, gap: float) -> None:
        """Keep forecasts; two further apart than ``gap`` s tell nothing of the time between."""
        self._gap = gap
        self._names: tuple[str, ...] = ()
        self._due: deque[tuple[int, Array]] = deque()

    def reset(self) -> None:
        """Forget all forecasts."""
        self._due.clear()

    def update(self, stamp: int, joints: Proprioception | None) -> Array | None:
        """
        Compare what was foreseen for now with what is, and keep what is foreseen now.

        :param stamp: ns, later than the last
        :returns: (J,), absolute difference by joint, rad or m; None where nothing was foreseen
        """
        if joints is None or joints.names != self._names:
            self.reset()
            self._names = () if joints is None else joints.names
        if joints is None:
            return None
        foreseen = self._foreseen(stamp)
        if joints.forecast is not None and 0.0 < joints.horizon < math.inf:
            at = stamp + round(float(np.float32(joints.horizon)) * 1e9)
            if not self._due or at > self._due[-1][0]:
                self._due.append((at, joints.forecast))
        return None if foreseen is None else np.abs(joints.positions - foreseen)

    def _foreseen(self, stamp: int) -> Array | None:
        """Give the forecast for a stamp, between those for just before and after it."""
        while len(self._due) > 1 and self._due[1][0] <= stamp:
            self._due.popleft()
        if not self._due or self._due[0][0] > stamp:
            return None
        before, first = self._due[0]
        if stamp == before or len(self._due) < 2:
            return first if seconds(stamp, before) <= self._gap else None
        after, second = self._due[1]
        if seconds(after, before) > self._gap:
            return None
        return first + (second - first) * ((stamp - before) / (after - before))


def one_number(residual: Array, scales: Array) -> float:
    """
    Give the root mean square over joints of residuals in terms of their usual size.

    :param residual: (J,), rad or m
    :param scales: (J,), likewise; NaN leaves a joint out
    :returns: about 1 when all is as usual; NaN without a joint
    """
    ratio = residual / scales
    total = float(ratio @ ratio)
    if ratio.size and math.isfinite(total):
        return math.sqrt(total / ratio.size)
    judged = ratio[np.isfinite(ratio)]
    return math.sqrt(float(judged @ judged) / judged.size) if judged.size else math.nan

# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The rule ``forecast_residual``: joints predicted one horizon ago minus measured joints.

If prediction and execution agree, execution succeeds (VideoVLA). The model predicts the joint
positions one horizon ahead; one horizon later the robot measures them. An arm that has stopped, or
moves in another way than the scene predicts, has a large residual at any value. The statistic is
the mean of the residual over ``forecast_residual_window`` s, scaled to 1 for successful episodes.
"""

import math
from collections import deque
from typing import Final

import numpy as np

from viva_ros.core.detection.reference import Reference
from viva_ros.core.detection.rules import Proprioception, Rule, RuleSettings, Sample
from viva_ros.core.observation import Array
from viva_ros.core.windows import Window, seconds


class ForecastResidual:
    """Compares each forecast with the joint positions one horizon later."""

    def __init__(self, gap: float) -> None:
        """:param gap: largest time between two forecasts to interpolate, s."""
        self._gap = gap
        self._names: tuple[str, ...] = ()
        self._due: deque[tuple[int, Array]] = deque()

    def reset(self) -> None:
        """Forget all forecasts."""
        self._due.clear()

    def update(self, stamp: int, joints: Proprioception | None) -> Array | None:
        """
        Compare the joints with the forecast for this stamp, and store their forecast.

        :param stamp: ns, later than the last
        :returns: (J,), absolute difference by joint, rad or m; None without a forecast
        """
        if joints is None or joints.names != self._names:
            self.reset()
            self._names = () if joints is None else joints.names
        if joints is None:
            return None
        forecast = self._forecast_at(stamp)
        if joints.forecast is not None and 0.0 < joints.horizon < math.inf:
            at = stamp + round(float(np.float32(joints.horizon)) * 1e9)
            if not self._due or at > self._due[-1][0]:
                self._due.append((at, joints.forecast))
        return None if forecast is None else np.abs(joints.positions - forecast)

    def _forecast_at(self, stamp: int) -> Array | None:
        """Return the forecast for a stamp, interpolated between its neighbours."""
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


def scaled_rms(residual: Array, scales: Array) -> float:
    """
    Return the root mean square over joints of residuals divided by their scales.

    :param residual: (J,), rad or m
    :param scales: usual residual of each joint, (J,), rad or m; NaN leaves a joint out
    :returns: about 1 in successful episodes; NaN without a joint
    """
    ratio = residual / scales
    total = float(ratio @ ratio)
    if ratio.size and math.isfinite(total):
        return math.sqrt(total / ratio.size)
    known = ratio[np.isfinite(ratio)]
    return math.sqrt(float(known @ known) / known.size) if known.size else math.nan


class ForecastResidualRule:
    """The state of the rule; ``farthest`` returns the joint with the largest residual."""

    def __init__(self, settings: RuleSettings, expected: Reference) -> None:
        self._expected = expected
        self._residual = ForecastResidual(settings.max_gap)
        self._mean = Window(settings.forecast_residual_window)
        self._names: tuple[str, ...] = ()
        self._last: Array | None = None  # by joint, at the last stamp

    def reset(self) -> None:
        """Empty all windows."""
        self._residual.reset()
        self._mean.reset()
        self._last = None

    def update(self, sample: Sample) -> float:
        """Add a sample and return the mean residual; NaN without a forecast for its stamp."""
        joints = sample.details.joints
        residual = self._last = self._residual.update(sample.stamp, joints)
        if residual is None or joints is None:
            self._mean.reset()
            return math.nan
        if joints.names != self._names:
            self._names, self._scales = joints.names, self._expected.scales(joints.names)
        now = scaled_rms(residual, self._scales)
        if math.isnan(now):
            return math.nan
        self._mean.add(sample.stamp, now)
        return self._mean.mean()

    def farthest(self) -> tuple[str, float] | None:
        """Return the joint with the largest scaled residual, and the residual, rad or m."""
        if self._last is None or not np.isfinite(ratio := self._last / self._scales).any():
            return None
        return self._names[worst := int(np.nanargmax(ratio))], float(self._last[worst])

    def explain(self, statistic: float, threshold: float) -> str:
        """Return the text of an alert."""
        farthest = self.farthest()
        most = f'; largest: {farthest[0]}, {farthest[1]:.3f}' if farthest else ''
        return (
            f'joints differ from their forecast {statistic:.1f} times as much as in successes, '
            f'threshold {threshold:.1f}{most}'
        )


#: A residual of one turn of a joint is 628 times the smallest scale.
FORECAST_RESIDUAL: Final = Rule(ForecastResidualRule, unit=5.0, of_value=False, span=(0.0, 1000.0))

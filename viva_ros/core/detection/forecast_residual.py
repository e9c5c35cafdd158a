# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The rule ``forecast_residual``: joints predicted one horizon ago minus measured joints.

Where imagination and execution agree, execution succeeds (VideoVLA). The model predicts the
joints one horizon ahead; one horizon later the robot measures them. An arm that has stopped, or
does not do what such a scene leads to, shows here whatever the value is. The statistic is the mean
of the residual over ``forecast_residual_window`` s, 1 where it is as large as in successes.
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
        """Return the forecast for a stamp, between those for just before and after it."""
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
    Return the root mean square over joints of residuals in terms of their usual size.

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


class ForecastResidualRule:
    """The rule's state; ``farthest`` names the joint that an alert is mostly about."""

    def __init__(self, settings: RuleSettings, expected: Reference) -> None:
        self._expected = expected
        self._residual = ForecastResidual(settings.gap)
        self._mean = Window(settings.forecast_residual_window)
        self._names: tuple[str, ...] = ()
        self._apart: Array | None = None  # by joint, at the last stamp

    def reset(self) -> None:
        """Start again: every window is empty."""
        self._residual.reset()
        self._mean.reset()
        self._apart = None

    def update(self, sample: Sample) -> float:
        """Add a sample and return the mean residual; NaN without a forecast for its stamp."""
        joints = sample.details.joints
        residual = self._apart = self._residual.update(sample.stamp, joints)
        if residual is None or joints is None:
            self._mean.reset()
            return math.nan
        if joints.names != self._names:
            self._names, self._scales = joints.names, self._expected.scales(joints.names)
        now = one_number(residual, self._scales)
        if math.isnan(now):
            return math.nan
        self._mean.add(sample.stamp, now)
        return self._mean.mean()

    def farthest(self) -> tuple[str, float] | None:
        """Return the joint farthest from its prediction in terms of its scale, and how far."""
        if self._apart is None or not np.isfinite(ratio := self._apart / self._scales).any():
            return None
        return self._names[worst := int(np.nanargmax(ratio))], float(self._apart[worst])

    def explain(self, statistic: float, threshold: float) -> str:
        """Return the text of an alert."""
        farthest = self.farthest()
        most = f'; largest: {farthest[0]}, {farthest[1]:.3f}' if farthest else ''
        return (
            f'joints differ from their forecast {statistic:.1f} times as much as in successes, '
            f'threshold {threshold:.1f}{most}'
        )


FORECAST_RESIDUAL: Final = Rule(ForecastResidualRule, unit=5.0, of_value=False)

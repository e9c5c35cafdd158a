# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The level of one rule, with hysteresis; and when the value has recovered from an alarm."""

import math
from typing import Final

from viva_ros.core.detection.rules import Reading
from viva_ros.core.detection.thresholds import Threshold
from viva_ros.core.events import FORESIGHT, STALL, Level

#: What is as much for a rule as 1 is for a value: margins and excesses are measured in it.
UNITS: Final = {STALL: 10.0, FORESIGHT: 5.0}


class Latch:
    """The level of one rule, with hysteresis."""

    def __init__(self, threshold: Threshold, margin: float, unit: float = 1.0) -> None:
        """Hold a level until it is ``margin`` units below its threshold."""
        self.threshold, self.unit = threshold, unit
        self._warn, self._limit = threshold.warn, threshold.alarm
        self.level = Level.OK
        self._margin = margin * unit
        self._since: dict[Level, int] = {}

    def reset(self, level: Level) -> None:
        """Set the level, and forget when crossings began."""
        self.level = level
        self._since.clear()

    def update(self, stamp: int, reading: Reading) -> None:
        """Raise to WARN or come down; ALARM is set from outside, since it depends on all rules."""
        statistic, held = reading
        crossed = statistic > self._warn or held > self._warn
        if not crossed and not self._since and self.level is Level.OK:
            return  # as nearly always
        for level, limit in ((Level.WARN, self._warn), (Level.ALARM, self._limit)):
            if statistic > limit:
                self._since.setdefault(level, stamp)
            else:
                self._since.pop(level, None)
        entered = Level.WARN if held > self._warn else Level.OK
        self.level = max(entered, min(self.level, self._supported(statistic)))

    def crossed(self, reading: Reading) -> bool:
        """Say whether an alarm's threshold is crossed for the debounce time."""
        return reading.held > self._limit

    def excess(self, reading: Reading) -> float:
        """Give by how many units an alarm's threshold is crossed; NaN without a statistic."""
        return (reading.held - self._limit) / self.unit

    def onset(self, level: Level) -> int | None:
        """Give the stamp at which the present crossing began; None without one."""
        return self._since.get(level)

    def _supported(self, statistic: float) -> Level:
        """Give the highest level that may stay; a statistic that is not there changes nothing."""
        if not statistic < self._limit - self._margin:
            return Level.ALARM
        return Level.OK if statistic < self._warn - self._margin else Level.WARN


class Recovery:
    """
    Tells when the value has risen visibly after an alarm.

    That is by ``rise`` over its lowest since the alarm, or by half of the way left to 1 if less.
    """

    def __init__(self, rise: float) -> None:
        self._rise = rise
        self._lowest = math.inf

    def reset(self) -> None:
        """Begin at an alarm."""
        self._lowest = math.inf

    def update(self, smoothed: float) -> bool:
        """Add a smoothed value; say whether the rise is there."""
        self._lowest = min(self._lowest, smoothed)
        needed = min(self._rise, 0.5 * (1.0 - self._lowest))
        return smoothed - self._lowest >= needed

# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
From statistics to levels: hysteresis, and when an alarm is over.

Entering a level takes a statistic that is above its threshold for the whole debounce time; leaving
it takes one that is below threshold - margin. An ALARM holds every rule at ALARM: after the
cool-down the windows fill anew, and each rule must show that it is well, unless the value has
visibly risen before.
"""

import math
from dataclasses import dataclass

from viva_ros.core.events import Level
from viva_ros.core.rules import Reading
from viva_ros.core.settings import setting
from viva_ros.core.thresholds import Threshold


@dataclass(frozen=True)
class AlarmSettings:
    """When levels change."""

    cool_down: float = setting(6.0, 'Time after an alarm without another, s.', above=0.0)
    margin: float = setting(0.05, 'Below its threshold by this, a level ends.', at_least=0.0)
    unknown_after: float = setting(1.0, 'Unknown for this long becomes a level, s.', at_least=0.0)
    time_jump: float = setting(
        1.0, 'A stamp older than the newest by more than this begins an episode, s.', above=0.0
    )
    recovery_rise: float = setting(
        0.3, 'Rise over the lowest value since an alarm that ends it.', above=0.0, at_most=2.0
    )


class Latch:
    """The level of one rule, with hysteresis."""

    def __init__(self, threshold: Threshold, margin: float) -> None:
        self.threshold = threshold
        self.level = Level.OK
        self._margin = margin
        self._since: dict[Level, int] = {}

    def reset(self, level: Level) -> None:
        """Set the level, and forget when crossings began."""
        self.level = level
        self._since.clear()

    def update(self, stamp: int, reading: Reading) -> None:
        """Raise to WARN or come down; ALARM is set from outside, since it depends on all rules."""
        for level, limit in ((Level.WARN, self.threshold.warn), (Level.ALARM, self.threshold.alarm)):
            if reading.statistic > limit:
                self._since.setdefault(level, stamp)
            else:
                self._since.pop(level, None)
        entered = Level.WARN if reading.held > self.threshold.warn else Level.OK
        self.level = max(entered, min(self.level, self._supported(reading.statistic)))

    def onset(self, level: Level) -> int | None:
        """Give the stamp at which the present crossing began; None without one."""
        return self._since.get(level)

    def _supported(self, statistic: float) -> Level:
        """Give the highest level that may stay; a statistic that is not there changes nothing."""
        if not statistic < self.threshold.alarm - self._margin:
            return Level.ALARM
        return Level.OK if statistic < self.threshold.warn - self._margin else Level.WARN


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
        return needed > 0.0 and smoothed - self._lowest >= needed

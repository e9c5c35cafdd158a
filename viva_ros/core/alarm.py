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
from collections.abc import Mapping
from dataclasses import dataclass

from viva_ros.core.events import Level
from viva_ros.core.rules import Reading
from viva_ros.core.settings import setting
from viva_ros.core.thresholds import Threshold


@dataclass(frozen=True)
class AlarmSettings:
    """When levels change."""

    cool_down: float = setting(8.0, 'Time after an alarm without another, s.', above=0.0)
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
        for level, limit in (
            (Level.WARN, self.threshold.warn),
            (Level.ALARM, self.threshold.alarm),
        ):
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
        return smoothed - self._lowest >= needed


@dataclass(frozen=True)
class Change:
    """
    A change of condition.

    :param kind: the rule that led to it, or 'recovered'
    :param onset: stamp at which the crossing began, ns; None without one
    :param statistic: held, NaN without one
    """

    level: Level
    kind: str
    text: str = ''
    onset: int | None = None
    statistic: float = math.nan
    threshold: float = math.nan


class Alarm:
    """The condition OK, WARN or ALARM of all rules together."""

    def __init__(self, settings: AlarmSettings, thresholds: Mapping[str, Threshold]) -> None:
        self._cool_down = round(settings.cool_down * 1e9)
        self._latches = {kind: Latch(t, settings.margin) for kind, t in thresholds.items()}
        self._recovery = Recovery(settings.recovery_rise)
        self._cool_until: int | None = None
        self.reset()

    def reset(self, forget_cool_down: bool = False) -> None:
        """Begin an episode; a cool-down lasts unless stamps no longer compare."""
        if forget_cool_down:
            self._cool_until = None
        self._resting = False
        self._settle(Level.OK)

    def cooling(self, stamp: int) -> bool:
        """Say whether nothing may alarm at a stamp."""
        return self._cool_until is not None and stamp < self._cool_until

    def holding(self, stamp: int) -> bool:
        """Say whether the rules rest: after an alarm, until its cool-down or episode is over."""
        self._resting = self._resting and self.cooling(stamp)
        return self._resting

    def update(self, stamp: int, smoothed: float, readings: Mapping[str, Reading]) -> list[Change]:
        """
        Add what the rules say of one value; on an ALARM their windows must restart.

        :param readings: by rule; empty while holding
        """
        changes = self._recover(smoothed)
        if not readings or not self._latches:
            return changes
        for kind, latch in self._latches.items():
            latch.update(stamp, readings[kind])
        excess = {k: readings[k].held - x.threshold.alarm for k, x in self._latches.items()}
        crossing = [kind for kind in excess if excess[kind] > 0.0]
        if crossing and not self.cooling(stamp):
            worst = max(crossing, key=excess.__getitem__)
            return [*changes, self._alarm(stamp, worst, readings[worst].held)]
        return changes + self._follow(readings)

    def _settle(self, condition: Level) -> None:
        self.condition = condition
        for latch in self._latches.values():
            latch.reset(condition)

    def _recover(self, smoothed: float) -> list[Change]:
        if self.condition < Level.ALARM or not self._recovery.update(smoothed):
            return []
        self._settle(Level.OK)
        return [Change(Level.OK, 'recovered', f'value rises again: {smoothed:.2f}')]

    def _alarm(self, stamp: int, kind: str, held: float) -> Change:
        latch = self._latches[kind]
        onset, limit = latch.onset(Level.ALARM), latch.threshold.alarm
        self._settle(Level.ALARM)
        self._recovery.reset()
        self._cool_until = stamp + self._cool_down
        self._resting = True
        return Change(Level.ALARM, kind, '', onset, held, limit)

    def _follow(self, readings: Mapping[str, Reading]) -> list[Change]:
        """Report WARN, and what has come down."""
        before = self.condition
        kind = max(self._latches, key=lambda k: self._latches[k].level)
        latch = self._latches[kind]
        self.condition = latch.level
        if self.condition > before:
            held, limit = readings[kind].held, latch.threshold.warn
            return [Change(self.condition, kind, '', latch.onset(Level.WARN), held, limit)]
        if self.condition == before:
            return []
        text = f'every rule is below its {before.name} threshold again'
        return [Change(self.condition, 'recovered', text)]

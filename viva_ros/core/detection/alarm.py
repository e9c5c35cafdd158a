# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
From statistics to levels: hysteresis of each rule, and the state of the alarm.

Entering a level takes a statistic that is above its threshold for the debounce time; leaving it
takes one that is below threshold - margin, and a level lasts for the dwell time at least. An
ALARM holds every rule at ALARM: after the cool-down the windows fill anew, and each rule must show
that it is well, unless the value has visibly risen before. With ``latch`` an alarm that is over
stays LATCHED until somebody acknowledges it; it may alarm again meanwhile.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from viva_ros.core.detection.rules import RULES, RuleReading, RuleSettings
from viva_ros.core.detection.thresholds import AND, OR, Threshold
from viva_ros.core.events import Level
from viva_ros.core.settings import setting


class Hysteresis:
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

    def update(self, stamp: int, reading: RuleReading) -> None:
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

    def crossed(self, reading: RuleReading) -> bool:
        """Return whether an alarm's threshold is crossed for the debounce time."""
        return reading.held > self._limit

    def excess(self, reading: RuleReading) -> float:
        """Return by how many units an alarm's threshold is crossed; NaN without a statistic."""
        return (reading.held - self._limit) / self.unit

    def onset(self, level: Level) -> int | None:
        """Return the stamp at which the present crossing began; None without one."""
        return self._since.get(level)

    def _supported(self, statistic: float) -> Level:
        """Return the highest level that may stay; a missing statistic changes nothing."""
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


@dataclass(frozen=True)
class AlarmSettings:
    """When levels change."""

    cool_down: float = setting(8.0, 'Time after an alarm without another, s.', above=0.0)
    margin: float = setting(0.05, 'Below its threshold by this, a level ends.', at_least=0.0)
    dwell: float = setting(0.5, 'Least time that a warning or alarm lasts, s.', at_least=0.0)
    latch: bool = setting(False, 'An alarm that is over waits for acknowledgement.')
    unknown_after: float = setting(1.0, 'Unknown for this long becomes a level, s.', at_least=0.0)
    time_jump: float = setting(
        1.0, 'A stamp older than the newest by more than this begins an episode, s.', above=0.0
    )
    recovery_rise: float = setting(
        0.3, 'Rise over the lowest value since an alarm that ends it.', above=0.0, at_most=2.0
    )


@dataclass(frozen=True)
class DetectorSettings:
    """All that a judge is told, but for what a calibration brings."""

    rules: RuleSettings = field(default_factory=RuleSettings)
    alarm: AlarmSettings = field(default_factory=AlarmSettings)


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
    """The condition of all rules together."""

    def __init__(
        self, settings: AlarmSettings, thresholds: Mapping[str, Threshold], combine: str = OR
    ) -> None:
        """Combine rules: 'or': any of them alarms; 'and': a value rule and another rule."""
        self._settings = settings
        self._recovery = Recovery(settings.recovery_rise)
        self._cool_until: int | None = None
        self.latched = False
        self.set_thresholds(thresholds, combine)

    def set_thresholds(self, thresholds: Mapping[str, Threshold], combine: str = OR) -> None:
        """Use other thresholds, and begin an episode."""
        margin = self._settings.margin
        self._latches = {
            kind: Hysteresis(threshold, margin, RULES[kind].unit)
            for kind, threshold in thresholds.items()
        }
        value = [kind for kind in self._latches if RULES[kind].of_value]
        others = [kind for kind in self._latches if not RULES[kind].of_value]
        self._groups = [value, others] if combine == AND else [list(self._latches)]
        self.reset()

    def reset(self, forget_cool_down: bool = False) -> None:
        """Begin an episode; a cool-down lasts unless stamps no longer compare, a latch always."""
        if forget_cool_down:
            self._cool_until = None
        self._resting = False
        self.begin_attempt()

    def begin_attempt(self) -> None:
        """End the alarm of the attempt before; the rules rest until its cool-down is over."""
        self._entered: int | None = None
        self._settle(self.resting_level)

    def cooling(self, stamp: int) -> bool:
        """Return whether nothing may alarm at a stamp."""
        return self._cool_until is not None and stamp < self._cool_until

    def holding(self, stamp: int) -> bool:
        """Say whether the rules rest: after an alarm, until its cool-down or episode is over."""
        self._resting = self._resting and self.cooling(stamp)
        return self._resting

    def acknowledge(self) -> bool:
        """Take a person's word that the alarm was seen to; False if there is none to speak of."""
        if self.condition is not Level.ALARM and not self.latched:
            return False
        self.latched = False
        self._settle(Level.OK)
        return True

    def update(
        self, stamp: int, smoothed: float, readings: Mapping[str, RuleReading]
    ) -> list[Change]:
        """
        Add what the rules say of one value; on an ALARM their windows must restart.

        :param readings: by rule; empty while holding
        """
        changes = self._recover(stamp, smoothed)
        if not readings or not self._latches:
            return changes
        for kind, latch in self._latches.items():
            latch.update(stamp, readings[kind])
        crossing = [k for k, latch in self._latches.items() if latch.crossed(readings[k])]
        if crossing and self._due(crossing) and not self.cooling(stamp):
            worst = max(crossing, key=lambda k: self._latches[k].excess(readings[k]))
            return [*changes, self._alarm(stamp, worst, readings[worst].held)]
        return changes + self._follow(stamp, readings)

    @property
    def resting_level(self) -> Level:
        """Return the level where no rule speaks: LATCHED until an alarm is acknowledged, or OK."""
        return Level.LATCHED if self.latched else Level.OK

    def _due(self, crossing: Sequence[str]) -> bool:
        """Return whether the rules that cross are enough for an alarm."""
        return all(any(kind in crossing for kind in group) for group in self._groups)

    def _settle(self, condition: Level) -> None:
        self.condition = condition
        for latch in self._latches.values():
            latch.reset(Level.ALARM if condition == Level.ALARM else Level.OK)

    def _dwelling(self, stamp: int) -> bool:
        """Return whether the present level is too young to end."""
        since = math.inf if self._entered is None else (stamp - self._entered) * 1e-9
        return since < self._settings.dwell

    def _recover(self, stamp: int, smoothed: float) -> list[Change]:
        if self.condition != Level.ALARM or not self._recovery.update(smoothed):
            return []
        if self._dwelling(stamp):
            return []
        self._settle(self.resting_level)
        return [Change(self.condition, 'recovered', f'value rises again: {smoothed:.2f}')]

    def _alarm(self, stamp: int, kind: str, held: float) -> Change:
        latch = self._latches[kind]
        onset, limit = latch.onset(Level.ALARM), latch.threshold.alarm
        self._settle(Level.ALARM)
        self._recovery.reset()
        self._cool_until = stamp + round(self._settings.cool_down * 1e9)
        self._resting, self._entered = True, stamp
        self.latched = self._settings.latch
        return Change(Level.ALARM, kind, '', onset, held, limit)

    def _supported(self) -> Level:
        """Return the level that the rules hold up together."""
        if not any(latch.level for latch in self._latches.values()):
            return Level.OK
        levels = [max((self._latches[k].level for k in g), default=Level.OK) for g in self._groups]
        return min(levels)

    def _follow(self, stamp: int, readings: Mapping[str, RuleReading]) -> list[Change]:
        """Report WARN, and what has come down."""
        before, now = self.condition, self._supported()
        was = Level.OK if before == Level.LATCHED else before
        if now == was or (now < was and self._dwelling(stamp)):
            return []
        self.condition = self.resting_level if now == Level.OK else now
        if now > was:
            self._entered = stamp
            kind = max(self._latches, key=lambda k: self._latches[k].level)
            latch = self._latches[kind]
            held, limit = readings[kind].held, latch.threshold.warn
            return [Change(now, kind, '', latch.onset(Level.WARN), held, limit)]
        text = f'every rule is below its {before.name} threshold again'
        return [Change(self.condition, 'recovered', text)]

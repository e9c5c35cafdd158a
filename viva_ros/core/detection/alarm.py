# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Levels from statistics: hysteresis of each rule, and the state of the alarm.

A level begins when a statistic has been above its threshold for the debounce time, and ends when
the statistic is below threshold - hysteresis, after the dwell time at the earliest. An ALARM sets
every rule to ALARM: after the cool-down the windows fill again, and the alarm ends when every
statistic is below its threshold, or earlier when the value has risen visibly. With ``latch`` an
alarm that has ended stays LATCHED until an acknowledgement; other alarms may follow before.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from viva_ros.core.detection.rules import RULES, RuleReading, RuleSettings
from viva_ros.core.detection.thresholds import AND, OR, Threshold
from viva_ros.core.events import Level
from viva_ros.core.settings import setting


class Hysteresis:
    """The level of one rule."""

    def __init__(self, threshold: Threshold, margin: float, unit: float = 1.0) -> None:
        """Keep a level until the statistic is ``margin`` units below its threshold."""
        self.threshold, self.unit = threshold, unit
        self._warn, self._limit = threshold.warn, threshold.alarm
        self.level = Level.OK
        self._margin = margin * unit
        self._since: dict[Level, int] = {}

    def reset(self, level: Level) -> None:
        """Set the level, and forget the onsets of crossings."""
        self.level = level
        self._since.clear()

    def update(self, stamp: int, reading: RuleReading) -> None:
        """Raise the level to WARN, or lower it; ALARM depends on all rules, see ``reset``."""
        statistic, held = reading
        crossed = statistic > self._warn or held > self._warn
        if not crossed and not self._since and self.level is Level.OK:
            return  # the usual case, for speed
        for level, limit in ((Level.WARN, self._warn), (Level.ALARM, self._limit)):
            if statistic > limit:
                self._since.setdefault(level, stamp)
            else:
                self._since.pop(level, None)
        entered = Level.WARN if held > self._warn else Level.OK
        self.level = max(entered, min(self.level, self._supported(statistic)))

    def crossed(self, reading: RuleReading) -> bool:
        """Return whether the alarm threshold has been crossed for the debounce time."""
        return reading.held > self._limit

    def excess(self, reading: RuleReading) -> float:
        """Return the excess over the alarm threshold, in units; NaN without a statistic."""
        return (reading.held - self._limit) / self.unit

    def onset(self, level: Level) -> int | None:
        """Return the stamp at which the present crossing began; None without a crossing."""
        return self._since.get(level)

    def _supported(self, statistic: float) -> Level:
        """Return the highest level that the statistic keeps; a missing statistic keeps all."""
        if not statistic < self._limit - self._margin:
            return Level.ALARM
        return Level.OK if statistic < self._warn - self._margin else Level.WARN


class Recovery:
    """
    Detects a visible rise of the value after an alarm.

    The rise is ``rise`` above the lowest value since the alarm, or half of its distance to 1 if
    that is less.
    """

    def __init__(self, rise: float) -> None:
        self._rise = rise
        self._lowest = math.inf

    def reset(self) -> None:
        """Start at an alarm."""
        self._lowest = math.inf

    def update(self, smoothed: float) -> bool:
        """Add a smoothed value, and return whether it has risen visibly."""
        self._lowest = min(self._lowest, smoothed)
        needed = min(self._rise, 0.5 * (1.0 - self._lowest))
        return smoothed - self._lowest >= needed


@dataclass(frozen=True)
class AlarmSettings:
    """Times and margins of changes of level."""

    cool_down: float = setting(8.0, 'Minimum time between alarms, s.', above=0.0)
    hysteresis: float = setting(
        0.05, 'Hysteresis: a level ends this far below its threshold.', at_least=0.0
    )
    dwell: float = setting(0.5, 'Minimum duration of a warning or alarm, s.', at_least=0.0)
    latch: bool = setting(False, 'Keep an alarm that has ended until it is acknowledged.')
    unknown_after: float = setting(
        1.0, 'Duration of unknown values after which the level is UNKNOWN, s.', at_least=0.0
    )
    time_jump: float = setting(
        1.0, 'A stamp older than the newest by more than this begins an episode, s.', above=0.0
    )
    recovery_rise: float = setting(
        0.3,
        'Rise of the value, from its lowest since the alarm, that ends the alarm.',
        above=0.0,
        at_most=2.0,
    )


@dataclass(frozen=True)
class DetectorSettings:
    """All settings of the detector; the calibration adds the thresholds."""

    rules: RuleSettings = field(default_factory=RuleSettings)
    alarm: AlarmSettings = field(default_factory=AlarmSettings)


@dataclass(frozen=True)
class Change:
    """
    A change of the combined level.

    :param kind: the rule that caused it, or 'recovered'
    :param onset: stamp at which the crossing began, ns; None without a crossing
    :param statistic: held statistic; NaN without a crossing
    """

    level: Level
    kind: str
    text: str = ''
    onset: int | None = None
    statistic: float = math.nan
    threshold: float = math.nan


class Alarm:
    """The combined level of all rules."""

    def __init__(
        self, settings: AlarmSettings, thresholds: Mapping[str, Threshold], combine: str = OR
    ) -> None:
        """:param combine: 'or': any rule alarms; 'and': a value rule and another rule must."""
        self._settings = settings
        self._recovery = Recovery(settings.recovery_rise)
        self._cool_until: int | None = None
        self.latched = False
        self.set_thresholds(thresholds, combine)

    def set_thresholds(self, thresholds: Mapping[str, Threshold], combine: str = OR) -> None:
        """Set other thresholds, and begin an episode."""
        margin = self._settings.hysteresis
        self._rules = {
            kind: Hysteresis(threshold, margin, RULES[kind].unit)
            for kind, threshold in thresholds.items()
        }
        value = [kind for kind in self._rules if RULES[kind].of_value]
        others = [kind for kind in self._rules if not RULES[kind].of_value]
        self._groups = [value, others] if combine == AND else [list(self._rules)]
        self.reset()

    def reset(self, forget_cool_down: bool = False) -> None:
        """Begin an episode; a latched alarm stays, and a cool-down while stamps are comparable."""
        if forget_cool_down:
            self._cool_until = None
        self._resting = False
        self.begin_attempt()

    def begin_attempt(self) -> None:
        """End the alarm of the previous attempt; the rules pause until its cool-down is over."""
        self._entered: int | None = None
        self._settle(self.resting_level)

    def cooling(self, stamp: int) -> bool:
        """Return whether a stamp is within the cool-down, which suppresses alarms."""
        return self._cool_until is not None and stamp < self._cool_until

    def holding(self, stamp: int) -> bool:
        """Return whether the rules pause: after an alarm, until its cool-down or episode ends."""
        self._resting = self._resting and self.cooling(stamp)
        return self._resting

    def acknowledge(self) -> bool:
        """Acknowledge the alarm; return False if there is none."""
        if self.condition is not Level.ALARM and not self.latched:
            return False
        self.latched = False
        self._settle(Level.OK)
        return True

    def update(
        self, stamp: int, smoothed: float, readings: Mapping[str, RuleReading]
    ) -> list[Change]:
        """
        Add the readings of one value; after an ALARM the windows of the rules must restart.

        :param readings: by rule; empty while the rules pause
        """
        changes = self._recover(stamp, smoothed)
        if not readings or not self._rules:
            return changes
        for kind, rule in self._rules.items():
            rule.update(stamp, readings[kind])
        crossing = [k for k, rule in self._rules.items() if rule.crossed(readings[k])]
        if crossing and self._due(crossing) and not self.cooling(stamp):
            worst = max(crossing, key=lambda k: self._rules[k].excess(readings[k]))
            return [*changes, self._alarm(stamp, worst, readings[worst].held)]
        return changes + self._follow(stamp, readings)

    @property
    def resting_level(self) -> Level:
        """Return the level without a crossing: LATCHED until an acknowledgement, or OK."""
        return Level.LATCHED if self.latched else Level.OK

    def _due(self, crossing: Sequence[str]) -> bool:
        """Return whether the crossing rules suffice for an alarm."""
        return all(any(kind in crossing for kind in group) for group in self._groups)

    def _settle(self, condition: Level) -> None:
        self.condition = condition
        for rule in self._rules.values():
            rule.reset(Level.ALARM if condition == Level.ALARM else Level.OK)

    def _dwelling(self, stamp: int) -> bool:
        """Return whether the present level has not reached the dwell time."""
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
        rule = self._rules[kind]
        onset, limit = rule.onset(Level.ALARM), rule.threshold.alarm
        self._settle(Level.ALARM)
        self._recovery.reset()
        self._cool_until = stamp + round(self._settings.cool_down * 1e9)
        self._resting, self._entered = True, stamp
        self.latched = self._settings.latch
        return Change(Level.ALARM, kind, '', onset, held, limit)

    def _supported(self) -> Level:
        """Return the level that the rules keep together."""
        if not any(rule.level for rule in self._rules.values()):
            return Level.OK
        levels = [max((self._rules[k].level for k in g), default=Level.OK) for g in self._groups]
        return min(levels)

    def _follow(self, stamp: int, readings: Mapping[str, RuleReading]) -> list[Change]:
        """Return a change to WARN, or to a lower level."""
        before, now = self.condition, self._supported()
        was = Level.OK if before == Level.LATCHED else before
        if now == was or (now < was and self._dwelling(stamp)):
            return []
        self.condition = self.resting_level if now == Level.OK else now
        if now > was:
            self._entered = stamp
            kind = max(self._rules, key=lambda k: self._rules[k].level)
            rule = self._rules[kind]
            held, limit = readings[kind].held, rule.threshold.warn
            return [Change(now, kind, '', rule.onset(Level.WARN), held, limit)]
        text = f'every rule is below its {before.name} threshold again'
        return [Change(self.condition, 'recovered', text)]

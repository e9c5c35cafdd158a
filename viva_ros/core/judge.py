# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The judge: one series of values in, events out.

The live supervisor, the replay of a recording and the calibration all run this code. It is
deterministic in what it is given: it reads no clock, and rounds each value to float32, as the Value
message does.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from viva_ros.core.absence import UnknownRun
from viva_ros.core.alarm import AlarmSettings, Latch, Recovery
from viva_ros.core.events import RULES, Event, Level
from viva_ros.core.rules import Reading, RuleBank, RuleSettings, explain
from viva_ros.core.settings import validate
from viva_ros.core.thresholds import Threshold
from viva_ros.core.windows import Smoother, seconds


@dataclass(frozen=True)
class JudgeSettings:
    """All that a judge is told, but for the thresholds."""

    rules: RuleSettings = field(default_factory=RuleSettings)
    alarm: AlarmSettings = field(default_factory=AlarmSettings)


class Judge:
    """
    Watches the values of one robot.

    ``level``, ``episode_id``, ``smoothed`` (NaN before the first value) and ``readings`` (by rule;
    empty in the cool-down) tell the present state.
    """

    def __init__(self, settings: JudgeSettings, thresholds: Mapping[str, Threshold]) -> None:
        """
        Begin without an episode; the level is UNKNOWN until something is heard.

        :param thresholds: by rule; a rule without one never warns or alarms
        :raises ConfigurationError: on a setting out of its range
        :raises ValueError: on a threshold for something that is no rule
        """
        validate(settings)
        if not set(thresholds) <= set(RULES):
            raise ValueError(f'thresholds are for {sorted(thresholds)}, rules are {RULES}')
        self._settings = settings
        self._latches = {
            kind: Latch(thresholds[kind], settings.alarm.margin)
            for kind in RULES
            if kind in thresholds
        }
        self._bank = RuleBank(settings.rules)
        self._smoother = Smoother(settings.rules.smoothing)
        self._unknown = UnknownRun(settings.alarm.unknown_after)
        self._recovery = Recovery(settings.alarm.recovery_rise)
        self._condition = Level.OK
        self._cool_until: int | None = None
        self._newest: int | None = None
        self.episode_id = ''
        self._forget()

    @property
    def level(self) -> Level:
        """The present level: UNKNOWN hides what the rules said before."""
        unknown = self._unknown.lasting or self._newest is None
        return Level.UNKNOWN if unknown else self._condition

    def update(
        self, stamp: int, value: float | None, reason: str = '', episode_id: str = ''
    ) -> list[Event]:
        """
        Add a value, or that there is none.

        Another episode id, or a stamp that goes back by more than ``time_jump``, begins an episode:
        all is reset, but a cool-down of stamps that still count lasts. A known value that is not
        newer than the last is ignored.

        :param stamp: of the value, or of the attempt, ns
        :param value: in [-1, 1]; None or NaN when unknown
        :param reason: why it is unknown
        :returns: what changed, in order
        """
        events = self._begin(stamp, episode_id)
        value = math.nan if value is None else float(np.float32(value))
        if not math.isfinite(value):
            return events + self._add_unknown(stamp, reason)
        if self._last is not None and stamp <= self._last:
            return events
        events += self._end_unknown(stamp, value)
        self._measure(stamp, value)
        return events + self._recover(stamp, value) + self._judge(stamp, value)

    def _forget(self) -> None:
        self._last: int | None = None
        self._holding = False
        self.smoothed = math.nan
        self.readings: dict[str, Reading] = {}
        self._smoother.reset()
        self._bank.reset()
        self._unknown.reset()
        self._settle(Level.OK)

    def _settle(self, condition: Level) -> None:
        self._condition = condition
        for latch in self._latches.values():
            latch.reset(condition)

    def _begin(self, stamp: int, episode_id: str) -> list[Event]:
        newest, self._newest = self._newest, max(stamp, self._newest or stamp)
        jumped = newest is not None and seconds(newest, stamp) > self._settings.alarm.time_jump
        if newest is not None and not jumped and episode_id == self.episode_id:
            return []
        if jumped:
            self._newest, self._cool_until = stamp, None
        self.episode_id = episode_id
        self._forget()
        text = f'stamps went back by {seconds(newest or stamp, stamp):.1f} s' if jumped else (
            f'watching episode {episode_id!r}'
        )  # fmt: skip
        return [self._event(Level.OK, 'episode_start', stamp, math.nan, text)]

    def _add_unknown(self, stamp: int, reason: str) -> list[Event]:
        onset = self._unknown.add(stamp)
        if onset is None:
            return []
        text = f'value is unknown: {reason or "no reason given"}'
        return [self._event(Level.UNKNOWN, 'unknown', stamp, math.nan, text, onset)]

    def _end_unknown(self, stamp: int, value: float) -> list[Event]:
        began = self._unknown.end()
        if began is None:
            return []
        text = f'value is known again after {seconds(stamp, began):.1f} s'
        return [self._event(self._condition, 'unknown', stamp, value, text)]

    def _measure(self, stamp: int, value: float) -> None:
        if self._last is not None and seconds(stamp, self._last) > self._settings.rules.gap:
            self._smoother.reset()
            self._bank.reset()
        self._last = stamp
        self.smoothed = self._smoother.update(stamp, value)
        self._holding = self._holding and self._cooling(stamp)
        self.readings = {} if self._holding else self._bank.update(stamp, self.smoothed)

    def _cooling(self, stamp: int) -> bool:
        return self._cool_until is not None and stamp < self._cool_until

    def _recover(self, stamp: int, value: float) -> list[Event]:
        if self._condition < Level.ALARM or not self._recovery.update(self.smoothed):
            return []
        self._settle(Level.OK)
        text = f'value rises again: {self.smoothed:.2f}'
        return [self._event(Level.OK, 'recovered', stamp, value, text)]

    def _judge(self, stamp: int, value: float) -> list[Event]:
        if not self.readings or not self._latches:
            return []
        for kind, latch in self._latches.items():
            latch.update(stamp, self.readings[kind])
        excess = {k: self.readings[k].held - x.threshold.alarm for k, x in self._latches.items()}
        crossing = [kind for kind in excess if excess[kind] > 0.0]
        if crossing and not self._cooling(stamp):
            return [self._alarm(stamp, value, max(crossing, key=excess.__getitem__))]
        return self._change_level(stamp, value)

    def _alarm(self, stamp: int, value: float, kind: str) -> Event:
        event = self._rule_event(Level.ALARM, kind, stamp, value)
        self._settle(Level.ALARM)
        self._bank.reset()
        self._recovery.reset()
        self._cool_until = stamp + round(self._settings.alarm.cool_down * 1e9)
        self._holding = True
        return event

    def _change_level(self, stamp: int, value: float) -> list[Event]:
        before = self._condition
        kind = max(self._latches, key=lambda k: self._latches[k].level)
        self._condition = self._latches[kind].level
        if self._condition > before:
            return [self._rule_event(self._condition, kind, stamp, value)]
        if self._condition == before:
            return []
        text = f'every rule is below its {before.name.lower()} threshold again'
        return [self._event(self._condition, 'recovered', stamp, value, text)]

    def _rule_event(self, level: Level, kind: str, stamp: int, value: float) -> Event:
        latch, held = self._latches[kind], self.readings[kind].held
        threshold = latch.threshold.alarm if level == Level.ALARM else latch.threshold.warn
        text = explain(kind, held, threshold, self._settings.rules)
        return self._event(
            level, kind, stamp, value, text, latch.onset(level), held, threshold
        )  # fmt: skip

    def _event(
        self,
        level: Level,
        kind: str,
        stamp: int,
        value: float,
        text: str,
        onset: int | None = None,
        statistic: float = math.nan,
        threshold: float = math.nan,
    ) -> Event:
        began = stamp if onset is None else onset
        return Event(level, kind, stamp, began, value, statistic, threshold, self.episode_id, text)

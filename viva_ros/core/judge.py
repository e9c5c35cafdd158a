# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The judge: one series of values in, events out.

The live supervisor, the replay of a recording and the calibration all run this code. It is
deterministic in what it is given: it reads no clock, and rounds each value to float32, as the
Value message does.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from viva_ros.core.absence import UnknownRun
from viva_ros.core.alarm import Alarm, AlarmSettings, Change
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
        self._alarm = Alarm(settings.alarm, thresholds)
        self._bank = RuleBank(settings.rules)
        self._smoother = Smoother(settings.rules.smoothing)
        self._unknown = UnknownRun(settings.alarm.unknown_after)
        self._newest: int | None = None
        self.episode_id = ''
        self._forget()

    @property
    def level(self) -> Level:
        """The present level: UNKNOWN hides what the rules said before."""
        unknown = self._unknown.lasting or self._newest is None
        return Level.UNKNOWN if unknown else self._alarm.condition

    def update(
        self, stamp: int, value: float | None, reason: str = '', episode_id: str = ''
    ) -> list[Event]:
        """
        Add a value, or that there is none.

        Another episode id, or a stamp that goes back by more than ``time_jump``, begins an
        episode: all is reset, but a cool-down lasts while stamps still compare. A known value that
        is not newer than the last is ignored.

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
        return events + self._judge(stamp, value)

    def _forget(self) -> None:
        self._last: int | None = None
        self.smoothed = math.nan
        self.readings: dict[str, Reading] = {}
        self._smoother.reset()
        self._bank.reset()
        self._unknown.reset()

    def _begin(self, stamp: int, episode_id: str) -> list[Event]:
        newest, self._newest = self._newest, max(stamp, self._newest or stamp)
        jumped = newest is not None and seconds(newest, stamp) > self._settings.alarm.time_jump
        if newest is not None and not jumped and episode_id == self.episode_id:
            return []
        if jumped:
            self._newest = stamp
        self.episode_id = episode_id
        self._forget()
        self._alarm.reset(forget_cool_down=jumped)
        why = ': stamps went back' if jumped else ''
        text = f'watching episode {episode_id!r}{why}'
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
        return [self._event(self._alarm.condition, 'unknown', stamp, value, text)]

    def _measure(self, stamp: int, value: float) -> None:
        if self._last is not None and seconds(stamp, self._last) > self._settings.rules.gap:
            self._smoother.reset()
            self._bank.reset()
        self._last = stamp
        self.smoothed = self._smoother.update(stamp, value)
        holding = self._alarm.holding(stamp)
        self.readings = {} if holding else self._bank.update(stamp, self.smoothed)

    def _judge(self, stamp: int, value: float) -> list[Event]:
        changes = self._alarm.update(stamp, self.smoothed, self.readings)
        if any(change.level == Level.ALARM for change in changes):
            self._bank.reset()
        return [self._rule_event(change, stamp, value) for change in changes]

    def _rule_event(self, change: Change, stamp: int, value: float) -> Event:
        kind, held, limit = change.kind, change.statistic, change.threshold
        text = change.text or explain(kind, held, limit, self._settings.rules)
        return self._event(change.level, kind, stamp, value, text, change.onset, held, limit)

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

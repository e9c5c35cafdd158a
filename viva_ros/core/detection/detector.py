# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The anomaly detector: a series of values in, events out.

The live supervisor, the replay of a recording and the calibration run this code. It reads no
clock, and rounds each number to float32 as the Value message does.
"""

import dataclasses
import math
from collections import deque
from collections.abc import Mapping

from viva_ros.core.detection.alarm import Alarm, Change, DetectorSettings
from viva_ros.core.detection.reference import Reference
from viva_ros.core.detection.rules import (
    NO_DETAILS,
    NOTHING,
    RULES,
    Details,
    RuleBank,
    RuleReading,
)
from viva_ros.core.detection.staleness import UnknownRun, settle
from viva_ros.core.detection.thresholds import OR, Threshold
from viva_ros.core.events import Event, Level, worst
from viva_ros.core.settings import validate
from viva_ros.core.windows import Smoother, seconds


class ReadingHistory:
    """The values and readings of the last ``span`` seconds."""

    def __init__(self, span: float) -> None:
        self._span = round(span * 1e9)
        self._samples: deque[tuple[int, float, Mapping[str, RuleReading]]] = deque()

    def reset(self) -> None:
        """Forget all samples."""
        self._samples.clear()

    def add(self, stamp: int, value: float, readings: Mapping[str, RuleReading]) -> None:
        """Add a sample, later than the last, and drop samples that are too old."""
        self._samples.append((stamp, value, readings))
        while self._samples[0][0] < stamp - self._span:
            self._samples.popleft()

    def of(self, kind: str) -> tuple[tuple[int, float, float], ...]:
        """Return stamp (ns), value and the statistic of a rule, NaN without, of each sample."""
        return tuple(
            (stamp, value, statistic if math.isfinite(statistic) else math.nan)
            for stamp, value, readings in self._samples
            for statistic in [readings.get(kind, NOTHING).statistic]
        )


__all__ = ['Detector', 'DetectorSettings']

ROUNDING = 1e-3  # of a share, by an engine of low precision
PAUSED = 'paused'  # kind of an unknown value: the clock stands still
NO_EPISODE = 'no episode is under way'


def share_fault(details: Details) -> str:
    """Return why a value is unknown: its probability of success or progress is out of range."""
    for name, share in (('success_probability', details.success), ('progress', details.progress)):
        if not -ROUNDING <= share <= 1.0 + ROUNDING and not math.isnan(share):
            return f'value is unknown: {name} is {share:g}, must be in [0, 1]'
    return ''


class Detector:
    """
    Watches the values of one robot.

    The present state: ``level``, ``episode_id``, ``known`` (the newest value is a number),
    ``smoothed`` (NaN before the first value) and ``readings`` (by rule; empty in the cool-down).
    """

    def __init__(
        self, settings: DetectorSettings, thresholds: Mapping[str, Threshold],
        expected: Reference | None = None, combine: str = OR, alpha: float = math.nan,
    ) -> None:  # fmt: skip
        """
        Start without an episode; the level is UNKNOWN until the first update.

        :param thresholds: by rule; a rule without one never warns or alarms
        :param expected: reference of successful episodes
        :param combine: see ``Alarm``
        :param alpha: calibrated rate of false alarms, for the events
        :raises ConfigurationError: if a setting is out of its range
        :raises ValueError: if a threshold has the name of no rule
        """
        validate(settings)
        if not set(thresholds) <= set(RULES):
            known = ', '.join(RULES)
            raise ValueError(f'thresholds are for {sorted(thresholds)}, rules are {known}')
        self._settings, self._alpha = settings, alpha
        self._alarm = Alarm(settings.alarm, thresholds, combine)
        self._bank = RuleBank(settings.rules, expected)
        self._trace = ReadingHistory(settings.rules.span)
        self._smoother = Smoother(settings.rules.smoothing)
        self._unknown = UnknownRun(settings.alarm.unknown_after)
        self._newest: int | None = None  # stamp of all, ns
        self._newest_known: int | None = None
        self._executing = True
        self.episode_id = ''
        self._reset()

    @property
    def level(self) -> Level:
        """Return the present level; PAUSED and UNKNOWN override the level of the rules."""
        if not self._executing or self._stopped:
            return worst(Level.PAUSED, self._alarm.resting_level)
        unknown = self._unknown.lasting or self._newest is None
        return Level.UNKNOWN if unknown else self._alarm.condition

    def update(
        self, stamp: int, value: float | None, reason: str = '', episode_id: str = '',
        details: Details = NO_DETAILS, kind: str = '', executing: bool = True,
    ) -> list[Event]:  # fmt: skip
        """
        Add a value, known or unknown.

        Another episode id, or a stamp that goes back by more than ``time_jump``, begins an
        episode: everything is reset, except a cool-down while stamps are comparable. The start of
        execution does the same, because the robot may be in any state. A known value is compared
        with known values only: that of a late estimate is older than the attempts since its
        inputs. One that is not newer than the last is ignored. Values are not judged while the
        robot does not execute.

        :param stamp: of the value, or of the attempt, ns
        :param value: in [-1, 1]; unknown if None, NaN or out of range, or if a share in the
            details is, which a rule would judge
        :param reason: why the value is unknown; kind: the same in one word
        :param details: other outputs of the engine
        :param executing: whether the robot executed a task at the stamp of the inputs
        :returns: the changes in order
        """
        value, fault = settle(value, reason)
        fault = fault or share_fault(details)
        events = self._begin(stamp, episode_id, fault, executing)
        if not fault and self._last is not None and stamp <= self._last:
            return events
        self.known = not fault
        if not self._executing:
            return events
        if fault:
            stop = kind == PAUSED
            return events + (
                self._stop(stamp, reason) if stop else self._add_unknown(stamp, fault)
            )
        events += self._end_unknown(stamp, value)
        self._measure(stamp, value, details)
        return events + self._judge(stamp, value)

    @property
    def latched(self) -> bool:
        """Whether an alarm waits for acknowledgement, at any level."""
        return self._alarm.latched

    def latch(self) -> None:
        """Set that an alarm of an earlier process waits for acknowledgement."""
        self._alarm.latched = True
        self._alarm.reset()

    def acknowledge(self, stamp: int) -> list[Event]:
        """Acknowledge an alarm; without one there is no event."""
        if not self._alarm.acknowledge():
            return []
        text = 'acknowledged by an operator'
        return [self._event(self.level, 'acknowledged', stamp, math.nan, text)]

    def set_thresholds(
        self, thresholds: Mapping[str, Threshold], expected: Reference | None = None,
        combine: str = OR, alpha: float = math.nan,
    ) -> None:  # fmt: skip
        """Set the thresholds of another task; a cool-down and a latched alarm stay."""
        self._alpha = alpha
        self._alarm.set_thresholds(thresholds, combine)
        self._bank = RuleBank(self._settings.rules, expected)
        self._reset()

    def lose_values(self) -> None:
        """Set that values ceased to arrive: the level is UNKNOWN until a known one does."""
        self._unknown.hold()

    def restart_windows(self) -> None:
        """Forget the values so far: the next ones cannot be compared with them."""
        self._smoother.reset()
        self._bank.reset()
        self._trace.reset()

    def _reset(self, unknown_since: int | None = None) -> None:
        self._last: int | None = None
        self.known = False
        self.smoothed = math.nan
        self.readings: dict[str, RuleReading] = {}
        self.restart_windows()
        self._unknown.reset(unknown_since)
        self._stopped = False

    def _begin(self, stamp: int, episode_id: str, fault: str, executing: bool) -> list[Event]:
        """Reset at the start of an episode or of execution, or after a jump of time."""
        is_first = self._newest is None
        jumped = self._went_back(stamp, known=not fault)
        begins = is_first or jumped or episode_id != self.episode_id
        if not begins and executing == self._executing:
            return []
        self.episode_id, self._executing = episode_id, executing
        self._reset(stamp if fault and executing else None)
        if begins:
            self._alarm.reset(forget_cool_down=jumped)
        elif executing:
            self._alarm.begin_attempt()
        why = ': stamps went back' if jumped else ''
        kind, text = self._begun(begins)
        text += why + (f'; {fault}' if fault and executing else '')
        return [self._event(self.level, kind, stamp, math.nan, text)]

    def _went_back(self, stamp: int, known: bool) -> bool:
        """Note a stamp; return whether time went back since the newest comparable one."""
        newest = self._newest_known if known else self._newest
        jumped = newest is not None and seconds(newest, stamp) > self._settings.alarm.time_jump
        if jumped:
            self._newest = self._newest_known = None
        self._newest = max(stamp, self._newest or stamp)
        if known:
            self._newest_known = max(stamp, self._newest_known or stamp)
        return jumped

    def _begun(self, begins: bool) -> tuple[str, str]:
        """Return kind and text of the event of a start."""
        if not self._executing:
            idle = 'the robot does not execute the task' if self.episode_id else NO_EPISODE
            return 'paused', f'not judged: {idle}'
        if begins:
            return 'episode_start', f'watching episode {self.episode_id!r}'
        return 'paused', 'the robot executes the task: watching'

    def _add_unknown(self, stamp: int, fault: str) -> list[Event]:
        resumed, self._stopped = self._stopped, False
        again = resumed and self._unknown.lasting
        if resumed and not again:
            self.lose_values()
        onset = self._unknown.add(stamp)
        if onset is None and not again:
            return []
        return [self._event(Level.UNKNOWN, 'unknown', stamp, math.nan, fault, onset)]

    def _stop(self, stamp: int, reason: str) -> list[Event]:
        """Pause while the clock stands still: this is no fault, but there are no values."""
        if self._stopped:
            return []
        self._stopped = True
        return [self._event(Level.PAUSED, 'paused', stamp, math.nan, reason or 'paused')]

    def _end_unknown(self, stamp: int, value: float) -> list[Event]:
        began, stopped = self._unknown.end(), self._stopped
        self._stopped = False
        if began is None:
            text = 'values arrive again'
            return [self._event(self.level, 'paused', stamp, value, text)] if stopped else []
        text = 'value is known again'
        if stamp > began:  # an attempt is stamped with its time, a value with that of its inputs
            text += f' after {seconds(stamp, began):.1f} s'
        return [self._event(self.level, 'unknown', stamp, value, text)]

    def _measure(self, stamp: int, value: float, details: Details) -> None:
        if self._last is not None and seconds(stamp, self._last) > self._settings.rules.max_gap:
            self.restart_windows()
        self._last = stamp
        self.smoothed = self._smoother.update(stamp, value)
        holding = self._alarm.holding(stamp)
        self.readings = {} if holding else self._bank.update(stamp, self.smoothed, details)
        self._trace.add(stamp, value, self.readings)

    def _judge(self, stamp: int, value: float) -> list[Event]:
        changes = self._alarm.update(stamp, self.smoothed, self.readings)
        events = [self._rule_event(change, stamp, value) for change in changes]
        if any(change.level == Level.ALARM for change in changes):
            self._bank.reset()
        return events

    def _rule_event(self, change: Change, stamp: int, value: float) -> Event:
        kind, held, limit = change.kind, change.statistic, change.threshold
        text = change.text or self._bank.explain(kind, held, limit)
        event = self._event(change.level, kind, stamp, value, text, change.onset, held, limit)
        if kind not in RULES:
            return event
        return dataclasses.replace(event, alpha=self._alpha, window=self._trace.of(kind))

    def _event(
        self, level: Level, kind: str, stamp: int, value: float, text: str,
        onset: int | None = None, statistic: float = math.nan, threshold: float = math.nan,
    ) -> Event:  # fmt: skip
        began = stamp if onset is None else onset
        return Event(level, kind, stamp, began, value, statistic, threshold, self.episode_id, text)
